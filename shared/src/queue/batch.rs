//! Batches single operations by ten and by 1 MiB, and retries what failed of a batch.
//!
//! What waits is flushed at once while there is a free flush, and gathers while there is none. Where requests cost
//! ([`Queue::gather`]) an entry that may gather also waits a few milliseconds for company: until its batch is full, its
//! time is over, or an entry comes that waits for nobody. Each entry has its own result and its own retries; what
//! succeeded is never repeated.

mod lane;
#[cfg(test)]
mod tests;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use self::lane::{Entry, Lane};
use super::{Outgoing, Queue, QueueError, Receipt};

/// How often a send is tried before its error is the caller's.
const SEND_TRIES: u32 = 5;
/// Concurrent flushes of each kind unless asked otherwise.
const FLUSHES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Waits before a retry: they double from `first` up to `longest`, each jittered over its upper half.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    longest: Duration,
}

/// For what can wait a little.
const PATIENT: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };
/// For extensions, which race the lease.
const URGENT: Backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(500) };

/// Whether an entry waits for others to share its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It does not, and takes along whoever waits.
    AtOnce,
    /// It does, for as long as its queue says.
    Gather,
}

impl Backoff {
    async fn wait(self, failures: u32) {
        let full = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        sleep(full.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

/// Sends, deletes and extends one at a time for its callers, in batches on the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Batcher {
    sends: Lane<Outgoing>,
    deletes: Lane<Receipt>,
    changes: Lane<(Receipt, Duration)>,
}

impl Batcher {
    /// A batcher on `queue` with two concurrent flushes of each kind.
    pub fn new(queue: Arc<dyn Queue>) -> Self {
        Self::with_flushes(queue, FLUSHES)
    }

    /// A batcher on `queue` with up to `flushes` concurrent flushes of each kind.
    pub fn with_flushes(queue: Arc<dyn Queue>, flushes: NonZeroUsize) -> Self {
        Self {
            sends: Lane::new(Arc::clone(&queue), flushes),
            deletes: Lane::new(Arc::clone(&queue), flushes),
            changes: Lane::new(queue, flushes),
        }
    }

    /// Sends a message at once, in up to five tries. Dropping the future before its flush sends nothing.
    ///
    /// # Errors
    /// The last try's. After [`QueueError::Unavailable`] the message may have been sent all the same.
    pub async fn send(&self, message: Outgoing) -> Result<(), QueueError> {
        self.send_at(Pace::AtOnce, message).await
    }

    /// Sends a message as [`Self::send`] does, at that pace.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_at(&self, pace: Pace, message: Outgoing) -> Result<(), QueueError> {
        persist(&self.sends, message, pace, PATIENT, SEND_TRIES).await
    }

    /// Deletes a message, and keeps trying until `deadline` (the end of its lease).
    ///
    /// # Errors
    /// The queue's, or [`QueueError::Unavailable`] at the deadline.
    pub async fn delete(&self, receipt: Receipt, deadline: Instant) -> Result<(), QueueError> {
        by(deadline, persist(&self.deletes, receipt, Pace::Gather, PATIENT, u32::MAX)).await
    }

    /// Sets a message's visibility timeout, and keeps trying, at short intervals, until `deadline`.
    ///
    /// The timeout counts from when the queue carries it out, which is never before this call.
    ///
    /// # Errors
    /// The queue's, or [`QueueError::Unavailable`] at the deadline.
    pub async fn change_visibility(
        &self,
        receipt: Receipt,
        visibility: Duration,
        deadline: Instant,
    ) -> Result<(), QueueError> {
        by(deadline, persist(&self.changes, (receipt, visibility), Pace::Gather, URGENT, u32::MAX)).await
    }
}

async fn by(deadline: Instant, work: impl Future<Output = Result<(), QueueError>>) -> Result<(), QueueError> {
    let late = |_| Err(QueueError::Unavailable("no success before the deadline".into()));
    timeout_at(deadline, work).await.unwrap_or_else(late)
}

async fn persist<E: Entry>(
    lane: &Lane<E>,
    mut entry: E,
    pace: Pace,
    backoff: Backoff,
    tries: u32,
) -> Result<(), QueueError> {
    let mut failures = 0;
    loop {
        let (error, returned) = match lane.submit(entry, pace).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        failures += 1;
        match returned {
            Some(same) if error.is_retryable() && failures < tries => entry = same,
            _ => return Err(error),
        }
        backoff.wait(failures).await;
    }
}
