//! The limiter of one process: exact GCRA in memory.
//!
//! It lives by the monotonic clock, so that a step of the wall clock neither blocks nor frees anyone. A key whose TAT
//! has passed is the same as an unknown key and is dropped, and so is a slot whose lease has run out: memory holds only
//! keys charged within their last period, and slots held within their last lease.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Answer, Holder, LimitError, Limiter, Request,
    gcra::{Tat, Weighed},
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

    async fn release(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        let (mut table, now) = self.table();
        for key in slots {
            let held = table.slots.get_mut(key);
            let left = held.is_some_and(|held| {
                held.retain(|(id, until)| *id != holder.id && *until > now);
                !held.is_empty()
            });
            if !left {
                table.slots.remove(key);
            }
        }
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
    /// Who holds a slot, and until when.
    slots: HashMap<String, Vec<(String, u128)>>,
    sweep_above: usize,
}

impl Table {
    fn ask<'a>(&mut self, request: &Request<'a>, now: u128) -> Weighed<'a> {
        let others = |key: &str| {
            let held = self.slots.get(key).into_iter().flatten();
            held.filter(|(id, until)| *until > now && *id != request.holder.id).count()
        };
        let is_full = |slot: &super::Slot| others(&slot.key) >= usize::try_from(slot.limit.get()).unwrap_or(usize::MAX);
        let full = request.slots.iter().map(is_full).collect();
        let weighed = Weighed::new(request, |key| self.keys.get(key).copied(), full, now);
        if weighed.charges(request) {
            for (key, tat) in &weighed.after {
                match self.keys.get_mut(*key) {
                    Some(slot) => *slot = *tat,
                    None => drop(self.keys.insert((*key).to_owned(), *tat)),
                }
            }
        }
        weighed.takes(request).for_each(|key| self.take(key, request.holder, now));
        self.sweep(now);
        weighed
    }

    fn take(&mut self, key: &str, holder: &Holder, now: u128) {
        let held = self.slots.entry(key.to_owned()).or_default();
        held.retain(|(id, until)| *id != holder.id && *until > now);
        held.push((holder.id.clone(), now.saturating_add(holder.lease.as_nanos())));
    }

    /// Drops what has passed, whenever its number has doubled: constant work a charge.
    fn sweep(&mut self, now: u128) {
        if self.keys.len() + self.slots.len() <= self.sweep_above.max(SWEEP_FLOOR) {
            return;
        }
        self.keys.retain(|_, tat| !tat.has_passed(now));
        self.slots.retain(|_, held| held.iter().any(|(_, until)| *until > now));
        self.sweep_above = (self.keys.len() + self.slots.len()) * 2;
        self.keys.shrink_to(self.sweep_above);
        self.slots.shrink_to(self.sweep_above);
    }
}

#[cfg(test)]
mod tests;
