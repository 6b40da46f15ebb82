//! Which destinations may be connected to: no address is connected to that was not judged first.
//!
//! A destination's URL is judged when its client is built, a literal address in it with it ([`EgressPolicy::check_url`]);
//! a name is judged each time that a connection resolves it, and the connection goes to the very addresses that were
//! judged ([`GuardedResolver`]). So a name that later points elsewhere (DNS rebinding) gains nothing.

mod ranges;
mod resolver;

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

pub use ranges::{Range, special_range};
pub use resolver::{GuardedResolver, Lookup, ResolveError, SystemLookup};

/// What one destination may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Networks that are reachable although they are not public.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether plain `http` will do: a switch for development.
    pub allow_http: bool,
}

/// Why a URL is no destination. Never shows the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is neither `https` nor, by the development switch, `http`.
    #[error("the URL of a webhook is https (http only with `allow_http`)")]
    Scheme,
    /// It carries a user name or a password.
    #[error("the URL of a webhook carries no credentials")]
    Credentials,
    /// It names no host.
    #[error("the URL of a webhook names a host")]
    Host,
    /// Its port is 0. Any other port may be named: URLs come from the operator's configuration.
    #[error("the URL of a webhook has no port 0")]
    Port,
    /// Its host is an address outside the public Internet and outside the allow-list.
    #[error("the URL's address is {} and within none of the allowed CIDRs", .0.name())]
    Denied(Range),
}

impl EgressPolicy {
    /// Judges an address: it is public, or within one of the allowed networks, or denied for its range.
    ///
    /// An IPv6 address that carries an IPv4 address is allowed by a network of either.
    pub fn check(&self, ip: IpAddr) -> Result<(), Range> {
        let Some(range) = special_range(ip) else { return Ok(()) };
        let carried = ranges::carried_ipv4(ip).map(IpAddr::V4);
        let allowed = |net: &IpNet| net.contains(&ip) || carried.is_some_and(|v4| net.contains(&v4));
        if self.allow_cidrs.iter().any(allowed) { Ok(()) } else { Err(range) }
    }

    /// Judges a URL, and the address in it if its host is one.
    ///
    /// Decimal, octal, hexadecimal, shortened, percent-encoded and full-width hosts are addresses by now: the `url` crate
    /// turns all of them into one (WHATWG URL §3.5), and the connection is made from the same parsed URL.
    pub fn check_url(&self, url: &Url) -> Result<(), UrlError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(UrlError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.port() == Some(0) {
            return Err(UrlError::Port);
        }
        match url.host().ok_or(UrlError::Host)? {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(ip) => self.check(ip.into()).map_err(UrlError::Denied),
            Host::Ipv6(ip) => self.check(ip.into()).map_err(UrlError::Denied),
        }
    }
}

#[cfg(test)]
mod table;
