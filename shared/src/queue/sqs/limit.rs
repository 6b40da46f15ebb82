//! The limit of about 120,000 messages in flight, made noticed.
//!
//! At it a short poll is refused with `OverLimit`, and a long poll only looks empty: the gauge of what is in flight
//! tells of that one. One log line when it begins and one when it ends, however many receives are refused.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::telemetry::metric;

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
                "receives are refused: about 120,000 messages are in flight; jobs are taken and not settled",
            );
        }
        news
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
