//! An https receiver of webhooks on the loopback: the oracle of the scenarios.
//!
//! It verifies every signature with the `standardwebhooks` crate, which shares no code with the signer under test,
//! and answers 400 to what does not verify. What it takes counts from the moment it was read: a real receiver acts
//! before it answers.

mod book;
mod tls;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri, header::LOCATION},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use standardwebhooks::Webhook;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};

pub use book::{Answer, Arrival, Book, Report};

use crate::mails::Mail;
use book::Obligation;

/// A running receiver; it ends when dropped.
pub struct Receiver {
    port: u16,
    dir: PathBuf,
    _temp: Option<TempDir>,
    secret: String,
    book: watch::Sender<Book>,
    _server: JoinSet<()>,
}

struct Desk {
    webhook: Webhook,
    book: watch::Sender<Book>,
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let receiver = Self::start_in(temp.path()).await;
        Self { _temp: Some(temp), ..receiver }
    }

    /// Starts a receiver that leaves its authority's certificate and its secret (`ca.pem`, `secret`) in `dir`.
    pub async fn start_in(dir: &Path) -> Self {
        let listener = tls::TlsListener::bind(&dir.join("ca.pem")).await;
        let port = listener.address().port();
        let secret = format!("whsec_{}", BASE64_STANDARD.encode(rand::random::<[u8; 32]>()));
        fs::write(dir.join("secret"), &secret).unwrap();
        let book = watch::Sender::new(Book::default());
        let desk = Arc::new(Desk { webhook: Webhook::new(&secret).unwrap(), book: book.clone() });
        let app = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(desk);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, dir: dir.to_owned(), _temp: None, secret, book, _server: server }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// The certificate of the authority that signed the receiver's.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The file that holds the secret.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.dir.join("secret")
    }

    /// The `whsec_` secret that requests have to be signed with.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Answers requests at `path` with `first`, one after another, and all that follow with `then`.
    pub fn plan(&self, path: &str, first: &[Answer], then: Answer) {
        let plan = (first.iter().copied().collect(), Some(then));
        self.book.send_modify(|book| drop(book.plans.insert(path.to_owned(), plan)));
    }

    /// Holds it an obligation that `mail` arrives at `path`.
    pub fn expect(&self, path: &str, mail: &Mail) {
        self.book.send_modify(|book| {
            book.obligations.insert(Obligation::of(path, mail));
        });
    }

    /// Lets `mail` arrive at `path` without an obligation that it does: the path refuses everything.
    pub fn allow(&self, path: &str, mail: &Mail) {
        self.book.send_modify(|book| {
            book.allowed.insert(Obligation::of(path, mail));
        });
    }

    /// Waits until the book meets a condition.
    ///
    /// # Panics
    /// When `limit` passes first; says what is missing.
    pub async fn wait(&self, limit: Duration, condition: impl FnMut(&Book) -> bool) {
        let mut book = self.book.subscribe();
        if tokio::time::timeout(limit, book.wait_for(condition)).await.is_err() {
            panic!("not within {limit:?}: {:#?}", self.report());
        }
    }

    /// Waits until every obligation is met, and reports.
    ///
    /// # Panics
    /// When `limit` passes first.
    pub async fn wait_complete(&self, limit: Duration) -> Report {
        self.wait(limit, Book::complete).await;
        self.report()
    }

    /// What became of the obligations so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.book.borrow().report()
    }

    /// Looks into the book.
    pub fn book<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.borrow())
    }
}

async fn take(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let answer = desk.record(uri.path(), &headers, &body);
    match answer {
        Ok(Answer::Slow(delay)) => tokio::time::sleep(delay).await,
        Ok(Answer::Hang) => std::future::pending().await,
        Ok(_) => {}
        Err(()) => return StatusCode::BAD_REQUEST.into_response(),
    }
    let status = answer.ok().and_then(Answer::status).and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or_default();
    if status.is_redirection() { (status, [(LOCATION, "/elsewhere")]).into_response() } else { status.into_response() }
}

impl Desk {
    /// Verifies a request, enters it, and says how to answer.
    fn record(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Answer, ()> {
        let mut answer = Err(());
        self.book.send_modify(|book| match self.read(path, headers, body) {
            Ok(arrival) => {
                let decided = book.answer(path);
                book.arrivals.push(Arrival { answer: decided, ..arrival });
                answer = Ok(decided);
            }
            Err(problem) => book.unverified.push(format!("{path}: {problem}")),
        });
        answer
    }

    fn read(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Arrival, String> {
        self.webhook.verify(body, headers).map_err(|e| e.to_string())?;
        let payload: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let sha256 = payload["data"]["raw"]["sha256"].as_str().ok_or("no data.raw.sha256")?.to_owned();
        let id = headers["webhook-id"].to_str().map_err(|e| e.to_string())?.to_owned();
        Ok(Arrival {
            at: std::time::Instant::now(),
            path: path.to_owned(),
            id,
            sha256,
            body: book::body_hash(&payload),
            answer: Answer::Hang,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    struct Sender(reqwest::Client);

    impl Sender {
        fn new(receiver: &Receiver) -> Self {
            let ca = reqwest::Certificate::from_pem(&fs::read(receiver.ca_file()).unwrap()).unwrap();
            let redirect = reqwest::redirect::Policy::none();
            Self(reqwest::Client::builder().tls_certs_only([ca]).redirect(redirect).no_proxy().build().unwrap())
        }

        async fn post(&self, url: String, secret: &str, mail: &Mail) -> u16 {
            let body = format!(r#"{{"data":{{"raw":{{"sha256":"{}"}},"subject":"{}"}}}}"#, mail.sha256(), mail.marker);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let signed = Webhook::new(secret).unwrap().sign("id", now.try_into().unwrap(), body.as_bytes()).unwrap();
            let request = self.0.post(url).header("webhook-id", "id").header("webhook-signature", signed);
            request.header("webhook-timestamp", now.to_string()).body(body).send().await.unwrap().status().as_u16()
        }
    }

    fn mail() -> Mail {
        crate::mails::Mails::new("m", crate::soak::seeded("receiver")).text()
    }

    #[tokio::test]
    async fn it_takes_what_is_signed_and_refuses_and_remembers_what_is_not() {
        let (receiver, mail) = (Receiver::start().await, mail());
        receiver.expect("/hook", &mail);
        let sender = Sender::new(&receiver);
        let foreign = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
        assert_eq!(sender.post(receiver.url("/hook"), &foreign, &mail).await, 400);
        assert_eq!(receiver.report().lost.len(), 1);
        assert_eq!(sender.post(receiver.url("/hook"), receiver.secret(), &mail).await, 200);
        let report = receiver.wait_complete(Duration::from_secs(10)).await;
        assert_eq!((report.delivered, report.unverified.len(), report.lost.len()), (1, 1, 0));
    }

    #[tokio::test]
    async fn it_answers_as_planned_path_by_path() {
        let (receiver, mail) = (Receiver::start().await, mail());
        receiver.plan("/bad", &[Answer::Status(503), Answer::Redirect], Answer::Status(410));
        receiver.plan("/slow", &[], Answer::Slow(Duration::from_millis(50)));
        let sender = Sender::new(&receiver);
        for (path, status) in [("/bad", 503), ("/slow", 200), ("/bad", 302), ("/bad", 410), ("/bad", 410), ("/", 200)] {
            assert_eq!(sender.post(receiver.url(path), receiver.secret(), &mail).await, status, "{path}");
        }
    }
}
