//! The limit of about 120,000 messages in flight, made noticed.
//!
//! At it a short poll is refused with `OverLimit`, and a long poll only looks empty: that one is noticed when the queue's
//! depth is read, which every scrape of the metrics does. One log line when it begins and one when it ends.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::telemetry::metric;

/// From so many in flight on a queue counts as at its limit: SQS's own count is approximate.
const NEAR: u64 = 115_000;

/// Whether a queue is at its limit.
#[derive(Debug)]
pub(super) struct InFlightLimit {
    queue: String,
    at_limit: AtomicBool,
}

impl InFlightLimit {
    pub(super) fn new(queue: String) -> Self {
        Self { queue, at_limit: AtomicBool::new(false) }
    }

    /// A receive was refused. Says whether that is news.
    pub(super) fn reached(&self) -> bool {
        metric::in_flight_limit(&self.queue);
        let news = !self.at_limit.swap(true, Ordering::Relaxed);
        if news {
            tracing::error!(
                queue = self.queue,
                "nothing more is received: about 120,000 messages are in flight; jobs are taken and not settled",
            );
        }
        news
    }

    /// So many are in flight. Says whether that is news.
    pub(super) fn in_flight(&self, messages: u64) -> bool {
        if messages >= NEAR { self.reached() } else { self.received(1) }
    }

    /// A receive brought messages. Says whether that ends the state.
    pub(super) fn received(&self, messages: usize) -> bool {
        let news = messages > 0 && self.at_limit.swap(false, Ordering::Relaxed);
        if news {
            tracing::info!(queue = self.queue, "receives bring messages again");
        }
        news
    }
}
