//! Which visibility a stage asks for: the policy's, or one that follows the tail of the stage's own durations.
//!
//! Short, so that a dead worker's job comes back soon; long enough that nearly every job is settled before its first
//! heartbeat. A choice is never outside the policy's bounds. It rises at once and falls late: running jobs count as soon
//! as they are longer than the tail, since those that would tell of a shift have not ended yet.

mod durations;
#[cfg(test)]
mod tests;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::policy::{AutoVisibility, Policy};
use durations::Durations;

/// Heartbeats in a chosen visibility, and so its margin over the tail: 99 of 100 jobs end before their first one.
const BEATS: u32 = 3;
/// Runs, the older ones counting less, before the choice may be lower than the policy's visibility.
const ENOUGH: f64 = 50.0;

/// What one runner asks for.
#[derive(Debug)]
pub struct Visibility {
    policy: Policy,
    tuner: Option<Tuner>,
}

/// Follows the durations.
#[derive(Debug)]
struct Tuner {
    bounds: AutoVisibility,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ended: Durations,
    /// When each running job began; no more places than jobs that ran at once.
    running: Vec<Option<Instant>>,
    chosen: Duration,
}

/// A running job; dropped when it ends, however it ends.
#[derive(Debug)]
pub struct Run<'a> {
    tuner: Option<(&'a Tuner, usize)>,
}

impl Visibility {
    /// The policy's visibility, until there is data and if it lets itself be tuned.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let state = || State { ended: Durations::default(), running: Vec::new(), chosen: policy.visibility };
        let tuner = policy.visibility_auto.map(|bounds| Tuner { bounds, state: Mutex::new(state()) });
        Self { policy, tuner }
    }

    /// What to ask for now.
    pub fn choose(&self) -> Duration {
        self.tuner.as_ref().map_or(self.policy.visibility, |tuner| tuner.choose(self.policy.visibility))
    }

    /// What to extend a lease to of which `left` is left. Never less: were the queue's answer lost, the lease would end
    /// earlier than its holder believes.
    pub(crate) fn extension(&self, left: Duration) -> Duration {
        match self.tuner {
            Some(_) => self.choose().max(whole_seconds(left)),
            None => self.policy.visibility,
        }
    }

    /// How long to wait before such a lease is extended.
    #[must_use]
    pub fn heartbeat(&self, visibility: Duration) -> Duration {
        match self.tuner {
            Some(_) => self.policy.heartbeat.min(visibility / BEATS),
            None => self.policy.heartbeat,
        }
    }

    /// A job begins to run.
    pub fn begin(&self) -> Run<'_> {
        Run { tuner: self.tuner.as_ref().map(|tuner| (tuner, tuner.state().begin())) }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Some((tuner, place)) = self.tuner {
            tuner.state().end(place);
        }
    }
}

impl Tuner {
    fn choose(&self, without_data: Duration) -> Duration {
        let mut state = self.state();
        let least = if state.ended.weight() < ENOUGH { without_data } else { self.bounds.least };
        let wanted = whole_seconds(state.tail() * BEATS).max(least).min(self.bounds.most);
        // Down by half or not at all, or it would follow every wobble of the tail down and up again.
        if wanted > state.chosen || wanted * 2 <= state.chosen {
            state.chosen = wanted;
        }
        state.chosen
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and an estimate that missed a run is still one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self) -> usize {
        let free = self.running.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.running.push(None);
            self.running.len() - 1
        });
        self.running[place] = Some(Instant::now());
        place
    }

    fn end(&mut self, place: usize) {
        if let Some(began) = self.running[place].take() {
            self.ended.record(began.elapsed());
        }
    }

    fn tail(&self) -> Duration {
        self.ended.tail(self.running.iter().flatten().map(Instant::elapsed))
    }
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}
