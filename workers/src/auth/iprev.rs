//! iprev (RFC 8601 §3): whether the name that DNS gives the client's address leads back to it.

use std::net::IpAddr;

use mail_auth::{IprevResult as Theirs, MessageAuthenticator};
use shared::pii::Pii;

use super::{
    Domain,
    allowance::{Allowance, ClientNames},
    results::{Iprev, IprevResult, Why},
};

impl Iprev {
    /// A result about a client, without its name.
    pub(super) fn about(ip: IpAddr, result: IprevResult, why: Why) -> Self {
        Self { result, why: Some(why), client_ip: Some(Pii::new(ip)), name: None }
    }
}

/// Asks DNS: for the client's names, and for the addresses of the first two.
pub(super) async fn ask(dns: &MessageAuthenticator, ip: IpAddr) -> Iprev {
    let output = dns.verify_iprev(ip).await;
    let names = output.ptr.as_deref();
    match &output.result {
        Theirs::Pass => {
            let name = names.and_then(|names| match names {
                [only] => Domain::parse(only),
                _ => None,
            });
            Iprev { result: IprevResult::Pass, why: None, client_ip: Some(Pii::new(ip)), name }
        }
        Theirs::Fail(_) => Iprev::about(ip, IprevResult::Fail, Why::NoMatch),
        Theirs::TempError(_) => Iprev::about(ip, IprevResult::TempError, Why::DnsFailed),
        // `permerror` is for addresses without a name (RFC 8601 §2.7.3); a name without an address does not match.
        Theirs::PermError(_) if names.is_some() => Iprev::about(ip, IprevResult::Fail, Why::NoMatch),
        Theirs::PermError(_) => Iprev::about(ip, IprevResult::PermError, Why::NoRecord),
        Theirs::None => Iprev::about(ip, IprevResult::TempError, Why::DnsFailed),
    }
}

/// The most names of a client that are looked at (RFC 7208 §4.6.4).
const MAX_NAMES: usize = 10;

/// A client's names that lead back to it, as SPF asks for them; `unknown` without one (RFC 7208 §5.5, §7.3).
pub(super) async fn validated(dns: &MessageAuthenticator, ip: IpAddr) -> Vec<Box<str>> {
    let named = dns.ptr_lookup(ip, None::<&ClientNames>).await;
    let mut validated = Vec::new();
    for name in named.iter().flat_map(|named| named.records.iter()).take(MAX_NAMES) {
        let leads_back = match ip {
            IpAddr::V4(ip) => {
                dns.ipv4_lookup(name, None::<&Allowance>).await.is_ok_and(|found| found.records.contains(&ip))
            }
            IpAddr::V6(ip) => {
                dns.ipv6_lookup(name, None::<&Allowance>).await.is_ok_and(|found| found.records.contains(&ip))
            }
        };
        if leads_back {
            validated.push(name.strip_suffix('.').unwrap_or(name).into());
        }
    }
    if validated.is_empty() { vec!["unknown".into()] } else { validated }
}
