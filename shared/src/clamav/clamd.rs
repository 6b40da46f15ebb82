//! A clamd over a Unix socket or TCP: one connection a command, an absolute deadline on all of it.
//!
//! Of the crate `clamav-client` this uses the transports. Its commands have no deadline and no bound on the reply, its
//! scan never reads the answer after a failed write, and its `clean()` looks for "OK" anywhere in it; so the
//! exchange and its replies are our own (`exchange`, [`reply`]).

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    EngineVersion, ScanError, Scanner, Verdict,
    endpoint::{Connection, Endpoint},
    exchange, reply,
};
use crate::blobs::ByteStream;

/// One clamd.
#[derive(Debug, Clone)]
pub struct Clamd {
    endpoint: Endpoint,
}

impl Clamd {
    /// The clamd at `endpoint`; nothing is connected yet.
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Where it listens.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it answers, within `deadline`. That it detects anything is for [`super::selftest::self_test`] to say.
    ///
    /// # Errors
    /// As [`Scanner::version`].
    pub async fn ping(&self, deadline: Duration) -> Result<(), ScanError> {
        let reply = self.ask(b"zPING\0", deadline).await?;
        if reply == clamav_client::PONG { Ok(()) } else { Err(ScanError::Garbled) }
    }

    async fn ask(&self, command: &[u8], deadline: Duration) -> Result<Vec<u8>, ScanError> {
        within(deadline, async { exchange::ask(&mut self.connect().await?, command).await }).await
    }

    async fn connect(&self) -> Result<Box<dyn Connection>, ScanError> {
        let failed = |error| ScanError::Unreachable(format!("{}: {error}", self.endpoint));
        self.endpoint.connect().await.map_err(failed)
    }
}

#[async_trait]
impl Scanner for Clamd {
    async fn scan(&self, stream: ByteStream, deadline: Duration) -> Result<Verdict, ScanError> {
        within(deadline, async { exchange::scan(&mut self.connect().await?, stream).await }).await
    }

    async fn version(&self, deadline: Duration) -> Result<EngineVersion, ScanError> {
        reply::version(&self.ask(b"zVERSION\0", deadline).await?)
    }
}

/// Past the deadline the exchange is dropped, and the connection with it.
async fn within<T>(deadline: Duration, exchange: impl Future<Output = Result<T, ScanError>>) -> Result<T, ScanError> {
    timeout(deadline, exchange).await.unwrap_or(Err(ScanError::Deadline))
}
