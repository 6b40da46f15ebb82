//! What happens to a limit whose limiter does not answer: it is waived, kept by this process alone, or waited for.
//!
//! An error of the limiter never reaches the job: the fallback answers instead.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Charge, LimitError, Limiter, Rate, Turn, local::LocalLimiter};
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

    /// That share of `rate`. The burst is at least one.
    fn of(self, rate: &Rate) -> Rate {
        let burst = u64::from(rate.burst.get()) * u64::from(self.0.get()) / 100;
        let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        // As many units in a longer time: exact, where a fraction of the count would not be.
        let per = rate.per.checked_mul(100).map_or(Duration::MAX, |per| per / self.0.get());
        Rate { count: rate.count, per, burst }
    }
}

/// What to do when the limiter does not answer.
#[derive(Debug)]
pub enum OnError {
    /// Let everything pass.
    Allow,
    /// Keep the limit in this process, at a share of its rate.
    Local {
        /// The share: about one over the number of workers.
        share: Share,
        /// Its memory. What it hands out is unknown to the limiter and the other way round.
        limiter: LocalLimiter,
    },
    /// Let nothing pass, and say to come again after a while.
    Defer {
        /// Tells the time.
        clock: Clock,
        /// How long to wait.
        wait: Duration,
    },
}

impl OnError {
    /// [`OnError::Local`] with an empty memory.
    pub fn local(share: Share, clock: Clock) -> Self {
        Self::Local { share, limiter: LocalLimiter::new(clock) }
    }

    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError> {
        match self {
            Self::Allow => Ok(Turn::Now),
            Self::Local { share, limiter } => {
                let shared = |charge: &Charge| Charge { rate: share.of(&charge.rate), ..charge.clone() };
                let charges: Vec<Charge> = charges.iter().map(shared).collect();
                limiter.acquire(&charges, longest).await
            }
            Self::Defer { clock, wait } => Ok(Turn::TooLate(later(clock.now(), *wait))),
        }
    }
}

/// A limiter that always answers.
#[derive(Debug)]
pub struct Guarded {
    /// Asked first; several may share it, each with a fallback of its own.
    pub primary: Arc<dyn Limiter>,
    /// Asked when the first does not answer.
    pub fallback: OnError,
}

#[async_trait]
impl Limiter for Guarded {
    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError> {
        match self.primary.acquire(charges, longest).await {
            Ok(turn) => Ok(turn),
            Err(error) => {
                tracing::debug!(%error, "a limit is kept by its fallback");
                self.fallback.acquire(charges, longest).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::limit::conformance::charge;

    const HOUR: Duration = Duration::from_secs(3600);

    #[derive(Debug)]
    struct Dead;

    #[async_trait]
    impl Limiter for Dead {
        async fn acquire(&self, _: &[Charge], _: Duration) -> Result<Turn, LimitError> {
            Err(LimitError("dead".into()))
        }
    }

    fn clock() -> Clock {
        Clock::starting_at(Timestamp::UNIX_EPOCH)
    }

    fn guarded(fallback: OnError) -> Guarded {
        Guarded { primary: Arc::new(Dead), fallback }
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_limiter_that_answers_decides() {
        let primary = Arc::new(LocalLimiter::new(clock()));
        let guarded = Guarded { primary, fallback: OnError::Allow };
        let one = [charge("k", "1/sec burst 1", 1)];
        assert_eq!(guarded.acquire(&one, HOUR).await, Ok(Turn::Now));
        assert_eq!(guarded.acquire(&one, HOUR).await, Ok(Turn::At(seconds(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn allow_lets_pass() {
        let guarded = guarded(OnError::Allow);
        for _ in 0..10 {
            assert_eq!(guarded.acquire(&[charge("k", "1/hour burst 1", 1)], Duration::ZERO).await, Ok(Turn::Now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn defer_lets_nothing_pass() {
        let guarded = guarded(OnError::Defer { clock: clock(), wait: Duration::from_secs(5) });
        let turn = guarded.acquire(&[charge("k", "1/sec burst 1", 1)], HOUR).await;
        assert_eq!(turn, Ok(Turn::TooLate(seconds(5))));
    }

    #[tokio::test(start_paused = true)]
    async fn local_keeps_a_share() {
        let guarded = guarded(OnError::local(Share::percent(25).unwrap(), clock()));
        let one = [charge("k", "4/sec burst 8", 1)];
        for _ in 0..2 {
            assert_eq!(guarded.acquire(&one, HOUR).await, Ok(Turn::Now), "a quarter of the burst");
        }
        for n in 1..5 {
            assert_eq!(guarded.acquire(&one, HOUR).await, Ok(Turn::At(seconds(n))), "a quarter of the rate");
        }
    }

    #[test]
    fn shares_are_exact_and_never_nothing() {
        let rate: Rate = "7/sec burst 2".parse().unwrap();
        assert_eq!(Share::WHOLE.of(&rate), rate);
        let hundredth = Share::percent(1).unwrap().of(&rate);
        assert_eq!(hundredth, Rate { per: Duration::from_secs(100), burst: NonZeroU32::MIN, ..rate });
        assert_eq!((Share::percent(0), Share::percent(101)), (None, None));
    }
}
