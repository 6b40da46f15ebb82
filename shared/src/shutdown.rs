//! Stopping in two phases: first nothing new is taken and what runs may end; then what still runs is
//! cancelled, in time to give it back to its queue before the grace period is over.

use std::{io, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two phases, shared by everything in the process.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled when nothing new may be taken.
    pub draining: CancellationToken,
    /// Cancelled when what still runs has to stop.
    pub cancelled: CancellationToken,
    /// Cancelled when the grace period is over: what is not settled by now comes back by itself.
    pub over: CancellationToken,
}

/// The part of the grace period that is kept for giving jobs back.
#[must_use]
pub fn reserve(grace: Duration) -> Duration {
    (grace / 4).min(Duration::from_secs(5))
}

impl Shutdown {
    /// Drains on the first SIGTERM or SIGINT, cancels when `grace` less its [`reserve`] has passed or at the second
    /// signal, and is over shortly before the end of `grace`.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals(&self, grace: Duration) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let this = self.clone();
        tokio::spawn(async move {
            let mut next = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
            next().await;
            tracing::info!("draining: no new jobs; running ones may end");
            this.draining.cancel();
            tokio::select! { () = tokio::time::sleep(grace - reserve(grace)) => (), () = next() => () }
            this.cancelled.cancel();
            tokio::time::sleep(reserve(grace).mul_f64(0.8)).await;
            this.over.cancel();
        });
        Ok(())
    }

    /// Drains and cancels at once.
    pub fn now(&self) {
        self.draining.cancel();
        self.cancelled.cancel();
    }
}
