//! What happens to a limit whose limiter does not answer: it is waived, kept by this process alone, or waited for.
//!
//! An error of the limiter never reaches the job: the fallback answers instead, for each part of a request as that
//! part says. The log says when that begins, why, and when it is over.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Answer, Charge, Holder, LimitError, Limiter, Rate, Request, Slot, Turn, local::LocalLimiter};
use crate::clock::{Clock, later};

/// A part of a rate, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(NonZeroU32);

impl Share {
    /// The whole rate.
    pub const WHOLE: Self = Self(match NonZeroU32::new(100) {
        Some(percent) => percent,
        None => NonZeroU32::MIN,
    });

    /// A share of 1 to 100 percent.
    pub fn percent(percent: u32) -> Option<Self> {
        NonZeroU32::new(percent).filter(|percent| *percent <= Self::WHOLE.0).map(Self)
    }

    /// That share of `rate`.
    fn of(self, rate: &Rate) -> Rate {
        // As many units in a longer time: exact, where a fraction of the count would not be.
        let per = rate.per.checked_mul(100).map_or(Duration::MAX, |per| per / self.0.get());
        Rate { count: rate.count, per, burst: self.part(rate.burst) }
    }

    /// That share of a number: at least one.
    fn part(self, whole: NonZeroU32) -> NonZeroU32 {
        let part = u64::from(whole.get()) * u64::from(self.0.get()) / 100;
        u32::try_from(part).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// What to do with a limit when the limiter does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Let everything pass.
    Allow,
    /// Keep the limit in this process, at a share of it: about one over the number of workers.
    Local(Share),
    /// Let nothing pass, and say to come again after a while.
    Defer,
}

impl OnError {
    /// Its name: a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Local(_) => "local",
            Self::Defer => "defer",
        }
    }
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The limiter.
    Limiter,
    /// This process alone.
    Fallback,
}

/// A limiter that always answers.
///
/// What its fallback hands out is unknown to the limiter and the other way round.
#[derive(Debug)]
pub struct Guarded {
    primary: Arc<dyn Limiter>,
    local: LocalLimiter,
    clock: Clock,
    wait: Duration,
    outage: Outage,
}

/// So long no call may fail for an outage to be over: one that comes and goes is one outage.
const QUIET: Duration = Duration::from_secs(10);

/// When a call failed last, while that counts as an outage.
#[derive(Debug, Default)]
struct Outage(Mutex<Option<Instant>>);

impl Outage {
    fn failed(&self, error: &LimitError) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(Instant::now()).is_none() {
            tracing::warn!(%error, "limits are kept by their fallbacks");
        }
    }

    fn answered(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() >= QUIET) {
            *last = None;
            tracing::warn!("the limiter answers again");
        }
    }
}

impl Guarded {
    /// Asks `primary` first; what then has to wait for it comes again after `wait`.
    pub fn new(primary: Arc<dyn Limiter>, clock: Clock, wait: Duration) -> Self {
        Self { primary, local: LocalLimiter::new(clock.clone()), clock, wait, outage: Outage::default() }
    }

    /// The limiter itself.
    pub fn primary(&self) -> &dyn Limiter {
        &*self.primary
    }

    /// Grants all of a request or nothing.
    pub async fn ask(&self, request: &Request<'_>) -> (Answer, Source) {
        match self.primary.ask(request).await {
            Ok(answer) => {
                self.outage.answered();
                (answer, Source::Limiter)
            }
            Err(error) => {
                self.outage.failed(&error);
                (self.fall_back(request).await, Source::Fallback)
            }
        }
    }

    /// What the fallback alone answers: for a job that has waited for the limiter in vain already.
    pub async fn fall_back(&self, request: &Request<'_>) -> Answer {
        let charges = request.charges.iter().map(|charge| (charge.enforce, charge.on_error));
        let slots = request.slots.iter().map(|slot| (slot.enforce, slot.on_error));
        let nothing = |turn| Answer {
            turn,
            waits: vec![Duration::ZERO; request.charges.len()],
            full: vec![false; request.slots.len()],
        };
        if charges.chain(slots).any(|part| part == (true, OnError::Defer)) {
            return nothing(Turn::TooLate(later(self.clock.now(), self.wait)));
        }
        self.keep_here(request).await.unwrap_or_else(|_| nothing(Turn::Now))
    }

    async fn keep_here(&self, request: &Request<'_>) -> Result<Answer, LimitError> {
        let local = |on_error| matches!(on_error, OnError::Local(_));
        let charges: Vec<Charge> = request.charges.iter().filter(|c| local(c.on_error)).map(part_of_charge).collect();
        let slots: Vec<Slot> = request.slots.iter().filter(|s| local(s.on_error)).map(part_of_slot).collect();
        let answer = self.local.ask(&Request { charges: &charges, slots: &slots, ..*request }).await?;
        let (mut waits, mut full) = (answer.waits.into_iter(), answer.full.into_iter());
        let mut wait = |charge: &Charge| waits.next_if_kept(local(charge.on_error)).unwrap_or_default();
        let waits = request.charges.iter().map(&mut wait).collect();
        let mut is_full = |slot: &Slot| full.next_if_kept(local(slot.on_error)).unwrap_or_default();
        let full = request.slots.iter().map(&mut is_full).collect();
        Ok(Answer { turn: answer.turn, waits, full })
    }

    /// Extends the leases of slots that `source` gave.
    ///
    /// # Errors
    /// As the limiter.
    pub async fn renew(&self, source: Source, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        self.of(source).renew(slots, holder).await
    }

    /// Gives slots back that `source` gave.
    ///
    /// # Errors
    /// As the limiter; they come back when their lease runs out.
    pub async fn release(
        &self,
        source: Source,
        slots: &[String],
        holder: &Holder,
        held: Duration,
    ) -> Result<(), LimitError> {
        self.of(source).release(slots, holder, held).await
    }

    fn of(&self, source: Source) -> &dyn Limiter {
        match source {
            Source::Limiter => &*self.primary,
            Source::Fallback => &self.local,
        }
    }
}

trait NextIfKept: Iterator {
    /// The next item, if the part at hand was asked for.
    fn next_if_kept(&mut self, kept: bool) -> Option<Self::Item> {
        if kept { self.next() } else { None }
    }
}

impl<I: Iterator> NextIfKept for I {}

fn part_of_charge(charge: &Charge) -> Charge {
    match charge.on_error {
        OnError::Local(share) => Charge { rate: share.of(&charge.rate), ..charge.clone() },
        OnError::Allow | OnError::Defer => charge.clone(),
    }
}

fn part_of_slot(slot: &Slot) -> Slot {
    match slot.on_error {
        OnError::Local(share) => Slot { limit: share.part(slot.limit), ..slot.clone() },
        OnError::Allow | OnError::Defer => slot.clone(),
    }
}

#[cfg(test)]
mod tests;
