//! The arithmetic of GCRA, exact, for limiters that keep their keys here.
//!
//! Each key has a *theoretical arrival time* (TAT): when all that was charged to it will have drained at its
//! rate. It is kept as an integer fraction of a nanosecond, so that no rate drifts by rounding.

use std::time::Duration;

use super::{Answer, Charge, Request, Turn, line::Line};
use crate::clock::{Clock, later};

const NANOS_PER_MILLI: u128 = 1_000_000;
const NANOS_PER_MICRO: u128 = 1000;

/// What is known of one of a request's slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether others hold them all.
    pub(super) full: bool,
    /// Those who wait for one.
    pub(super) line: Line,
}

/// A theoretical arrival time: `scaled / count` nanoseconds after an origin of its limiter's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tat {
    pub(super) scaled: u128,
    pub(super) count: u32,
}

impl Tat {
    /// The same time over another count, rounded up.
    fn scaled_to(self, count: u32) -> u128 {
        if self.count == count {
            return self.scaled;
        }
        self.scaled.saturating_mul(count.into()).div_ceil(self.count.max(1).into())
    }

    pub(super) const fn has_passed(self, now: u128) -> bool {
        self.scaled <= now.saturating_mul(self.count as u128)
    }

    /// The first whole millisecond at which it has passed.
    pub(super) fn millis(self) -> u128 {
        self.scaled.div_ceil(u128::from(self.count.max(1)) * NANOS_PER_MILLI)
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

/// What a request comes to at one time, in nanoseconds.
#[derive(Debug)]
pub(super) struct Weighed<'a> {
    /// The TATs after it; the last of a key counts.
    pub(super) after: Vec<(&'a str, Tat)>,
    /// The lines after it.
    pub(super) lines: Vec<(&'a str, Line)>,
    verdict: Verdict,
    waits: Vec<u128>,
    full: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Now,
    Wait(u128),
    TooLate(u128),
    Full(u128),
}

impl<'a> Weighed<'a> {
    /// Weighs a request: `stored` knows the TATs, `seen` its slots.
    pub(super) fn new(request: &Request<'a>, stored: impl Fn(&str) -> Option<Tat>, seen: &[Seen], now: u128) -> Self {
        let (mut after, mut waits, mut turn): (Vec<(&str, Tat)>, _, _) = (Vec::new(), Vec::new(), 0);
        for charge in request.charges {
            // The same key may be named twice.
            let earlier = after.iter().rev().find(|(key, _)| *key == charge.key).map(|(_, tat)| *tat);
            let (tat, wait) = Tat::charged(earlier.or_else(|| stored(&charge.key)), charge, now);
            if charge.enforce || wait == 0 {
                after.push((&charge.key, tat));
            }
            if charge.enforce {
                turn = wait.max(turn);
            }
            waits.push(wait);
        }
        let longest = request.longest.as_nanos();
        let (lines, place) = lined_up(request, seen, u64::try_from(now / NANOS_PER_MICRO).unwrap_or(u64::MAX));
        let verdict = match (place, turn) {
            (Some(wait), _) => Verdict::Full(u128::from(wait) * NANOS_PER_MICRO),
            (None, 0) => Verdict::Now,
            (None, turn) if turn <= longest => Verdict::Wait(turn),
            (None, turn) => Verdict::TooLate(turn - longest),
        };
        Self { after, lines, verdict, waits, full: seen.iter().map(|seen| seen.full).collect() }
    }

    /// Whether the keys are to be charged.
    pub(super) const fn charges(&self, request: &Request<'_>) -> bool {
        !request.trial && matches!(self.verdict, Verdict::Now | Verdict::Wait(_))
    }

    /// Whether the lines are to be kept as they are after it.
    pub(super) const fn moves(&self, request: &Request<'_>) -> bool {
        !request.trial && matches!(self.verdict, Verdict::Now | Verdict::Full(_))
    }

    /// The keys of the slots to be taken.
    pub(super) fn takes(&self, request: &Request<'a>) -> impl Iterator<Item = &'a str> {
        let take = !request.trial && self.verdict == Verdict::Now;
        let free = request.slots.iter().zip(&self.full).filter(move |(_, full)| take && !**full);
        free.map(|(slot, _)| slot.key.as_str())
    }

    /// The answer, dated by `clock`: to the millisecond, rounded up.
    pub(super) fn answer(self, clock: &Clock) -> Answer {
        let after = |nanos| later(clock.now(), whole_millis(nanos));
        let turn = match self.verdict {
            Verdict::Now => Turn::Now,
            Verdict::Wait(wait) => Turn::At(after(wait)),
            Verdict::TooLate(wait) => Turn::TooLate(after(wait)),
            Verdict::Full(wait) => Turn::Full(after(wait)),
        };
        Answer { turn, waits: self.waits.into_iter().map(whole_millis).collect(), full: self.full }
    }
}

/// The lines of a request's slots, where they change, and the wait until the latest of its places if it has to take one.
fn lined_up<'a>(request: &Request<'a>, seen: &[Seen], now: u64) -> (Vec<(&'a str, Line)>, Option<u64>) {
    let waited_for = |slot: &super::Slot, seen: &Seen| slot.enforce && seen.full;
    let is_full = request.slots.iter().zip(seen).any(|(slot, seen)| waited_for(slot, seen));
    let (mut lines, mut latest): (Vec<(&str, Line)>, _) = (Vec::new(), None);
    for (slot, seen) in request.slots.iter().zip(seen) {
        let mut line = seen.line;
        let changes = if is_full {
            let wait = waited_for(slot, seen).then(|| line.place(slot.limit, now));
            latest = wait.max(latest);
            wait.is_some()
        } else {
            !seen.full && line.taken(now)
        };
        if changes {
            lines.push((&slot.key, line));
        }
    }
    (lines, latest)
}

fn whole_millis(nanos: u128) -> Duration {
    Duration::from_millis(u64::try_from(nanos.div_ceil(NANOS_PER_MILLI)).unwrap_or(u64::MAX))
}
