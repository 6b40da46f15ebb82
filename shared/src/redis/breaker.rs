//! The breaker: while a Redis is down it is asked now and then by one caller, and not by everyone each time.
//!
//! Closed → open after some failures in a row → after a cool-down one call may probe → closed or open again. A
//! caller that goes away without an answer says nothing about Redis, and never leaves the breaker waiting for it.

use std::{
    mem,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::error::CallError;

/// When to stop asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: NonZeroU32,
    /// How long it then stays open before one call may probe.
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
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Leave to make one call, unless Redis is to be left alone.
    pub(super) fn permit(&self) -> Option<Permit<'_>> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Some(Permit { breaker: self, probe: false }),
            State::Open { until } if Instant::now() >= until => {
                *state = State::Probing;
                Some(Permit { breaker: self, probe: true })
            }
            State::Open { .. } | State::Probing => None,
        }
    }

    fn open(&self) -> State {
        State::Open { until: Instant::now() + self.settings.cool_down }
    }

    /// Every write is a single assignment: a panic elsewhere cannot leave it half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one call; to be told how it went.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Permit<'_> {
    /// Whether it is the one call by which an open breaker finds out.
    pub(super) const fn is_probe(&self) -> bool {
        self.probe
    }

    /// Redis answered.
    pub(super) fn answered(mut self) {
        self.probe = false;
        let before = mem::replace(&mut *self.breaker.state(), State::Closed { failures: 0 });
        if !matches!(before, State::Closed { .. }) {
            tracing::info!("Redis serves again");
        }
    }

    /// Redis did not answer, or cannot serve.
    pub(super) fn failed(mut self, error: &CallError) {
        let probe = mem::take(&mut self.probe);
        let mut state = self.breaker.state();
        match *state {
            State::Closed { failures } if !probe && failures + 1 < self.breaker.settings.failures.get() => {
                *state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } => {
                *state = self.breaker.open();
                tracing::warn!(%error, "Redis is left alone for a while");
            }
            State::Probing if probe => *state = self.breaker.open(),
            // A call from before it opened.
            State::Open { .. } | State::Probing => {}
        }
    }
}

impl Drop for Permit<'_> {
    /// A probe whose caller went away: the next call may probe.
    fn drop(&mut self) {
        if self.probe {
            let mut state = self.breaker.state();
            if matches!(*state, State::Probing) {
                *state = State::Open { until: Instant::now() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings { failures: NonZeroU32::new(3).unwrap(), cool_down: COOL_DOWN })
    }

    fn fail(breaker: &Breaker) {
        breaker.permit().unwrap().failed(&CallError::Open);
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker));
        assert!(breaker.permit().is_none());
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_open_it() {
        let breaker = breaker();
        for _ in 0..5 {
            fail(&breaker);
            fail(&breaker);
            breaker.permit().unwrap().answered();
        }
        (0..3).for_each(|_| fail(&breaker));
        assert!(breaker.permit().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_probes_after_the_cool_down() {
        let breaker = opened();
        advance(COOL_DOWN).await;
        let probe = breaker.permit().unwrap();
        assert!(breaker.permit().is_none(), "one at a time");
        probe.failed(&CallError::Open);
        assert!(breaker.permit().is_none(), "open again");
        advance(COOL_DOWN).await;
        breaker.permit().unwrap().answered();
        fail(&breaker);
        assert!(breaker.permit().is_some(), "closed, and the count begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_given_up_lets_the_next_probe() {
        let breaker = opened();
        advance(COOL_DOWN).await;
        drop(breaker.permit().unwrap());
        drop(breaker.permit().unwrap());
        breaker.permit().unwrap().answered();
        assert!(breaker.permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_do_not_prolong_it() {
        let breaker = breaker();
        let late: Vec<_> = (0..6).map(|_| breaker.permit().unwrap()).collect();
        (0..3).for_each(|_| fail(&breaker));
        advance(COOL_DOWN / 2).await;
        late.into_iter().for_each(|permit| permit.failed(&CallError::Open));
        advance(COOL_DOWN / 2).await;
        assert!(breaker.permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_went_away_is_no_failure() {
        let breaker = breaker();
        (0..10).for_each(|_| drop(breaker.permit().unwrap()));
        assert!(breaker.permit().is_some());
    }
}
