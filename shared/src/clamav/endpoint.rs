//! Where a clamd listens, and connections to it.

use std::{fmt, io, path::PathBuf, str::FromStr};

use clamav_client::tokio::{Socket, Tcp, TransportProtocol};
use tokio::io::{AsyncRead, AsyncWrite};

/// Where a clamd listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A Unix socket (`LocalSocket`).
    Unix(PathBuf),
    /// A host and port (`TCPSocket`).
    Tcp(String),
}

/// Text that is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a clamd endpoint is written \"unix:/path\", \"/path\", \"tcp:host:port\" or \"host:port\"")]
pub struct EndpointSyntax;

impl FromStr for Endpoint {
    type Err = EndpointSyntax;

    fn from_str(text: &str) -> Result<Self, EndpointSyntax> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        let (host, port) = address.rsplit_once(':').ok_or(EndpointSyntax)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
        };
        let is_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
        if is_host && is_port { Ok(Self::Tcp(address.to_owned())) } else { Err(EndpointSyntax) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A connection to clamd. Dropping it closes it at once.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Endpoint {
    /// `host:port`, where the host is a name.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) if address.parse::<std::net::SocketAddr>().is_err() => Some(address),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Unix(path) => Box::new(Socket { socket_path: path }.connect().await?),
            Self::Tcp(address) => {
                let stream = Tcp { host_address: address.as_str() }.connect().await?;
                // The terminator is a small write after a large one: without this it waits for an acknowledgement.
                stream.set_nodelay(true)?;
                // Closing before the end is an abort: unsent bytes are dropped and clamd sees a reset.
                stream.set_zero_linger()?;
                Box::new(stream)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, written) in [
            ("unix:/run/clamd.ctl", "unix:/run/clamd.ctl"),
            ("/run/clamd.ctl", "unix:/run/clamd.ctl"),
            ("tcp:clamav:3310", "tcp:clamav:3310"),
            ("clamav-1.scan.svc:3310", "tcp:clamav-1.scan.svc:3310"),
            ("127.0.0.1:3310", "tcp:127.0.0.1:3310"),
            ("[::1]:3310", "tcp:[::1]:3310"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), written);
            assert_eq!(written.parse(), Ok(endpoint));
        }
        for text in [
            "",
            "unix:",
            "unix:run/x",
            "clamav",
            "tcp:clamav",
            ":3310",
            "clamav:",
            "a:0",
            "a:65536",
            "a:+1",
            "::1:3310",
            "a b:1",
            "[x]:1",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointSyntax), "{text:?}");
        }
    }
}
