//! Wall-clock time, injected, so that tests can own it.
//!
//! Timers use [`tokio::time`]; a [`Clock`] made by [`Clock::starting_at`] moves with tokio's clock, so that
//! under paused time both advance together.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The source of wall-clock time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    origin: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that reads `start` now and advances with [`tokio::time`].
    pub fn starting_at(start: Timestamp) -> Self {
        Self { origin: Some((start, Instant::now())) }
    }

    /// The current time, to the millisecond (what the wire formats carry).
    pub fn now(&self) -> Timestamp {
        let now = match self.origin {
            None => Timestamp::now(),
            Some((start, since)) => later(start, since.elapsed()),
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// `at + by`, saturating at the end of representable time.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// How long from `now` until `at`; zero when `at` has passed.
pub fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}
