//! A clamd over a Unix socket or TCP: one connection a command, and a deadline on every step of it.
//!
//! Of the crate `clamav-client` this uses the transports. Its commands have no deadline and no bound on the reply, its
//! scan never reads the answer after a failed write, and its `clean()` looks for "OK" anywhere in it; so the
//! exchange and its replies are our own (`exchange`, [`reply`]).

use std::time::Duration;

use tokio::time::timeout;

use super::{
    Content, EngineVersion, ScanError, Verdict,
    endpoint::{Connection, Endpoint},
    exchange, reply,
};

/// The answer to RELOAD.
const RELOADING: &[u8] = b"RELOADING\0";

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect, and to answer a command that is no scan.
    pub connect: Duration,
    /// To take one chunk of at most 1 MiB.
    pub write: Duration,
    /// A whole scan, from the connection to the verdict.
    pub scan: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), write: Duration::from_secs(30), scan: Duration::from_secs(120) }
    }
}

/// One clamd.
#[derive(Debug, Clone)]
pub struct Clamd {
    endpoint: Endpoint,
    deadlines: Deadlines,
}

/// A connection that nothing was sent on yet.
pub(super) struct Connected {
    pub(super) connection: Box<dyn Connection>,
    write: Duration,
}

impl Clamd {
    /// The clamd at `endpoint`; nothing is connected yet.
    pub const fn new(endpoint: Endpoint, deadlines: Deadlines) -> Self {
        Self { endpoint, deadlines }
    }

    /// Where it listens.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How long its steps may take.
    pub const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Whether it answers. That it detects anything is for [`super::selftest::self_test`] to say.
    ///
    /// # Errors
    /// [`ScanError::Unreachable`] or [`ScanError::Unavailable`] without an answer, [`ScanError::Garbled`] for another one.
    pub async fn ping(&self) -> Result<(), ScanError> {
        let reply = self.ask(b"zPING\0").await?;
        if reply == clamav_client::PONG { Ok(()) } else { Err(ScanError::Garbled) }
    }

    /// The engine's and the signatures' version.
    ///
    /// # Errors
    /// As [`Clamd::ping`].
    pub async fn version(&self) -> Result<EngineVersion, ScanError> {
        reply::version(&self.ask(b"zVERSION\0").await?)
    }

    /// How many threads it scans with (`MaxThreads`); `None` if it does not say.
    ///
    /// # Errors
    /// As [`Clamd::ping`].
    pub async fn max_threads(&self) -> Result<Option<usize>, ScanError> {
        self.ask(b"zSTATS\0").await.map(|reply| reply::max_threads(&reply))
    }

    /// Has it load its signatures anew. It answers at once, and loads after that.
    ///
    /// # Errors
    /// As [`Clamd::ping`].
    pub async fn reload(&self) -> Result<(), ScanError> {
        let reply = self.ask(b"zRELOAD\0").await?;
        if reply == RELOADING { Ok(()) } else { Err(ScanError::Garbled) }
    }

    /// Whether it takes streams of so many bytes. None of them is sent.
    ///
    /// # Errors
    /// As [`Clamd::ping`].
    pub async fn takes(&self, len: u32) -> Result<bool, ScanError> {
        let mut connected = self.connect().await?;
        self.answered(exchange::offer(&mut connected.connection, len)).await
    }

    /// Streams the bytes to it and returns its verdict.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn scan(&self, content: Content<'_>) -> Result<Verdict, ScanError> {
        let scan = async { self.connect().await?.scan(content).await };
        timeout(self.deadlines.scan, scan).await.unwrap_or(Err(ScanError::Deadline))
    }

    pub(super) async fn connect(&self) -> Result<Connected, ScanError> {
        let failed = |error: &dyn std::fmt::Display| ScanError::Unreachable(format!("{}: {error}", self.endpoint));
        match timeout(self.deadlines.connect, self.endpoint.connect()).await {
            Ok(Ok(connection)) => Ok(Connected { connection, write: self.deadlines.write }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(elapsed) => Err(failed(&elapsed)),
        }
    }

    /// The answer to what is no scan.
    async fn answered<T>(&self, answer: impl Future<Output = Result<T, ScanError>>) -> Result<T, ScanError> {
        let silent = |_| Err(ScanError::Unavailable(format!("no answer within {:?}", self.deadlines.connect)));
        timeout(self.deadlines.connect, answer).await.unwrap_or_else(silent)
    }

    async fn ask(&self, command: &[u8]) -> Result<Vec<u8>, ScanError> {
        let mut connected = self.connect().await?;
        self.answered(exchange::ask(&mut connected.connection, command)).await
    }
}

impl Connected {
    /// Past its caller's deadline the exchange is dropped, and the connection with it.
    pub(super) async fn scan(mut self, content: Content<'_>) -> Result<Verdict, ScanError> {
        let source = content.open.await?;
        exchange::scan(&mut self.connection, source, self.write).await
    }
}
