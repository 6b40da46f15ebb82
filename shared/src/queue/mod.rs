//! The queue port: what Amazon SQS's standard queues do, and nothing that they cannot.
//!
//! Delivery is at least once. A received message is leased until its visibility timeout passes; then it
//! is received again with a higher receive count. One conformance suite (`conformance`) runs over every
//! implementation.

pub mod batch;
mod check;
#[cfg(test)]
pub mod conformance;
pub mod sqlite;
pub mod sqs;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most messages in one batch of any operation.
pub const MAX_BATCH: usize = 10;
/// Most bytes of one body, and of all bodies of one batch: 1 MiB.
pub const MAX_BODY: usize = 1_048_576;
/// Longest delay of a send.
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// Longest visibility timeout, counted from the first receive.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest long poll.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// A message to send. `Debug` leaves out its body, which may hold content.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The body: UTF-8 text, at most [`MAX_BODY`] bytes.
    pub body: String,
    /// How long it stays invisible, at most [`MAX_DELAY`].
    pub delay: Duration,
    /// The fairness group (the tenant): a group's backlog does not delay the others where the queue can help it.
    pub group: String,
}

/// What names one receive of one message. A later receive of the same message has another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A received message, leased to the receiver until its visibility timeout passes. `Debug` leaves out its body.
#[derive(Clone)]
pub struct Received {
    /// The queue's own id of the message; for logs only.
    pub id: String,
    /// Settles or extends this receive.
    pub receipt: Receipt,
    /// The body as it was sent.
    pub body: String,
    /// How often it was received, this time included: 1 at the first receive.
    pub receive_count: u32,
    /// From when the lease counts: never later than the queue itself counts it from. Where the queue does not tell,
    /// that is the start of the receive.
    pub leased_at: Instant,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.len();
        f.debug_struct("Outgoing").field("bytes", &bytes).field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.len();
        let mut shown = f.debug_struct("Received");
        shown.field("id", &self.id).field("bytes", &bytes).field("receive_count", &self.receive_count);
        shown.finish_non_exhaustive()
    }
}

/// How much a queue holds. On SQS these are approximate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor expired.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

impl Depth {
    /// Everything the queue holds.
    pub const fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Why a queue operation, or one entry of a batch, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The request itself is wrong: a batch, body, delay or visibility outside the limits. Never retried.
    #[error("invalid request: {0}")]
    Invalid(&'static str),
    /// The receipt no longer leases the message: it expired, was received again, or is deleted.
    #[error("the receipt is no longer valid")]
    ReceiptExpired,
    /// The queue did not take it now; it may at another try.
    #[error("queue unavailable: {0}")]
    Unavailable(String),
}

impl QueueError {
    /// Whether the same call can succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// One queue.
///
/// Batch operations answer one result an entry, in order; an entry may fail while its neighbours
/// succeed, so callers must read every result.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// The queue's name, for logs and metric labels.
    fn name(&self) -> &str;

    /// Sends up to [`MAX_BATCH`] messages of together at most [`MAX_BODY`] bytes. An accepted message is durable.
    async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), QueueError>>;

    /// Waits up to `wait` (at most [`MAX_WAIT`]) for a message and returns at most `max` (1 to [`MAX_BATCH`])
    /// that are visible, each leased for `visibility`. An empty answer is no error.
    ///
    /// The future must be driven to its end: dropping it can strand what it was about to return until the
    /// visibility timeout. Cancelling `stop` asks for an early end; an implementation that cannot end a poll
    /// without losing what it brings ignores it.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
        stop: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError>;

    /// Deletes messages. A stale receipt may be refused with [`QueueError::ReceiptExpired`] or *report success
    /// and delete nothing*, so no caller may rely on either.
    async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>>;

    /// Sets the visibility timeouts, counted from now; zero makes a message visible at once. The message keeps
    /// its receive count.
    async fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>>;

    /// How long an operation may wait for others that can share its request: where requests cost, a few milliseconds.
    fn gather(&self) -> Duration {
        Duration::ZERO
    }

    /// How much the queue holds.
    async fn depth(&self) -> Result<Depth, QueueError>;
}
