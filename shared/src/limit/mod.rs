//! The limiter port: rates by the generic cell rate algorithm (GCRA), with reservations.
//!
//! What exceeds a rate is not refused but told when its turn is, and that turn is reserved: it is not
//! charged again when it comes back then, so that many deferred jobs drain in order at the declared rate.
//! One conformance suite (`conformance`) runs over every implementation.

#[cfg(test)]
pub mod conformance;
pub mod guarded;
pub mod local;
pub mod redis;

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

/// A rate: `count` units per `per`, of which `burst` may pass at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units per period.
    pub count: NonZeroU32,
    /// The period.
    pub per: Duration,
    /// Units that may pass at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// The time that one unit takes at this rate.
    pub fn interval(&self) -> Duration {
        self.per / self.count.get()
    }
}

/// Text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate is written \"COUNT/sec|min|hour|day\", optionally followed by \"burst COUNT\", such as \"100/min burst 200\""
)]
pub struct RateSyntax;

impl FromStr for Rate {
    type Err = RateSyntax;

    fn from_str(text: &str) -> Result<Self, RateSyntax> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (rate, burst) = match words.as_slice() {
            [rate] => (*rate, None),
            [rate, "burst", burst] => (*rate, Some(*burst)),
            _ => return Err(RateSyntax),
        };
        let (count, per) = rate.split_once('/').ok_or(RateSyntax)?;
        let count: NonZeroU32 = count.parse().map_err(|_| RateSyntax)?;
        let burst = burst.map_or(Ok(count), |burst| burst.parse().map_err(|_| RateSyntax))?;
        let per = Duration::from_secs(match per {
            "s" | "sec" | "second" => 1,
            "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86_400,
            _ => return Err(RateSyntax),
        });
        Ok(Self { count, per, burst })
    }
}

/// A wish to pass `cost` units under one limit's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The limit's name and the keyed subject. Never an address in the clear: it may be stored elsewhere.
    pub key: String,
    /// The rate.
    pub rate: Rate,
    /// Units to pass.
    pub cost: NonZeroU32,
}

/// When a charge may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now; it is charged.
    Now,
    /// At that time, which is reserved and already charged: do not ask again then.
    At(Timestamp),
    /// Later than the longest wait that was asked for; nothing is charged or reserved. The time says when a
    /// new request could be granted within it.
    TooLate(Timestamp),
}

/// Why the limiter could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limiter unavailable: {0}")]
pub struct LimitError(pub String);

/// A rate limiter.
#[async_trait]
pub trait Limiter: Send + Sync + fmt::Debug {
    /// Charges every one of `charges` or none. The turn is the latest of theirs; a wait over `longest` reserves
    /// nothing.
    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError>;
}
