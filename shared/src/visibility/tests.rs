//! What is chosen while durations shift, in paused time.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::advance;

use super::*;
use crate::policy::Backoff;

const S: Duration = Duration::from_secs(1);
const LEAST: Duration = Duration::from_secs(2);
const MOST: Duration = Duration::from_secs(600);

const POLICY: Policy = Policy {
    visibility: Duration::from_secs(60),
    visibility_auto: Some(AutoVisibility { least: LEAST, most: MOST }),
    heartbeat: Duration::from_secs(20),
    progress: Duration::from_secs(60),
    deadline: Duration::from_secs(900),
    concurrency: 8,
    max_attempts: 3,
    max_crashes: 5,
    backoff: Backoff { first: S, longest: S },
    max_age: Duration::from_secs(3600),
}
.checked();

/// Takes so long, and lets the stage choose after it.
async fn run(visibility: &Visibility, takes: Duration) -> Duration {
    let running = visibility.begin();
    advance(takes).await;
    drop(running);
    visibility.choose()
}

/// Runs whose durations are exponentially distributed.
struct Load {
    rng: StdRng,
    mean: Duration,
}

impl Load {
    fn new(mean: Duration) -> Self {
        Self { rng: StdRng::seed_from_u64(7), mean }
    }

    fn takes(&mut self) -> Duration {
        self.mean.mul_f64(-(1.0 - self.rng.random::<f64>()).ln())
    }

    /// What 99 of 100 take at most.
    fn tail(&self) -> Duration {
        self.mean.mul_f64(100_f64.ln())
    }
}

/// The choices over so many runs.
async fn runs(visibility: &Visibility, load: &mut Load, count: usize) -> Vec<Duration> {
    let mut chosen = Vec::new();
    for _ in 0..count {
        chosen.push(run(visibility, load.takes()).await);
    }
    chosen
}

fn changes(chosen: &[Duration]) -> usize {
    chosen.windows(2).filter(|two| two[0] != two[1]).count()
}

#[tokio::test(start_paused = true)]
async fn without_data_and_with_too_little_of_it_it_is_the_policy_s() {
    let visibility = Visibility::new(POLICY);
    assert_eq!(visibility.choose(), POLICY.visibility);
    for _ in 0..50 {
        assert_eq!(run(&visibility, S / 100).await, POLICY.visibility);
    }
    let fixed = Visibility::new(Policy { visibility_auto: None, ..POLICY });
    let chosen = runs(&fixed, &mut Load::new(60 * S), 500).await;
    assert!(chosen.iter().all(|chosen| *chosen == POLICY.visibility));
    assert_eq!(fixed.heartbeat(POLICY.visibility), POLICY.heartbeat);
    assert_eq!(fixed.extension(S), POLICY.visibility);
}

#[tokio::test(start_paused = true)]
async fn it_follows_a_shift_up_at_once_and_down_late() {
    let visibility = Visibility::new(POLICY);
    let (mut fast, mut slow) = (Load::new(S), Load::new(15 * S));
    let before = *runs(&visibility, &mut fast, 1000).await.last().unwrap();
    assert!(before >= fast.tail() && before < POLICY.visibility / 2, "{before:?}");

    let rising = runs(&visibility, &mut slow, 1000).await;
    let up = rising.iter().position(|chosen| *chosen >= slow.tail()).unwrap();
    assert!(up < 20, "after {up} runs");
    assert!(rising[up..].iter().all(|chosen| *chosen >= slow.tail()), "it does not fall while they are slow");

    let falling = runs(&visibility, &mut fast, 2000).await;
    let down = falling.iter().position(|chosen| *chosen < slow.tail()).unwrap();
    assert!(down > 200, "after {down} runs");
    let after = *falling.last().unwrap();
    assert!(after >= fast.tail() && after < POLICY.visibility / 2, "{after:?}");
    assert!(changes(&falling) <= 6, "{} changes", changes(&falling));
}

#[tokio::test(start_paused = true)]
async fn running_jobs_that_are_past_the_tail_raise_it_before_they_end() {
    let visibility = Visibility::new(POLICY);
    let before = *runs(&visibility, &mut Load::new(S / 10), 1000).await.last().unwrap();
    let running: Vec<_> = (0..4).map(|_| visibility.begin()).collect();
    assert_eq!(visibility.choose(), before, "how long they will take is not known yet");
    advance(before).await;
    assert!(visibility.choose() >= before * 3);
    advance(10 * S).await;
    assert!(visibility.choose() >= (before + 10 * S) * 3);
    advance(3600 * S).await;
    assert_eq!(visibility.choose(), MOST);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn one_run_in_two_hundred_is_no_tail() {
    let visibility = Visibility::new(POLICY);
    for _ in 0..10 {
        for _ in 0..200 {
            run(&visibility, S / 10).await;
        }
        assert_eq!(run(&visibility, 300 * S).await, LEAST);
    }
}

#[tokio::test(start_paused = true)]
async fn it_does_not_flap() {
    for mean in [S, 4 * S, 9 * S] {
        let visibility = Visibility::new(POLICY);
        let mut load = Load::new(mean);
        runs(&visibility, &mut load, 1000).await;
        let chosen = runs(&visibility, &mut load, 5000).await;
        assert!(changes(&chosen) <= 10, "{} of {mean:?}", changes(&chosen));
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_three_to_a_lease_and_shorten_none() {
    let visibility = Visibility::new(POLICY);
    runs(&visibility, &mut Load::new(S / 100), 100).await;
    assert_eq!(visibility.choose(), LEAST);
    assert_eq!(visibility.heartbeat(LEAST), LEAST / 3);
    assert_eq!(visibility.heartbeat(MOST), POLICY.heartbeat);
    assert_eq!(visibility.extension(S), LEAST);
    assert_eq!(visibility.extension(Duration::from_millis(40_100)), 41 * S);
}

#[tokio::test(start_paused = true)]
async fn places_of_ended_jobs_are_used_again() {
    let visibility = Visibility::new(POLICY);
    for _ in 0..100 {
        let _two = (visibility.begin(), visibility.begin());
    }
    assert_eq!(visibility.tuner.as_ref().unwrap().state().running.len(), 2);
}

proptest! {
    #[test]
    fn it_is_within_the_bounds_and_at_least_the_tail_of_what_it_saw(
        shortest in 1..2000_u64,
        spread in 0..40_000_u64,
        seed in any::<u64>(),
        ended in 300..1500_usize,
        overdue in 0..8_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let visibility = Visibility::new(POLICY);
        let mut chosen = POLICY.visibility;
        runtime.block_on(async {
            for _ in 0..ended {
                let takes = Duration::from_millis(shortest + rng.random_range(0..=spread));
                chosen = run(&visibility, takes).await;
                assert!(LEAST <= chosen && chosen <= MOST, "{chosen:?}");
            }
            let running: Vec<_> = (0..overdue).map(|_| visibility.begin()).collect();
            advance(Duration::from_secs(1000 * overdue)).await;
            assert!(chosen <= visibility.choose() && visibility.choose() <= MOST);
            drop(running);
        });
        let tail = Duration::from_millis(shortest + spread * 99 / 100);
        prop_assert!(chosen >= tail, "{chosen:?} of {tail:?}");
    }
}
