//! One destination's HTTP client: signs, sends once, and says what became of it.
//!
//! It connects only where its [`EgressPolicy`] lets it, follows no redirect, reads no proxy from the environment, and
//! keeps its connections for the next delivery.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use ipnet::IpNet;
use jiff::Timestamp;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue},
    redirect,
};
use url::Url;

use super::{
    Delivery, FailureKind, SigningSecrets, WebhookId, ca,
    egress::{EgressPolicy, GuardedResolver, Lookup, SystemLookup, UrlError},
    retry_after::retry_after,
    signature,
};

const USER_AGENT: &str = concat!("mailtri/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read: its status alone counts, the rest only frees the connection for the next delivery.
const READ_LIMIT: usize = 64 * 1024;
/// How long that may take; a slower answer costs its connection.
const READ_TIME: Duration = Duration::from_secs(2);
/// Shorter than the keep-alive of the usual servers, so that a delivery seldom meets a connection being closed.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// A webhook destination, as configured. `Debug` leaves out the URL: its path often holds a token.
#[derive(Clone)]
pub struct DestinationHttp {
    /// Where to send. Any port may be named.
    pub url: Url,
    /// More certificate authorities than the system's own, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Networks that may be reached although they are not public.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether the URL may be plain `http`: a switch for development.
    pub allow_http: bool,
    /// The longest that one attempt takes, from its name's resolution to the answer's headers.
    pub timeout: Duration,
    /// The longest that a connection takes: name, TCP and TLS.
    pub connect_timeout: Duration,
}

impl DestinationHttp {
    /// A destination with the defaults: https to public addresses, 30 s an attempt, 5 s a connection.
    pub fn new(url: Url) -> Self {
        let (timeout, connect_timeout) = (Duration::from_secs(30), Duration::from_secs(5));
        Self { url, ca_file: None, allow_cidrs: vec![], allow_http: false, timeout, connect_timeout }
    }
}

impl fmt::Debug for DestinationHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationHttp")
            .field("allow_cidrs", &self.allow_cidrs)
            .field("allow_http", &self.allow_http)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a destination's client cannot be built. Shows neither the URL nor a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The URL is no destination.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The CA file cannot be read.
    #[error("the CA file cannot be read: {0}")]
    CaUnreadable(io::ErrorKind),
    /// The CA file holds no certificate, or a broken one.
    #[error("the CA file holds no valid PEM certificate")]
    CaInvalid,
    /// The TLS client cannot be set up: where there is no CA file, the system may have no certificate authorities.
    #[error(
        "the TLS client cannot be set up: a CA certificate is broken, or neither a CA file nor the system gives any"
    )]
    Tls,
}

/// One attempt to deliver. Not `Debug`: its body is a mail's content.
#[derive(Clone)]
pub struct Attempt<'a> {
    /// The same in every attempt of one delivery.
    pub id: &'a WebhookId,
    /// When this attempt is made: receivers refuse what is more than five minutes off.
    pub timestamp: Timestamp,
    /// The body, the same in every attempt.
    pub body: Bytes,
    /// What to sign with.
    pub secrets: &'a SigningSecrets,
}

/// A destination's client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct WebhookClient {
    http: Client,
    url: Url,
}

impl fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookClient").finish_non_exhaustive()
    }
}

impl WebhookClient {
    /// Builds the client, reading the CA file (a blocking read: at start or reload).
    pub fn new(destination: &DestinationHttp) -> Result<Self, BuildError> {
        Self::with_lookup(destination, Arc::new(SystemLookup))
    }

    /// The same with another name resolution. What it finds is judged all the same.
    pub fn with_lookup(destination: &DestinationHttp, lookup: Arc<dyn Lookup>) -> Result<Self, BuildError> {
        let DestinationHttp { url, ca_file, allow_cidrs, allow_http, timeout, connect_timeout } = destination.clone();
        let policy = EgressPolicy { allow_cidrs, allow_http };
        policy.check_url(&url)?;
        let authorities = ca_file.as_deref().map(ca::read).transpose()?.unwrap_or_default();
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .https_only(!allow_http)
            .dns_resolver(GuardedResolver::new(policy, lookup))
            .tls_backend_rustls()
            .tls_certs_merge(authorities)
            .user_agent(USER_AGENT)
            .timeout(timeout)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_TIME)
            // An HTTP/2 connection is not given up because its requests time out: one that nobody reads any more would
            // take all deliveries along for as long as it is open. A receiver that is slow answers the ping, or has the
            // whole timeout to.
            .http2_keep_alive_interval(timeout / 2)
            .http2_keep_alive_timeout(timeout)
            .build()
            .map_err(|_| BuildError::Tls)?;
        Ok(Self { http, url })
    }

    /// Signs and sends once. The answer's status alone decides: its body is read as far as reuse of the connection is
    /// worth it, and thrown away.
    pub async fn send(&self, attempt: &Attempt<'_>) -> Delivery {
        let Ok(headers) = headers(attempt) else { return Delivery::Failed { kind: FailureKind::Request } };
        let request = self.http.post(self.url.clone()).headers(headers).body(attempt.body.clone());
        match request.send().await {
            Ok(response) => {
                let delivery =
                    Delivery::of(response.status().as_u16(), retry_after(response.headers(), attempt.timestamp));
                discard(response).await;
                delivery
            }
            Err(error) => Delivery::Failed { kind: FailureKind::of(&error) },
        }
    }
}

fn headers(attempt: &Attempt<'_>) -> Result<HeaderMap, InvalidHeaderValue> {
    let timestamp = attempt.timestamp.as_second();
    let signature = signature(attempt.secrets, attempt.id, timestamp, &attempt.body);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("webhook-id"), HeaderValue::from_str(attempt.id.as_str())?),
        (HeaderName::from_static("webhook-timestamp"), HeaderValue::from(timestamp)),
        (HeaderName::from_static("webhook-signature"), HeaderValue::from_str(&signature)?),
    ]))
}

/// Reads a short answer to its end, so that its connection can be used again, and drops any other with its connection.
async fn discard(mut response: Response) {
    if response.content_length().is_some_and(|length| length > READ_LIMIT as u64) {
        return;
    }
    let whole = async {
        let mut left = READ_LIMIT;
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Either end is fine: the delivery is decided.
    let _ = tokio::time::timeout(READ_TIME, whole).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_errors_show_no_url() {
        let destination = DestinationHttp::new("https://hooks.example.com/canary?canary".parse().unwrap());
        let client = WebhookClient::new(&destination);
        assert!(!format!("{destination:?} {client:?}").contains("canary"));
        let denied = DestinationHttp::new("https://10.9.8.7/canary".parse().unwrap());
        let error = WebhookClient::new(&denied).unwrap_err();
        assert_eq!(error.to_string(), "the URL's address is private and within none of the allowed CIDRs");
    }
}
