//! A session with a clamd that nothing is scanned in: its end is the sign that the process has ended.
//!
//! A clamd that was restarted with another `clamd.conf` answers in the same version, so its version does not tell. The
//! system closes the connections of a process that ends, before another one can listen in its place.

use std::{fmt, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{ScanError, clamd::Clamd, endpoint::Connection};

/// An open session (`IDSESSION`). clamd ends one in which nothing was said for `ReadTimeout`.
pub(super) struct Session {
    connection: Box<dyn Connection>,
    /// How long an answer may take.
    patience: Duration,
    /// Commands that were sent: clamd numbers its answers.
    sent: u64,
}

impl Session {
    /// Opens one.
    ///
    /// # Errors
    /// [`ScanError::Unreachable`] if there is no connection, else as [`Session::ping`].
    pub(super) async fn open(clamd: &Clamd) -> Result<Self, ScanError> {
        let connected = clamd.connect().await?;
        let mut session = Self { connection: connected.connection, patience: clamd.deadlines().connect, sent: 0 };
        session.say(b"zIDSESSION\0zPING\0").await?;
        Ok(session)
    }

    /// Whether it is the same process as when it was opened.
    ///
    /// # Errors
    /// [`ScanError::Unavailable`] if it is not, or does not answer; [`ScanError::Garbled`] for another answer.
    pub(super) async fn ping(&mut self) -> Result<(), ScanError> {
        self.say(b"zPING\0").await
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) {
        // clamd has nothing to say of its own accord, but that it closes a session.
        drop(self.connection.read(&mut [0]).await);
    }

    /// Sends commands of which the last is a ping, and reads its answer.
    async fn say(&mut self, commands: &[u8]) -> Result<(), ScanError> {
        self.sent += 1;
        let wanted = format!("{}: PONG\0", self.sent);
        let mut answer = vec![0; wanted.len()];
        let exchange = async {
            self.connection.write_all(commands).await?;
            self.connection.read_exact(&mut answer).await
        };
        match timeout(self.patience, exchange).await {
            Ok(Ok(_)) if answer == wanted.as_bytes() => Ok(()),
            Ok(Ok(_)) => Err(ScanError::Garbled),
            Ok(Err(error)) => Err(ScanError::Unavailable(format!("its session has ended: {error}"))),
            Err(_) => Err(ScanError::Unavailable(format!("no answer in its session within {:?}", self.patience))),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("sent", &self.sent).finish_non_exhaustive()
    }
}
