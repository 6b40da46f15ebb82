//! The limiter of one process: exact GCRA in memory.
//!
//! It lives by the monotonic clock, so that a step of the wall clock neither blocks nor frees anyone. A key whose TAT
//! has passed is the same as an unknown key and is dropped, and so is a slot whose lease has run out: memory holds only
//! keys charged within their last period, and slots and their lines for ten minutes after their last use.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Answer, Holder, LimitError, Limiter, Request, Slot,
    gcra::{Seen, Tat, Weighed},
    line::Line,
};
use crate::clock::Clock;

/// Below so many keys nothing is swept.
const SWEEP_FLOOR: usize = 1024;

/// An in-process limiter.
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

    /// A panic cannot leave the table half charged: it is only written after everything was computed.
    fn table(&self) -> (MutexGuard<'_, Table>, u128) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.origin.elapsed().as_nanos();
        (table, now)
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LimitError> {
        let (mut table, now) = self.table();
        let weighed = table.ask(request, now);
        drop(table);
        Ok(weighed.answer(&self.clock))
    }

    async fn renew(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        let (mut table, now) = self.table();
        slots.iter().for_each(|key| table.take(key, holder, now));
        Ok(())
    }

    async fn release(&self, slots: &[String], holder: &Holder, held: Duration) -> Result<(), LimitError> {
        let (mut table, now) = self.table();
        slots.iter().for_each(|key| table.give_back(key, holder, held, now));
        Ok(())
    }

    async fn forget(&self, keys: &[String]) -> Result<(), LimitError> {
        let (mut table, _) = self.table();
        for key in keys {
            table.keys.remove(key);
            table.slots.remove(key);
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<String, Tat>,
    slots: HashMap<String, Slots>,
    sweep_above: usize,
}

#[derive(Debug, Default)]
struct Slots {
    /// Who holds one, and until when.
    held: Vec<(String, u128)>,
    line: Line,
}

impl Table {
    fn ask<'a>(&mut self, request: &Request<'a>, now: u128) -> Weighed<'a> {
        let seen: Vec<_> = request.slots.iter().map(|slot| self.seen(slot, request.holder, now)).collect();
        let weighed = Weighed::new(request, |key| self.keys.get(key).copied(), &seen, now);
        if weighed.charges(request) {
            for (key, tat) in &weighed.after {
                match self.keys.get_mut(*key) {
                    Some(slot) => *slot = *tat,
                    None => drop(self.keys.insert((*key).to_owned(), *tat)),
                }
            }
        }
        weighed.takes(request).for_each(|key| self.take(key, request.holder, now));
        if weighed.moves(request) {
            for (key, line) in &weighed.lines {
                self.slots.entry((*key).to_owned()).or_default().line = *line;
            }
        }
        self.sweep(now);
        weighed
    }

    fn seen(&self, slot: &Slot, holder: &Holder, now: u128) -> Seen {
        let Some(slots) = self.slots.get(&slot.key) else { return Seen { full: false, line: Line::default() } };
        let others = slots.held.iter().filter(|(id, until)| *until > now && *id != holder.id).count();
        Seen { full: others >= usize::try_from(slot.limit.get()).unwrap_or(usize::MAX), line: slots.line }
    }

    fn give_back(&mut self, key: &str, holder: &Holder, for_so_long: Duration, now: u128) {
        let Some(Slots { held, line }) = self.slots.get_mut(key) else { return };
        let before = held.len();
        held.retain(|(id, _)| *id != holder.id);
        if held.len() < before {
            line.given_back(for_so_long, micros(now));
        }
    }

    fn take(&mut self, key: &str, holder: &Holder, now: u128) {
        let held = &mut self.slots.entry(key.to_owned()).or_default().held;
        held.retain(|(id, until)| *id != holder.id && *until > now);
        held.push((holder.id.clone(), now.saturating_add(holder.lease.as_nanos())));
    }

    /// Drops what has passed, whenever its number has doubled: constant work a charge.
    fn sweep(&mut self, now: u128) {
        if self.keys.len() + self.slots.len() <= self.sweep_above.max(SWEEP_FLOOR) {
            return;
        }
        self.keys.retain(|_, tat| !tat.has_passed(now));
        self.slots.retain(|_, slots| {
            slots.held.iter().any(|(_, until)| *until > now) || slots.line.forgotten_at() > micros(now)
        });
        self.sweep_above = (self.keys.len() + self.slots.len()) * 2;
        self.keys.shrink_to(self.sweep_above);
        self.slots.shrink_to(self.sweep_above);
    }
}

fn micros(nanos: u128) -> u64 {
    u64::try_from(nanos / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
