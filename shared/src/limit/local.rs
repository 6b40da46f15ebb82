//! The limiter of one process: exact GCRA in memory.
//!
//! Each key has a *theoretical arrival time* (TAT): when all that was charged to it will have drained at its
//! rate. It is kept as an integer fraction of a nanosecond, so that no rate drifts by rounding, and on the
//! monotonic clock, so that a step of the wall clock neither blocks nor frees anyone. A key whose TAT has
//! passed is the same as an unknown key and is dropped: memory holds only keys charged within their last period.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Charge, LimitError, Limiter, Turn};
use crate::clock::{Clock, later};

/// Below so many keys nothing is swept.
const SWEEP_FLOOR: usize = 1024;
const NANOS_PER_MILLI: u128 = 1_000_000;

/// An in-process limiter.
///
/// - A cost above the rate's burst waits until the key is idle, as if the burst were that cost, and then holds
///   the key for as long as its cost takes.
/// - With several charges each key is charged in its own time line, from now on: one key's far-away turn does not
///   stall everyone who shares another.
/// - A key that comes with another rate keeps its TAT and goes on at the new rate.
/// - Turns are told to the millisecond, rounded up.
#[derive(Debug)]
pub struct LocalLimiter {
    clock: Clock,
    origin: Instant,
    table: Mutex<Table>,
}

impl LocalLimiter {
    /// A limiter that knows no key; `clock` only dates the turns that it hands out.
    pub fn new(clock: Clock) -> Self {
        Self { clock, origin: Instant::now(), table: Mutex::default() }
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError> {
        // A panic cannot leave the table half charged: it is only written after everything was computed.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = table.acquire(charges, longest.as_nanos(), self.origin.elapsed().as_nanos());
        drop(table);
        let after = |nanos: u128| later(self.clock.now(), whole_millis(nanos));
        Ok(match answer {
            Ok(0) => Turn::Now,
            Ok(wait) => Turn::At(after(wait)),
            Err(wait) => Turn::TooLate(after(wait)),
        })
    }
}

fn whole_millis(nanos: u128) -> Duration {
    Duration::from_millis(u64::try_from(nanos.div_ceil(NANOS_PER_MILLI)).unwrap_or(u64::MAX))
}

/// A theoretical arrival time: `scaled / count` nanoseconds after the limiter's origin.
#[derive(Debug, Clone, Copy)]
struct Tat {
    scaled: u128,
    count: u32,
}

impl Tat {
    /// The same time over another count, rounded up.
    fn scaled_to(self, count: u32) -> u128 {
        if self.count == count {
            return self.scaled;
        }
        self.scaled.saturating_mul(count.into()).div_ceil(self.count.into())
    }

    const fn has_passed(self, now: u128) -> bool {
        self.scaled <= now.saturating_mul(self.count as u128)
    }

    /// The TAT after `charge`, and the nanoseconds until its turn.
    fn charged(before: Option<Self>, charge: &Charge, now: u128) -> (Self, u128) {
        let (rate, count) = (charge.rate, charge.rate.count.get());
        let now = now.saturating_mul(count.into());
        // `per` is what one unit takes, scaled by `count`.
        let units = |n: u32| rate.per.as_nanos().saturating_mul(n.into());
        let start = before.map_or(now, |tat| tat.scaled_to(count).max(now));
        let scaled = start.saturating_add(units(charge.cost.get()));
        let tolerance = units(rate.burst.max(charge.cost).get());
        let wait = scaled.saturating_sub(now.saturating_add(tolerance));
        (Self { scaled, count }, wait.div_ceil(count.into()))
    }
}

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<String, Tat>,
    sweep_above: usize,
}

impl Table {
    /// Charges all, and answers the wait until their turn; or none, and answers how long until the wait is at most
    /// `longest`. Times are nanoseconds.
    fn acquire(&mut self, charges: &[Charge], longest: u128, now: u128) -> Result<u128, u128> {
        let mut charged: Vec<(&str, Tat)> = Vec::with_capacity(charges.len());
        let mut turn = 0;
        for charge in charges {
            // The same key may be named twice.
            let earlier = charged.iter().rev().find(|(key, _)| *key == charge.key).map(|(_, tat)| *tat);
            let before = earlier.or_else(|| self.keys.get(&charge.key).copied());
            let (tat, wait) = Tat::charged(before, charge, now);
            charged.push((&charge.key, tat));
            turn = wait.max(turn);
        }
        if turn > longest {
            return Err(turn - longest);
        }
        for (key, tat) in charged {
            match self.keys.get_mut(key) {
                Some(slot) => *slot = tat,
                None => drop(self.keys.insert(key.to_owned(), tat)),
            }
        }
        self.sweep(now);
        Ok(turn)
    }

    /// Drops the keys whose TAT has passed, whenever their number has doubled: constant work a charge.
    fn sweep(&mut self, now: u128) {
        if self.keys.len() <= self.sweep_above.max(SWEEP_FLOOR) {
            return;
        }
        self.keys.retain(|_, tat| !tat.has_passed(now));
        self.sweep_above = self.keys.len() * 2;
        self.keys.shrink_to(self.sweep_above);
    }
}

#[cfg(test)]
mod tests;
