//! How long runs took of late: a histogram of fixed size that forgets by count.
//!
//! Each run lets all before it count a little less, so that about the last 200 decide, however fast they come.

use std::time::Duration;

use crate::queue::MAX_VISIBILITY;

/// From a millisecond up to the longest lease, each a quarter longer than the one before.
const BUCKETS: usize = 80;
/// The longest duration in each bucket.
static LONGEST: [Duration; BUCKETS] = {
    let mut longest = [Duration::from_millis(1); BUCKETS];
    let (mut micros, mut i) = (1000, 1);
    while i < BUCKETS {
        micros = micros * 5 / 4;
        longest[i] = Duration::from_micros(micros);
        i += 1;
    }
    assert!(micros as u128 >= MAX_VISIBILITY.as_micros());
    longest
};
/// What a run still counts after the next one.
const KEPT: f64 = 0.995;
/// The share of runs that may be longer than the tail.
const BEYOND: f64 = 0.01;

/// The durations of a stage's runs.
#[derive(Debug, Clone)]
pub(super) struct Durations {
    weights: [f64; BUCKETS],
}

impl Default for Durations {
    fn default() -> Self {
        Self { weights: [0.0; BUCKETS] }
    }
}

impl Durations {
    /// A run ended.
    pub(super) fn record(&mut self, took: Duration) {
        for weight in &mut self.weights {
            *weight *= KEPT;
        }
        self.weights[bucket(took)] += 1.0;
    }

    /// How many runs are known, by what they still count.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// What 99 of 100 runs take at most. Of the running ones, those that are past it already count with what they have
    /// taken so far; how long the others will take is not known.
    pub(super) fn tail(&self, running: impl Iterator<Item = Duration>) -> Duration {
        let ended = tail(&self.weights);
        let mut weights = self.weights;
        for so_far in running.filter(|so_far| *so_far > ended) {
            weights[bucket(so_far)] += 1.0;
        }
        tail(&weights)
    }
}

fn tail(weights: &[f64; BUCKETS]) -> Duration {
    let allowed = weights.iter().sum::<f64>() * BEYOND;
    let mut beyond = 0.0;
    let mut from_longest = weights.iter().zip(&LONGEST).rev();
    let found = from_longest.find(|(weight, _)| {
        beyond += *weight;
        beyond > allowed
    });
    found.map_or(Duration::ZERO, |(_, longest)| *longest)
}

fn bucket(duration: Duration) -> usize {
    LONGEST.partition_point(|longest| *longest < duration).min(BUCKETS - 1)
}
