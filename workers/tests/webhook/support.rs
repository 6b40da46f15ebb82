//! A receiver on 127.0.0.1 that answers as it is told and records what it got, and the certificates for it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use mailtri::webhook::{Attempt, Delivery, DestinationHttp, SigningSecret, SigningSecrets, WebhookClient, WebhookId};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// Only for what would otherwise hang for ever; nothing is measured by it.
const GENEROUS: Duration = Duration::from_secs(60);

/// A certificate authority of the test's own, and its file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server's TLS with a certificate for `host`, offering `alpn`.
    pub(crate) fn acceptor(&self, host: &str, alpn: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How the receiver answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, and on with the connection.
    Bytes(String),
    /// This head, then megabytes without end until the client has had enough.
    Flood(String),
    /// This much, then silence on an open connection.
    Stall(String),
    /// This much, then a byte at a time without end (slow-loris).
    Drip(String),
    /// Nothing: the connection is closed.
    Close,
}

pub(crate) fn status(status: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok"))
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) flooded: AtomicUsize,
    pub(crate) requests: Mutex<Vec<Request>>,
}

/// A receiver; it ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub(crate) async fn start(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, answer, tls, seen.clone()));
        Self { address, seen, task }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// A destination that may reach this receiver.
    pub(crate) fn destination(&self, scheme: &str, host: &str) -> DestinationHttp {
        let url = format!("{scheme}://{host}:{}/hook?key=1", self.address.port()).parse().unwrap();
        let allow_cidrs = vec!["127.0.0.1/32".parse().unwrap()];
        DestinationHttp { allow_cidrs, allow_http: scheme == "http", ..DestinationHttp::new(url) }
    }
}

async fn accept(listener: TcpListener, answer: Answer, tls: Option<TlsAcceptor>, seen: Arc<Seen>) {
    // Connections end with the receiver: the set aborts them when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (answer, tls, seen) = (answer.clone(), tls.clone(), seen.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, answer, seen).await,
                // A client that refuses the certificate ends the handshake: that is for the client's side to tell.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => serve_h2(stream, seen).await,
                    Ok(stream) => serve(stream, answer, seen).await,
                    Err(_) => {}
                },
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, seen: Arc<Seen>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        seen.requests.lock().unwrap().push(request);
        match &answer {
            Answer::Bytes(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::Close => return,
            Answer::Stall(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                std::future::pending::<()>().await;
            }
            Answer::Drip(bytes) => return drip(stream, bytes).await,
            Answer::Flood(head) => return flood(stream, head, &seen).await,
        }
        stream.flush().await.unwrap();
    }
}

async fn drip(mut stream: impl AsyncWrite + Unpin, head: &str) {
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
        pace.tick().await;
    }
}

async fn flood(mut stream: impl AsyncWrite + Unpin, head: &str, seen: &Seen) {
    stream.write_all(head.as_bytes()).await.unwrap();
    let block = vec![b'x'; 16 * 1024];
    while stream.write_all(&block).await.is_ok() {
        seen.flooded.fetch_add(block.len(), Ordering::SeqCst);
    }
}

async fn serve_h2(stream: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Seen>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, _) = request.into_parts();
        let line = format!("{} {} {:?}", head.method, head.uri.path(), head.version);
        seen.requests.lock().unwrap().push(Request { line, headers: head.headers, body: vec![] });
        respond.send_response(Default::default(), true).unwrap();
    }
}

async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut request = Request { line: read_line(stream).await?, ..Request::default() };
    while let Some(line) = read_line(stream).await.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        request.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let length = request.headers.get("content-length")?.to_str().unwrap().parse().unwrap();
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

async fn read_line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

pub(crate) fn client(destination: &DestinationHttp) -> WebhookClient {
    WebhookClient::new(destination).unwrap()
}

/// Sends one small body.
pub(crate) async fn send(client: &WebhookClient) -> Delivery {
    send_body(client, Bytes::from_static(b"{\"type\":\"mail.processed\"}")).await
}

pub(crate) async fn send_body(client: &WebhookClient, body: Bytes) -> Delivery {
    let id = WebhookId::new("mail_01-a").unwrap();
    let secrets = SigningSecrets::from(SECRET.parse::<SigningSecret>().unwrap());
    let attempt = Attempt { id: &id, timestamp: Timestamp::now(), body, secrets: &secrets };
    tokio::time::timeout(GENEROUS, client.send(&attempt)).await.expect("an attempt ends by itself")
}
