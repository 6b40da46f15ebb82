//! The limiter of a fleet: GCRA in one Lua script on a Redis, in one round trip.
//!
//! The rules are those of [`LocalLimiter`](super::local::LocalLimiter); a key's theoretical arrival time is kept in
//! Redis, as microseconds and an exact fraction of one, on the server's clock, so that neither the workers' number
//! nor their clocks matter. It expires when that time has come: Redis holds only keys charged within their last
//! period. What Redis forgets, by a restart without persistence, costs each key at most one burst.
//!
//! **Keys of one call** must lie together: give each the tenant as its hash tag, such as
//! `{tenant}:sender:…` (what stands between the first `{` and the next `}`; without one, the whole key). Limits
//! across tenants are calls of their own.
//!
//! **Connections.** [`Redis::multiplexed`] serves it best, and no one else on it: see the measurements in
//! [`crate::redis`]. Redis 5 or newer, or Valkey.
//!
//! **After an error** it is unknown whether the charges were made. The script itself is all or nothing.

mod charge;
mod dating;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_redis::redis::Script;

use self::{charge::Span, dating::Dating};
use super::{Charge, LimitError, Limiter, Turn};
use crate::{
    clock::Clock,
    redis::{Call, Redis, error::CallError},
};

/// Before every key, so that other users of the same Redis are not met.
const PREFIX: &str = "limit:";

/// A limiter shared by all who use the same Redis. Clones are the same limiter.
#[derive(Debug, Clone)]
pub struct RedisLimiter {
    redis: Arc<Redis>,
    script: Arc<Script>,
    dating: Arc<Dating>,
}

/// What the script answered, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Answer {
    now: i64,
    wait: i64,
    granted: bool,
}

impl From<CallError> for LimitError {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

impl RedisLimiter {
    /// A limiter on `redis`; `clock` only dates the turns that it hands out.
    pub fn new(redis: Arc<Redis>, clock: Clock) -> Self {
        let script = Arc::new(Script::new(include_str!("redis/acquire.lua")));
        Self { redis, script, dating: Arc::new(Dating::new(clock)) }
    }

    async fn ask(&self, charges: &[Charge], longest: Duration) -> Result<Answer, CallError> {
        let mut script = self.script.prepare_invoke();
        script.arg(Span::whole_micros(longest));
        for charge in charges {
            let (cost, tolerance) = (Span::of(charge.cost, &charge.rate), charge::tolerance(charge));
            script.key(format!("{PREFIX}{}", charge.key));
            script.arg(charge::denominator(&charge.rate));
            script.arg(cost.whole).arg(cost.part).arg(tolerance.whole).arg(tolerance.part);
        }
        let (now, wait, granted): (i64, i64, bool) = self.redis.ask(&Call::Script(script)).await?;
        Ok(Answer { now, wait, granted })
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError> {
        if charges.is_empty() {
            return Ok(Turn::Now);
        }
        if !charge::lie_together(charges) {
            return Err(LimitError("the keys of one call have different hash tags".into()));
        }
        let asked = self.dating.clock.now();
        let answer = self.ask(charges, longest).await?;
        let at = || self.dating.date(asked, answer.now, answer.wait);
        Ok(match answer {
            Answer { granted: true, wait: 0, .. } => Turn::Now,
            Answer { granted: true, .. } => Turn::At(at()),
            Answer { granted: false, .. } => Turn::TooLate(at()),
        })
    }
}
