//! The script against an exact token bucket, at the very times that the script reports.

use std::{collections::HashMap, num::NonZeroU32};

use proptest::{prelude::*, test_runner::TestRunner};

use super::*;
use crate::limit::Rate;

/// `tokens` in units of one nanosecond's worth of a unit: `per` in nanoseconds make one.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: i128,
    at: i128,
}

impl Bucket {
    fn full(rate: &Rate) -> Self {
        Self { tokens: per(rate) * i128::from(rate.burst.get()), at: 0 }
    }

    /// Takes `cost` at `now`; the microseconds until they are there. Both rounded up, as the script does.
    fn take(&mut self, rate: &Rate, cost: u32, now: i128) -> i128 {
        let (count, burst) = (i128::from(rate.count.get()), i128::from(rate.burst.get()));
        self.tokens = (self.tokens + (now - self.at) * 1000 * count).min(burst * per(rate));
        self.at = now;
        let missing = i128::from(cost).min(burst) * per(rate) - self.tokens;
        self.tokens -= i128::from(cost) * per(rate);
        let micro = count * 1000;
        (missing.max(0) + micro - 1) / micro
    }
}

fn per(rate: &Rate) -> i128 {
    i128::try_from(rate.per.as_nanos()).unwrap()
}

#[derive(Debug, Clone)]
struct Step {
    pause: Duration,
    charges: Vec<(usize, u32)>,
    longest: Duration,
}

/// Periods of some milliseconds, so that the pauses matter, and none that divides evenly.
fn rate() -> impl Strategy<Value = Rate> {
    let nonzero = |most: u32| (1..most).prop_map(|n| NonZeroU32::new(n).unwrap());
    (nonzero(40), 1_u64..20_000_000, nonzero(12)).prop_map(|(count, nanos, burst)| Rate {
        count,
        per: Duration::from_nanos(nanos),
        burst,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![4 => Just(0), 1 => 0..3000_u64].prop_map(Duration::from_micros);
    let longest = prop_oneof![Just(0), 0..2000_u64, Just(10_000_000)].prop_map(Duration::from_micros);
    (pause, prop::collection::vec((0..3_usize, 1..16_u32), 1..5), longest).prop_map(|(pause, charges, longest)| Step {
        pause,
        charges,
        longest,
    })
}

async fn follow(limiter: &RedisLimiter, rates: &[Rate], steps: &[Step]) -> Result<(), TestCaseError> {
    let run = uuid::Uuid::now_v7();
    let mut buckets: HashMap<usize, Bucket> = HashMap::new();
    for step in steps {
        if !step.pause.is_zero() {
            tokio::time::sleep(step.pause).await;
        }
        let charges: Vec<Charge> = (step.charges.iter())
            .map(|(key, cost)| Charge {
                key: format!("{{{run}}}:{key}"),
                rate: rates[*key],
                cost: NonZeroU32::new(*cost).unwrap(),
            })
            .collect();
        let answer = limiter.ask(&charges, step.longest).await.unwrap();
        let (mut after, mut turn) = (buckets.clone(), 0);
        for (key, cost) in &step.charges {
            let bucket = after.entry(*key).or_insert_with(|| Bucket::full(&rates[*key]));
            turn = turn.max(bucket.take(&rates[*key], *cost, answer.now.into()));
        }
        let longest = i128::try_from(step.longest.as_micros()).unwrap();
        if turn > longest {
            prop_assert_eq!((i128::from(answer.wait), answer.granted), (turn - longest, false));
        } else {
            prop_assert_eq!((i128::from(answer.wait), answer.granted), (turn, true));
            buckets = after;
        }
    }
    Ok(())
}

#[test]
fn it_is_the_token_bucket_to_the_microsecond() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(TestRedis::start()).unwrap();
    let limiter = limiter(&server, Clock::system());
    let cases = (prop::collection::vec(rate(), 3), prop::collection::vec(step(), 1..60));
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() });
    runner.run(&cases, |(rates, steps)| runtime.block_on(follow(&limiter, &rates, &steps))).unwrap();
}
