//! iprev (RFC 8601 §3): whether the name that DNS gives the client's address leads back to it.

use std::net::IpAddr;

use mail_auth::{IprevResult as Theirs, MessageAuthenticator};
use shared::pii::Pii;

use super::{
    Domain,
    results::{Iprev, IprevResult, Why},
};

impl Iprev {
    /// A result about a client, without its name.
    pub(super) fn about(ip: IpAddr, result: IprevResult, why: Why) -> Self {
        Self { result, why: Some(why), client_ip: Some(Pii::new(ip)), name: None }
    }

    /// Whether the client has one name, which leads back to it.
    pub(super) fn names_the_only_one(&self) -> bool {
        self.result == IprevResult::Pass && self.name.is_some()
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
