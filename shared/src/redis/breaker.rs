//! The breaker: while a Redis is down nobody waits for it.
//!
//! Closed → open after some failures in a row → after a cool-down a probe, which is no caller's call → closed again, but
//! for the first call to prove it. A caller that goes away without an answer says nothing about Redis.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::error::CallError;

/// When to stop asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: NonZeroU32,
    /// How long it then stays open before a probe.
    pub cool_down: Duration,
}

impl Default for BreakerSettings {
    /// Five failures, one second.
    fn default() -> Self {
        Self { failures: NonZeroU32::MIN.saturating_add(4), cool_down: Duration::from_secs(1) }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// The log says that Redis is left alone.
    told: bool,
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    known: Mutex<Known>,
}

/// What a caller may do.
#[derive(Debug)]
pub(super) enum Leave {
    /// Make its call.
    Ask(Permit),
    /// Not make it, but see to it that somebody probes.
    Probe(Probe),
    /// Not make it.
    Nothing,
}

impl Breaker {
    pub(super) const fn new(settings: BreakerSettings) -> Self {
        Self { settings, known: Mutex::new(Known { state: State::Closed { failures: 0 }, told: false }) }
    }

    pub(super) fn leave(self: &Arc<Self>) -> Leave {
        let mut known = self.known();
        match known.state {
            State::Closed { .. } => Leave::Ask(Permit { breaker: Arc::clone(self) }),
            State::Open { until } if Instant::now() >= until => {
                known.state = State::Probing;
                Leave::Probe(Probe { breaker: Arc::clone(self), until: Instant::now() })
            }
            State::Open { .. } | State::Probing => Leave::Nothing,
        }
    }

    fn open(&self) -> State {
        State::Open { until: Instant::now() + self.settings.cool_down }
    }

    /// Every write is of single values: a panic elsewhere cannot leave it half done.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one call; to be told how it went.
#[derive(Debug)]
pub(super) struct Permit {
    breaker: Arc<Breaker>,
}

impl Permit {
    /// Redis answered.
    pub(super) fn answered(self) {
        let mut known = self.breaker.known();
        // A call from before it opened proves nothing.
        if matches!(known.state, State::Closed { .. }) {
            known.state = State::Closed { failures: 0 };
            if std::mem::take(&mut known.told) {
                tracing::info!("Redis serves again");
            }
        }
    }

    /// Redis did not answer, or cannot serve.
    pub(super) fn failed(self, error: &CallError) {
        let mut known = self.breaker.known();
        let State::Closed { failures } = known.state else { return };
        if failures + 1 < self.breaker.settings.failures.get() {
            known.state = State::Closed { failures: failures + 1 };
            return;
        }
        known.state = self.breaker.open();
        if !std::mem::replace(&mut known.told, true) {
            tracing::warn!(%error, "Redis is left alone for a while");
        }
    }
}

/// Leave to find out whether Redis is back. Dropped, it is for another to find out.
#[derive(Debug)]
pub(super) struct Probe {
    breaker: Arc<Breaker>,
    /// When the next may probe, if this one comes to nothing.
    until: Instant,
}

impl Probe {
    /// It is: the next call has to prove it.
    pub(super) fn answered(self) {
        let failures = self.breaker.settings.failures.get() - 1;
        self.breaker.known().state = State::Closed { failures };
    }

    /// It is not.
    pub(super) fn failed(mut self) {
        self.until = Instant::now() + self.breaker.settings.cool_down;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut known = self.breaker.known();
        if matches!(known.state, State::Probing) {
            known.state = State::Open { until: self.until };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(1);

    fn breaker() -> Arc<Breaker> {
        Arc::new(Breaker::new(BreakerSettings { failures: NonZeroU32::new(3).unwrap(), cool_down: COOL_DOWN }))
    }

    #[track_caller]
    fn permit(breaker: &Arc<Breaker>) -> Permit {
        match breaker.leave() {
            Leave::Ask(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn probe(breaker: &Arc<Breaker>) -> Probe {
        match breaker.leave() {
            Leave::Probe(probe) => probe,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn is_open(breaker: &Arc<Breaker>) {
        assert!(matches!(breaker.leave(), Leave::Nothing));
    }

    fn fail(breaker: &Arc<Breaker>) {
        permit(breaker).failed(&CallError::Open);
    }

    fn opened() -> Arc<Breaker> {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker));
        is_open(&breaker);
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_open_it() {
        let breaker = breaker();
        for _ in 0..5 {
            fail(&breaker);
            fail(&breaker);
            permit(&breaker).answered();
        }
        (0..3).for_each(|_| fail(&breaker));
        is_open(&breaker);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probes_after_the_cool_down_and_a_call_has_to_prove_it() {
        let breaker = opened();
        advance(COOL_DOWN).await;
        let first = probe(&breaker);
        is_open(&breaker);
        first.failed();
        is_open(&breaker);
        advance(COOL_DOWN).await;
        probe(&breaker).answered();
        fail(&breaker);
        is_open(&breaker);
        advance(COOL_DOWN).await;
        probe(&breaker).answered();
        permit(&breaker).answered();
        fail(&breaker);
        drop(permit(&breaker));
        fail(&breaker);
        assert!(matches!(breaker.leave(), Leave::Ask(_)), "closed, and the count begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_given_up_lets_the_next_probe() {
        let breaker = opened();
        advance(COOL_DOWN).await;
        drop(probe(&breaker));
        probe(&breaker).answered();
        permit(&breaker).answered();
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_say_nothing() {
        let breaker = breaker();
        let mut late: Vec<_> = (0..6).map(|_| permit(&breaker)).collect();
        (0..3).for_each(|_| fail(&breaker));
        late.pop().unwrap().answered();
        is_open(&breaker);
        advance(COOL_DOWN / 2).await;
        late.into_iter().for_each(|permit| permit.failed(&CallError::Open));
        advance(COOL_DOWN / 2).await;
        probe(&breaker).answered();
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_went_away_is_no_failure() {
        let breaker = breaker();
        (0..10).for_each(|_| drop(permit(&breaker)));
        fail(&breaker);
        fail(&breaker);
        assert!(matches!(breaker.leave(), Leave::Ask(_)));
    }
}
