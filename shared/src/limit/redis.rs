//! The limiter of a fleet: GCRA and slots in one Lua script on a Redis, in one round trip.
//!
//! The rules are those of [`Limiter`]; a key's theoretical arrival time is kept in
//! Redis, as microseconds and an exact fraction of one, on the server's clock, so that neither the workers' number
//! nor their clocks matter. It expires when that time has come, a slot's holders when the last lease has run out, its line
//! ten minutes after its last use: Redis holds only keys charged within their last period. What Redis forgets, by a restart without persistence, costs each
//! key at most one burst.
//!
//! **Keys of one call** must lie together: give each the tenant as its hash tag, such as
//! `{tenant}:sender:…` (what stands between the first `{` and the next `}`; without one, the whole key). Limits
//! across tenants are calls of their own.
//!
//! **Late replies.** A call that took too long was carried out all the same. Its reply is still read, and what it granted
//! is given back, so that a slow Redis charges nobody who did not pass.
//!
//! **Connections.** [`Redis::multiplexed`] serves it best, and no one else on it: see the measurements in
//! [`crate::redis`]. Redis 5 or newer, or Valkey.

mod charge;
mod dating;
#[cfg(test)]
mod tests;
mod undo;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use deadpool_redis::redis::{Script, ScriptInvocation, cmd};

use self::{charge::Span, dating::Dating, undo::Undo};
use super::{Answer, Holder, LimitError, Limiter, Request, Turn, line};
use crate::{
    clock::Clock,
    redis::{Call, Redis, Undoable, error::CallError},
};

/// Before the key of a charge, so that other users of the same Redis are not met.
const CHARGE: &str = "limit:";
/// Before the key of a slot.
const SLOT: &str = "slots:";
/// Before the same key, for those who wait for one.
const LINE: &str = "line:";

static ASK: LazyLock<Script> = LazyLock::new(|| with_lines(include_str!("redis/ask.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| with_lines(include_str!("redis/release.lua")));
static UNDO: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/undo.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/renew.lua")));

fn with_lines(script: &str) -> Script {
    let line::Terms { guess, least, far, farthest: (near, farthest), quiet, remembered, weight } = line::TERMS;
    let terms = format!(
        "local GUESS, LEAST, FAR, NEAR, FARTHEST = {guess}, {least}, {far}, {near}, {farthest}\n\
         local QUIET, REMEMBERED, WEIGHT = {quiet}, {remembered}, {weight}\n"
    );
    Script::new(&[&terms, include_str!("redis/line.lua"), script].concat())
}

/// A limiter shared by all who use the same Redis. Clones are the same limiter.
#[derive(Debug, Clone)]
pub struct RedisLimiter {
    redis: Arc<Redis>,
    dating: Arc<Dating>,
}

/// What the script answered, in microseconds.
#[derive(Debug, Clone)]
struct Reply {
    now: i64,
    wait: i64,
    code: i64,
    /// Of each charge.
    waits: Vec<i64>,
    /// Of each slot: not free.
    full: Vec<bool>,
}

impl Reply {
    const TOO_LATE: i64 = 0;
    const GRANTED: i64 = 1;
    const FULL: i64 = 2;

    fn read(numbers: &[i64], charges: usize, slots: usize) -> Result<Self, LimitError> {
        let garbled = || LimitError("the script's reply is not of its form".into());
        let (&[now, wait, code], parts) = numbers.split_first_chunk().ok_or_else(garbled)?;
        let (waits, full) = parts.split_at_checked(charges).ok_or_else(garbled)?;
        if full.len() != slots || !(Self::TOO_LATE..=Self::FULL).contains(&code) {
            return Err(garbled());
        }
        Ok(Self { now, wait, code, waits: waits.to_vec(), full: full.iter().map(|full| *full == 1).collect() })
    }
}

impl From<CallError> for LimitError {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

impl RedisLimiter {
    /// A limiter on `redis`; `clock` only dates the turns that it hands out.
    pub fn new(redis: Arc<Redis>, clock: Clock) -> Self {
        Self { redis, dating: Arc::new(Dating::new(clock)) }
    }

    async fn call(&self, request: &Request<'_>) -> Result<Reply, LimitError> {
        let (charges, slots) = (request.charges.len(), request.slots.len());
        let call = Call::Script(asking(request));
        let undo = Undo::of(request);
        let undo = move |numbers: Vec<i64>| undo?.of_reply(&Reply::read(&numbers, charges, slots).ok()?);
        let numbers = self.redis.change(Undoable { call, undo: Box::new(undo) }).await?;
        Reply::read(&numbers, charges, slots)
    }
}

fn asking(request: &Request<'_>) -> ScriptInvocation<'static> {
    let Request { charges, slots, holder, longest, trial } = *request;
    let mut script = ASK.prepare_invoke();
    script.arg(Span::whole_micros(longest)).arg(u8::from(trial)).arg(charges.len());
    script.arg(&holder.id).arg(Span::whole_micros(holder.lease));
    for charge in charges {
        let (cost, tolerance) = (Span::of(charge.cost, &charge.rate), charge::tolerance(charge));
        script.key(format!("{CHARGE}{}", charge.key));
        script.arg(u8::from(charge.enforce)).arg(charge::denominator(&charge.rate));
        script.arg(cost.whole).arg(cost.part).arg(tolerance.whole).arg(tolerance.part);
    }
    for slot in slots {
        script.key(format!("{SLOT}{}", slot.key));
        script.arg(u8::from(slot.enforce)).arg(slot.limit.get());
    }
    for slot in slots {
        script.key(format!("{LINE}{}", slot.key));
    }
    script
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LimitError> {
        if request.charges.is_empty() && request.slots.is_empty() {
            return Ok(Answer { turn: Turn::Now, waits: Vec::new(), full: Vec::new() });
        }
        let keys = request.charges.iter().map(|charge| &charge.key).chain(request.slots.iter().map(|slot| &slot.key));
        if !charge::lie_together(keys) {
            return Err(LimitError("the keys of one call have different hash tags".into()));
        }
        let asked = self.dating.clock.now();
        let Reply { now, wait, code, waits, full } = self.call(request).await?;
        let at = || self.dating.date(asked, now, wait);
        let turn = match code {
            Reply::FULL => Turn::Full(at()),
            Reply::GRANTED if wait == 0 => Turn::Now,
            Reply::GRANTED => Turn::At(at()),
            _ => Turn::TooLate(at()),
        };
        let micros = |wait: i64| Duration::from_micros(u64::try_from(wait).unwrap_or_default());
        Ok(Answer { turn, waits: waits.into_iter().map(micros).collect(), full })
    }

    async fn renew(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        let mut script = RENEW.arg(&holder.id);
        script.arg(Span::whole_micros(holder.lease));
        for slot in slots {
            script.key(format!("{SLOT}{slot}"));
        }
        let _: i64 = self.redis.ask(&Call::Script(script)).await?;
        Ok(())
    }

    async fn release(&self, slots: &[String], holder: &Holder, held: Duration) -> Result<(), LimitError> {
        let mut script = RELEASE.arg(&holder.id);
        script.arg(Span::whole_micros(held));
        for prefix in [SLOT, LINE] {
            for slot in slots {
                script.key(format!("{prefix}{slot}"));
            }
        }
        let _: i64 = self.redis.ask(&Call::Script(script)).await?;
        Ok(())
    }

    async fn forget(&self, keys: &[String]) -> Result<(), LimitError> {
        for key in keys {
            let mut command = cmd("DEL");
            for prefix in [CHARGE, SLOT, LINE] {
                command.arg(format!("{prefix}{key}"));
            }
            let _: i64 = self.redis.ask(&Call::Command(command)).await?;
        }
        Ok(())
    }
}
