//! DNS for authentication: one resolver a process, shared by all mails, that remembers answers and waits for none
//! too long.
//!
//! The answers are kept by the resolver itself, by their time to live, as long as one mail may ask at least and `KEEP` and
//! `KEEP_NEGATIVE` at most, and at most `KEPT` of them.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mail_auth::{
    MessageAuthenticator,
    hickory_resolver::{
        config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
        net::NetError,
        proto::rr::{RData, RecordType},
        system_conf::read_system_conf,
    },
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Domain,
    key_records::{KeyRecord, MAX_TEXT, MAX_TEXTS},
};

/// Answers that are kept. One is at most 64 KiB, and hardly ever above one.
const KEPT: u64 = 2_048;
/// How long an answer is kept at most, and one that there is none.
const KEEP: Duration = Duration::from_secs(3_600);
const KEEP_NEGATIVE: Duration = Duration::from_secs(300);
/// How long nothing is asked of servers that gave no sign of life.
const SILENCE: Duration = Duration::from_secs(5);

/// Which servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// Those of the machine.
    System,
    /// This one.
    At(SocketAddr),
}

/// The resolver.
pub struct Dns {
    pub(super) authenticator: MessageAuthenticator,
    /// Remembers nothing, so that its answers are signs of life.
    probe: MessageAuthenticator,
    patience: Duration,
    silent_until: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
#[error("the resolver cannot be made: {0}")]
pub struct DnsError(#[from] NetError);

impl Dns {
    /// Makes the resolver. `patience` is for all lookups of one mail together.
    ///
    /// # Errors
    /// When the machine's configuration cannot be read.
    pub fn new(servers: Servers, patience: Duration) -> Result<Self, DnsError> {
        let config = match servers {
            Servers::System => {
                let (_, _, servers) = read_system_conf()?.0.into_parts();
                ResolverConfig::from_name_servers(servers)
            }
            Servers::At(address) => ResolverConfig::from_name_servers(vec![server(address)]),
        };
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = patience / 3;
        options.attempts = 2;
        options.cache_size = KEPT;
        (options.positive_max_ttl, options.negative_max_ttl) = (Some(KEEP), Some(KEEP_NEGATIVE));
        // One mail is told one thing, however often it asks.
        (options.positive_min_ttl, options.negative_min_ttl) = (Some(patience), Some(patience));
        let authenticator = MessageAuthenticator::new(config.clone(), options.clone())?;
        (options.cache_size, options.attempts) = (0, 0);
        let probe = MessageAuthenticator::new(config, options)?;
        Ok(Self { authenticator, probe, patience, silent_until: Mutex::new(None) })
    }

    /// Until when a mail that begins to ask now may go on: with all that can be asked at once, and with everything. What is
    /// left in between is for DMARC, so that a silent server of somebody else's does not make it fail.
    pub(super) fn deadlines(&self) -> (Instant, Instant) {
        let now = Instant::now();
        (now + self.patience * 2 / 3, now + self.patience)
    }

    /// What stands at the name of a key.
    pub(super) async fn key(&self, name: &Domain, deadline: Instant) -> KeyRecord {
        let name = format!("{}.", name.expose());
        match timeout_at(deadline, self.authenticator.resolver().txt_lookup(name)).await {
            Ok(Ok(lookup)) => KeyRecord::Texts(
                lookup.answers().iter().filter_map(|record| text(&record.data)).take(MAX_TEXTS).collect(),
            ),
            Ok(Err(error)) if is_negative(&error) => KeyRecord::Missing,
            Ok(Err(_)) | Err(_) => KeyRecord::Failed,
        }
    }

    /// Whether the servers gave no sign of life a moment ago: then it is no use to wait for them with every mail.
    pub(super) fn is_silent(&self) -> bool {
        let mut until = self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = until.is_some_and(|until| Instant::now() < until);
        if !silent {
            *until = None;
        }
        silent
    }

    /// After a lookup that failed: asks for the root's servers, which every resolver knows, so that one domain
    /// whose own servers are silent is not taken for the resolver's silence.
    pub(super) async fn listen(&self) {
        if self.is_silent() {
            return;
        }
        let asked = self.probe.resolver().lookup(".", RecordType::NS);
        let alive = match timeout(self.patience / 3, asked).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => matches!(error, NetError::Dns(_)),
            Err(_) => false,
        };
        if !alive {
            tracing::warn!("DNS gives no sign of life: mail is authenticated as temperror until it does");
            let mut until = self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
            *until = Some(Instant::now() + SILENCE);
        }
    }
}

/// The texts at a name that was looked up a moment ago, whose answer is remembered. A dot ends the name.
pub(super) async fn texts(dns: &MessageAuthenticator, name: &str) -> Vec<Vec<u8>> {
    let Ok(lookup) = dns.resolver().txt_lookup(name).await else { return Vec::new() };
    let text = |record: &RData| match record {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    };
    lookup.answers().iter().filter_map(|record| text(&record.data)).collect()
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn text(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else { return None };
    let bytes = txt.txt_data.concat();
    (bytes.len() <= MAX_TEXT).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether DNS says that there is no such record, rather than that it does not know.
fn is_negative(error: &NetError) -> bool {
    use mail_auth::hickory_resolver::{net::DnsError, proto::op::ResponseCode};
    matches!(error, NetError::Dns(DnsError::NoRecordsFound(none))
        if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError))
}
