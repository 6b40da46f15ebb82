//! Where a Redis is. An address that could not be served, or not safely, is refused when it is read.

use std::fmt;

use deadpool_redis::redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

/// Why a URL is refused. Never says the URL: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL of a Redis.
    #[error("a Redis URL is written redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]")]
    Syntax,
    /// It names a Redis Cluster.
    #[error("Redis Cluster is not supported: give the URL of a single Redis or of one primary with replicas")]
    Cluster,
    /// It asks for TLS that trusts anyone.
    #[error("\"#insecure\" is not supported: give the certificate of the authority that signed the server's")]
    Insecure,
    /// A certificate authority was given that is none, or for a URL without TLS.
    #[error("the Redis certificate authority must be PEM certificates, and its URL begin with rediss://")]
    Authority,
}

/// The address of one Redis, with what it takes to log in.
#[derive(Clone)]
pub struct Address(ConnectionInfo);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(self.0.addr()).finish()
    }
}

impl Address {
    /// Reads a URL: `redis://`, `rediss://` (TLS), `redis+unix://`, with user and password where the server asks for
    /// them. `authority` holds the PEM certificates to trust instead of the system's.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(url: &str, authority: Option<&[u8]>) -> Result<Self, AddressError> {
        if names_a_cluster(url) {
            return Err(AddressError::Cluster);
        }
        let mut info = url.into_connection_info().map_err(|_| AddressError::Syntax)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(AddressError::Insecure);
        }
        if let Some(pem) = authority {
            info = trusting(info, pem)?;
        }
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        Ok(Self(info.set_tcp_settings(tcp)))
    }

    pub(super) fn info(&self) -> ConnectionInfo {
        self.0.clone()
    }
}

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn trusting(info: ConnectionInfo, pem: &[u8]) -> Result<ConnectionInfo, AddressError> {
    // Without this an empty file would be taken for "trust nobody".
    if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
        return Err(AddressError::Authority);
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
    let client = Client::build_with_tls(info, certificates).map_err(|_| AddressError::Authority)?;
    Ok(client.get_connection_info().clone())
}

/// The spellings in use for a cluster: its own scheme, several hosts, or a parameter.
fn names_a_cluster(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or(place);
    let hosts = authority.rsplit('@').next().unwrap_or(authority);
    scheme.contains("cluster") || hosts.contains(',') || query.split('&').any(|pair| pair.starts_with("cluster"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> AddressError {
        Address::parse(url, None).unwrap_err()
    }

    #[test]
    fn one_redis_is_accepted() {
        for url in [
            "redis://127.0.0.1",
            "redis://127.0.0.1:6380/3",
            "redis://:pass,word@host:6379",
            "redis://user:pass@[::1]/",
            "rediss://host",
            "redis+unix:///run/redis.sock",
        ] {
            assert!(Address::parse(url, None).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_cluster_is_refused() {
        for url in [
            "redis-cluster://a:7000",
            "rediss+cluster://a",
            "redis://a:7000,b:7000",
            "redis://:p@a,b",
            "redis://a?cluster=true",
        ] {
            assert_eq!(refused(url), AddressError::Cluster, "{url}");
        }
    }

    #[test]
    fn what_is_no_redis_url_is_refused() {
        for url in ["", "127.0.0.1:6379", "http://host", "redis://", "redis://host/database", "redis+sentinel://host"] {
            assert_eq!(refused(url), AddressError::Syntax, "{url}");
        }
        assert_eq!(refused("rediss://host/#insecure"), AddressError::Insecure);
    }

    #[test]
    fn an_authority_needs_tls_and_certificates() {
        let tls = Address::parse("rediss://host", Some(b"no certificate"));
        assert_eq!(tls.unwrap_err(), AddressError::Authority);
        let plain = Address::parse("redis://host", Some(b"-----BEGIN CERTIFICATE-----"));
        assert_eq!(plain.unwrap_err(), AddressError::Authority);
    }

    #[test]
    fn the_password_is_not_printed() {
        let address = Address::parse("redis://user:secret-word@host", None).unwrap();
        assert_eq!(format!("{address:?}"), r#"Address(Tcp("host", 6379))"#);
        assert!(!AddressError::Syntax.to_string().contains("secret-word"));
    }
}
