//! An HTTP/1.1 proxy that does wrong on request: it stands before an emulator and delays, throttles, cuts, resets,
//! swallows, repeats or answers the requests that a rule names.
//!
//! It listens on 127.0.0.1, speaks no TLS, needs a `content-length` of each request that has a body, and ends with its
//! owner. A rule that hits a share of its requests hits every n-th of them, so that a test does not depend on luck.

mod connection;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It goes on only after this long.
    Latency(Duration),
    /// Its answer comes at this many bytes a second.
    Throttle(u32),
    /// It is carried out; the connection is closed after this many bytes of the answer.
    CutAfter(u64),
    /// It is carried out; the connection is reset after this many bytes of the answer.
    ResetAfter(u64),
    /// It goes nowhere, and no answer ever comes; the connection stays open.
    BlackHole,
    /// It is carried out, and no answer ever comes; the connection stays open.
    LoseAnswer,
    /// It is carried out so many times; the last answer comes.
    Repeat(u32),
    /// It goes nowhere and is answered so.
    Answer(Answer),
}

/// An answer of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Such as 503.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// An answer without headers of its own.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error as the JSON protocol of AWS has it, such as `ThrottlingException`.
    pub fn aws_json(status: u16, code: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())];
        Self { headers, ..Self::new(status, format!("{{\"__type\":\"{code}\",\"message\":\"injected\"}}")) }
    }
}

/// Which requests go wrong, and how. Of the rules that match a request the first that hits it applies.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A part of the request's head, such as `SendMessageBatch` or `GET /mail/`; empty for all requests.
    pub part: String,
    /// The share of these requests, in 0..=1.
    pub share: f64,
    /// What goes wrong.
    pub fault: Fault,
}

impl Rule {
    /// A rule for every request with `part` in its head.
    pub fn all(part: &str, fault: Fault) -> Self {
        Self::share(part, 1.0, fault)
    }

    /// A rule for a share of them.
    pub fn share(part: &str, share: f64, fault: Fault) -> Self {
        Self { part: part.to_owned(), share, fault }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Each with the share that it still owes.
    rules: Mutex<Vec<(Rule, f64)>>,
    heads: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Notes a request and says what goes wrong with it.
    fn note(&self, head: &str) -> Option<Fault> {
        lock(&self.heads).push(head.to_owned());
        for (rule, owed) in lock(&self.rules).iter_mut() {
            if head.contains(&rule.part) {
                *owed += rule.share;
                if *owed >= 1.0 {
                    *owed -= 1.0;
                    return Some(rule.fault.clone());
                }
            }
        }
        None
    }
}

/// A running proxy; dropping it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before `upstream`, without faults.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Its address: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces the rules; none ends all faults. Requests under way keep theirs.
    pub fn rules(&self, rules: impl IntoIterator<Item = Rule>) {
        *lock(&self.shared.rules) = rules.into_iter().map(|rule| (rule, 0.0)).collect();
    }

    /// The head of every request so far.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.shared.heads).clone()
    }

    /// How many requests with `part` in their head came so far.
    pub fn requests(&self, part: &str) -> usize {
        lock(&self.shared.heads).iter().filter(|head| head.contains(part)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    // A client that leaves, or an upstream that is gone, ends its connection and nothing else.
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection::serve(client, upstream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
