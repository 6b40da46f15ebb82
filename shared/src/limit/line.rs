//! When to look again for a slot, for whoever finds them all taken: places in a line.
//!
//! A place is a time to come back at. Places lie as far apart as two come to each slot that is expected back meanwhile, by
//! how long slots were held lately: so waiters do not wake together, seldom sleep while a slot is free, and no more than
//! two of them ask in vain for one that passes. A place binds nobody: who finds a free slot takes it, and who came to
//! his place in vain is given another. So a line is three numbers a key, however many wait in it, and heals by itself when they
//! do not come. The times are microseconds of its limiter's clock.

use std::{num::NonZeroU32, time::Duration};

const SECOND: u64 = 1_000_000;

/// What the arithmetic of every line depends on.
#[derive(Debug)]
pub(super) struct Terms {
    /// So long a slot is held, as long as nothing is known.
    pub(super) guess: u64,
    /// No place is nearer than that: a queue and a worker take their time.
    pub(super) least: u64,
    /// No place is further away than so many times a slot is held: whoever sleeps cannot be called when slots come back
    /// sooner than they did.
    pub(super) far: u64,
    /// Which is at least the first of these, and at most the second.
    pub(super) farthest: (u64, u64),
    /// A line whose last place is so long past has nobody in it.
    pub(super) quiet: u64,
    /// So long it is known how long slots are held.
    pub(super) remembered: u64,
    /// The newest holding counts for one in so many.
    pub(super) weight: u64,
}

pub(super) const TERMS: Terms = Terms {
    guess: SECOND / 10,
    least: SECOND / 20,
    far: 3,
    farthest: (10 * SECOND, 60 * SECOND),
    quiet: 10 * SECOND,
    remembered: 600 * SECOND,
    weight: 8,
};

/// A key's line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The last place that was given.
    pub(super) tail: u64,
    /// How long a slot is held, on average; zero is unknown.
    pub(super) hold: u64,
    /// When a slot was last taken or given back, while there was a line.
    pub(super) moved: u64,
}

impl Line {
    /// Gives the next place, and says how far away it is.
    pub(super) fn place(&mut self, slots: NonZeroU32, now: u64) -> u64 {
        if self.is_quiet(now) {
            self.moved = now;
        }
        let hold = if self.hold == 0 { TERMS.guess } else { self.hold };
        // Where nothing moves, what was measured is out of date.
        let back = hold.max(now.saturating_sub(self.moved)) / (2 * u64::from(slots.get()));
        let far = hold.saturating_mul(TERMS.far).clamp(TERMS.farthest.0, TERMS.farthest.1);
        self.tail = self.tail.max(now).saturating_add(back);
        if self.tail > now.saturating_add(far) {
            // Those who would be further away share the last quarter of the line.
            self.tail = now.saturating_add(far / 4 * 3);
        }
        self.tail.saturating_sub(now).max(TERMS.least)
    }

    /// A slot was taken: says whether that is to be remembered.
    pub(super) const fn taken(&mut self, now: u64) -> bool {
        let counts = !self.is_quiet(now);
        if counts {
            self.moved = now;
        }
        counts
    }

    /// A slot was given back that had been held for so long.
    pub(super) fn given_back(&mut self, held: Duration, now: u64) {
        let held = u64::try_from(held.as_micros()).unwrap_or(u64::MAX).clamp(1, TERMS.remembered);
        let known = if self.hold == 0 { held } else { self.hold.min(TERMS.remembered) };
        self.hold = (known * (TERMS.weight - 1) + held) / TERMS.weight;
        self.moved = now;
    }

    /// From then on it is the same as none.
    pub(super) fn forgotten_at(self) -> u64 {
        self.tail.max(self.moved).saturating_add(TERMS.remembered)
    }

    const fn is_quiet(self, now: u64) -> bool {
        self.tail == 0 || self.tail.saturating_add(TERMS.quiet) < now
    }
}

#[cfg(test)]
mod tests;
