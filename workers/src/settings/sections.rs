//! The sections that stand for themselves.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use shared::{
    clamav::{clamd::Deadlines, endpoint::Endpoint},
    config::{Reader, Setting, Size, units},
    ids::TenantId,
    telemetry::{self, LogFormat},
};

use crate::{
    jobs::SmtpEnvelope,
    mail::sanitise::{ProxyUrl, RemoteImages},
    names::{self, TenantName},
};

/// The shortest key of an HMAC that cannot be tried out, in bytes.
const SHORTEST_KEY: usize = 16;

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Where the embedded plane keeps everything; `--data` overrides it.
    pub dir: Option<PathBuf>,
}

/// `[clamav]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clamav {
    /// Where clamds listen; at least one.
    pub endpoints: Vec<Endpoint>,
    /// How long their steps may take.
    pub deadlines: Deadlines,
    /// Streams that each scans at once, for one process.
    pub concurrency: NonZeroUsize,
    /// How old signatures may be; `None` for any age.
    pub max_signature_age: Option<Duration>,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest mail, in bytes.
    pub max_mail: u64,
    /// The most parts of a mail.
    pub max_parts: NonZeroU32,
    /// The longest HTML body that is sanitised, in bytes.
    pub max_html: u64,
    /// Bytes of mail held in memory at once, in one process.
    pub memory: u64,
}

/// `[tenants]`: whose mail a domain's is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tenants(BTreeMap<String, TenantName>);

/// `[html]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html {
    /// What becomes of images that load from elsewhere.
    pub remote_images: RemoteImages,
    /// Processor time for the HTML of one mail.
    pub budget: Duration,
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The log filter.
    pub log: String,
    /// How log lines look.
    pub format: LogFormat,
    /// Where metrics and health are served; nowhere when it is not set.
    pub listen: Option<SocketAddr>,
}

/// `[shutdown]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// How long running jobs may take to end after SIGTERM.
    pub grace: Duration,
}

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The key of the records' HMAC; without one, it is made once in the data directory.
    pub key: Option<SecretString>,
}

impl Data {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        Self { dir: section.path("dir") }
    }
}

impl Clamav {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        let default = Deadlines::default();
        let deadlines = Deadlines {
            connect: positive(section, "connect_timeout", default.connect),
            write: positive(section, "write_timeout", default.write),
            scan: positive(section, "deadline", default.scan),
        };
        for (key, step) in [("connect_timeout", deadlines.connect), ("write_timeout", deadlines.write)] {
            if step > deadlines.scan {
                section.reject(key, "must be at most clamav.deadline");
            }
        }
        Self {
            endpoints: endpoints(section),
            deadlines,
            concurrency: section.get_or("concurrency", NonZeroUsize::MIN.saturating_add(7)),
            max_signature_age: section.get_or("max_signature_age", MaxAge(Some(Duration::from_secs(7 * 86_400)))).0,
        }
    }
}

fn endpoints(section: &Reader<'_>) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for word in section.words_or("endpoint", "unix:/var/run/clamav/clamd.ctl") {
        match word.parse() {
            Ok(endpoint) if endpoints.contains(&endpoint) => {
                section.reject("endpoint", "an endpoint stands there twice")
            }
            Ok(endpoint) => endpoints.push(endpoint),
            Err(_) => {
                section.reject("endpoint", "expected \"unix:/absolute/path\" or \"tcp:HOST:PORT\", or a list of them")
            }
        }
    }
    endpoints
}

/// A longest age, or none.
#[derive(Clone, Copy)]
struct MaxAge(Option<Duration>);

impl Setting for MaxAge {
    const EXPECTED: &'static str = "\"off\", or a duration with its unit, such as \"7d\"";

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "off" {
            return Some(Self(None));
        }
        units::parse_duration(text).filter(|age| !age.is_zero()).map(|age| Self(Some(age)))
    }

    fn show(&self) -> toml::Value {
        self.0.map_or_else(|| "off".into(), |age| age.show())
    }
}

impl Limits {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        let limits = Self {
            max_mail: bytes(section, "max_mail", 40_000_000),
            max_parts: section.get_or("max_parts", NonZeroU32::MIN.saturating_add(999)),
            max_html: bytes(section, "max_html", 1 << 20),
            memory: bytes(section, "memory", 256 << 20),
        };
        if limits.memory < limits.max_mail {
            let key = if section.is_set("memory") { "memory" } else { "max_mail" };
            section.reject(key, "a mail of max_mail would never fit into memory; expected memory >= max_mail");
        }
        limits
    }
}

impl Tenants {
    /// The tenant of an address's domain, in either case.
    pub fn of_domain(&self, domain: &str) -> Option<&TenantName> {
        self.0.get(&domain.to_ascii_lowercase())
    }

    /// The tenant of the first recipient whose domain is known, else `default`.
    pub fn of(&self, envelope: &SmtpEnvelope) -> TenantId {
        let domains = envelope.to.iter().filter_map(|to| to.expose().rsplit_once('@'));
        let known = domains.filter_map(|(_, domain)| self.of_domain(domain)).next();
        known.and_then(|name| TenantId::new(name.as_str()).ok()).unwrap_or_else(TenantId::default_tenant)
    }

    /// Every domain that belongs to a tenant, in lower case.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Every tenant that is named, some perhaps more than once.
    pub fn names(&self) -> impl Iterator<Item = &TenantName> {
        self.0.values()
    }

    /// Whether mail can belong to a tenant of that name.
    pub fn is_tenant(&self, name: &str) -> bool {
        name == TenantId::default_tenant().as_str() || self.names().any(|tenant| tenant.as_str() == name)
    }

    pub(super) fn read(section: &Reader<'_>) -> Self {
        let mut tenants = BTreeMap::new();
        for (key, text) in section.texts() {
            let domain = key.to_ascii_lowercase();
            let Some(tenant) = TenantName::parse(&text) else {
                section.reject(&key, &format!("expected {}, at most 32 long", names::EXPECTED));
                continue;
            };
            if !is_domain(&domain) {
                section.reject(&key, "the key has to be a domain, such as \"example.org\"");
            } else if tenants.insert(domain, tenant).is_some() {
                section.reject(&key, "this domain is there already, in another case");
            }
        }
        Self(tenants)
    }
}

impl Html {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        let proxy = section.parsed("proxy_url", ProxyUrl::EXPECTED, ProxyUrl::parse);
        let choices = [("block", Remote::Block), ("keep", Remote::Keep), ("proxy-url", Remote::ProxyUrl)];
        let remote_images = match (section.one_of_or_first("remote_images", choices), proxy) {
            (Remote::Block, _) => RemoteImages::Block,
            (Remote::Keep, _) => RemoteImages::Keep,
            (Remote::ProxyUrl, Some(proxy)) => RemoteImages::ProxyUrl(proxy),
            (Remote::ProxyUrl, None) => {
                if !section.is_set("proxy_url") {
                    section.missing("proxy_url", ProxyUrl::EXPECTED);
                }
                RemoteImages::Block
            }
        };
        Self { remote_images, budget: positive(section, "budget", Duration::from_millis(250)) }
    }
}

/// The words for [`RemoteImages`].
#[derive(Clone, Copy)]
enum Remote {
    Block,
    Keep,
    ProxyUrl,
}

impl Telemetry {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        let formats = [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)];
        let expected = "an address and a port to listen on, such as \"127.0.0.1:9464\"";
        Self {
            log: section.get_or("log", Filter("info".to_owned())).0,
            format: section.one_of_or_first("format", formats),
            listen: section.parsed("listen", expected, |text| text.parse().ok()),
        }
    }
}

/// A log filter.
struct Filter(String);

impl Setting for Filter {
    const EXPECTED: &'static str =
        "a level (error, warn, info, debug, trace), or levels by target, such as \"info,mailtri=debug\"";

    fn parse(text: &str) -> Option<Self> {
        telemetry::is_filter(text).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> toml::Value {
        self.0.as_str().into()
    }
}

impl Shutdown {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        Self { grace: positive(section, "grace", Duration::from_secs(45)) }
    }
}

impl Audit {
    pub(super) fn read(section: &Reader<'_>) -> Self {
        let key = section.secret("key");
        if key.as_ref().is_some_and(|key| key.expose_secret().len() < SHORTEST_KEY) {
            let named = if section.is_set("key_file") { "key_file" } else { "key_env" };
            let least =
                format!("the key has to be {SHORTEST_KEY} bytes or more, such as `openssl rand -hex 32` prints");
            section.reject_hidden(named, None, &least);
        }
        Self { key }
    }
}

/// A duration that has to be more than nothing.
pub(super) fn positive(section: &Reader<'_>, key: &str, default: Duration) -> Duration {
    let duration = section.get_or(key, default);
    if duration.is_zero() {
        section.reject(key, "expected more than nothing");
    }
    duration
}

/// A size that has to be more than nothing.
pub(super) fn bytes(section: &Reader<'_>, key: &str, default: u64) -> u64 {
    let Size(bytes) = section.get_or(key, Size(default));
    if bytes == 0 {
        section.reject(key, "expected more than nothing");
    }
    bytes
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}
