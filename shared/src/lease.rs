//! The lease on a received message: one heartbeat each, and a deadline of our own.
//!
//! A queue may answer an expired receipt with success, so whether the lease still holds is decided here, by
//! monotonic time counted from no later than the queue counts. Past it the job is cancelled and nothing is settled.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ids::StageName,
    queue::{MAX_VISIBILITY, QueueError, Receipt, Received, batch::Batcher},
    stage::Progress,
    telemetry::metric,
    visibility::Visibility,
};

/// A held lease. Dropped or stopped, its heartbeat ends.
#[derive(Debug)]
pub(crate) struct Lease {
    lost: CancellationToken,
    until: watch::Receiver<Instant>,
    heartbeat: JoinHandle<()>,
}

struct Heartbeat {
    stage: StageName,
    queue: Batcher,
    receipt: Receipt,
    visibility: Arc<Visibility>,
    /// The queue extends no lease beyond this.
    end: Instant,
    progress: Arc<Progress>,
    lost: CancellationToken,
    until: watch::Sender<Instant>,
}

impl Lease {
    /// Keeps the lease on a message from when it was leased for `leased`.
    pub(crate) fn keep(
        stage: StageName,
        queue: Batcher,
        message: &Received,
        leased: Duration,
        visibility: &Arc<Visibility>,
        progress: Arc<Progress>,
    ) -> Self {
        let (lost, leased_at) = (CancellationToken::new(), message.leased_at);
        let (sender, until) = watch::channel(leased_at + leased);
        let heartbeat = Heartbeat {
            stage,
            queue,
            receipt: message.receipt.clone(),
            visibility: Arc::clone(visibility),
            end: leased_at + MAX_VISIBILITY,
            progress,
            lost: lost.clone(),
            until: sender,
        };
        Self { lost, until, heartbeat: tokio::spawn(heartbeat.beat(leased_at, leased)) }
    }

    /// Resolves when the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Ends the heartbeat. Says until when the lease holds; `None` when it is lost already.
    pub(crate) fn stop(self) -> Option<Instant> {
        self.heartbeat.abort();
        let until = *self.until.borrow();
        (!self.lost.is_cancelled() && Instant::now() < until).then_some(until)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Heartbeat {
    async fn beat(self, leased_at: Instant, leased: Duration) {
        let mut period = self.visibility.heartbeat(leased);
        let mut next = leased_at + period;
        loop {
            let until = *self.until.borrow();
            sleep_until(next.min(until)).await;
            if Instant::now() >= until {
                return self.lose("expired");
            }
            if !self.progress.is_alive() {
                // A hung job is left to lose its lease: look again at the next beat, in case it woke up.
                next += period;
                continue;
            }
            let started = Instant::now();
            let visibility = self.visibility.extension(until.saturating_duration_since(started));
            let extended = self.queue.change_visibility(self.receipt.clone(), visibility, until);
            match tokio::time::timeout_at(until, extended).await {
                Ok(Ok(())) => {
                    metric::lease_extended(self.stage);
                    self.until.send_replace((started + visibility).min(self.end));
                    period = self.visibility.heartbeat(visibility);
                    next = started + period;
                }
                Ok(Err(QueueError::ReceiptExpired)) => return self.lose("taken"),
                Ok(Err(_)) | Err(_) => next = Instant::now() + period / 4,
            }
        }
    }

    fn lose(&self, how: &'static str) {
        metric::lease_lost(self.stage, how);
        self.lost.cancel();
    }
}
