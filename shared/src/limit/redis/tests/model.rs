//! The scripts against an exact token bucket and the line of other limiters, at the very times that they report.

use std::{collections::HashMap, num::NonZeroU32};

use proptest::{prelude::*, test_runner::TestRunner};

use super::*;
use crate::limit::{Charge, Rate, line::Line};

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
    /// The keys that are not enforced.
    shadow: Vec<usize>,
    trial: bool,
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
    let charges = prop::collection::vec((0..3_usize, 1..16_u32), 1..5);
    let shadow = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(0..3_usize, 1..3)];
    (pause, charges, longest, shadow, prop::bool::weighted(0.1))
        .prop_map(|(pause, charges, longest, shadow, trial)| Step { pause, charges, longest, shadow, trial })
}

async fn follow(limiter: &RedisLimiter, rates: &[Rate], steps: &[Step]) -> Result<(), TestCaseError> {
    let (run, holder) = (uuid::Uuid::now_v7(), conformance::holder("h"));
    let mut buckets: HashMap<usize, Bucket> = HashMap::new();
    for step in steps {
        if !step.pause.is_zero() {
            tokio::time::sleep(step.pause).await;
        }
        let charges: Vec<Charge> = (step.charges.iter())
            .map(|(key, cost)| {
                let enforce = !step.shadow.contains(key);
                let cost = NonZeroU32::new(*cost).unwrap();
                Charge { enforce, ..Charge::new(format!("{{{run}}}:{key}"), rates[*key], cost) }
            })
            .collect();
        let request =
            Request { charges: &charges, slots: &[], holder: &holder, longest: step.longest, trial: step.trial };
        let answer = limiter.call(&request).await.unwrap();
        let (mut after, mut turn, mut waits) = (buckets.clone(), 0, Vec::new());
        for ((key, cost), charge) in step.charges.iter().zip(&charges) {
            let mut bucket = after.get(key).copied().unwrap_or_else(|| Bucket::full(&rates[*key]));
            let wait = bucket.take(&rates[*key], *cost, answer.now.into());
            if charge.enforce || wait == 0 {
                after.insert(*key, bucket);
            }
            if charge.enforce {
                turn = turn.max(wait);
            }
            waits.push(wait);
        }
        prop_assert_eq!(answer.waits.iter().map(|wait| i128::from(*wait)).collect::<Vec<_>>(), waits);
        let longest = i128::try_from(step.longest.as_micros()).unwrap();
        if turn > longest {
            prop_assert_eq!((i128::from(answer.wait), answer.code), (turn - longest, Reply::TOO_LATE));
        } else {
            prop_assert_eq!((i128::from(answer.wait), answer.code), (turn, Reply::GRANTED));
            if !step.trial {
                buckets = after;
            }
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

/// What Redis keeps of a line.
async fn stored(server: &TestRedis) -> Line {
    let text: String = ask(&server.url(), &["GET", "line:{t}:slot"]).await;
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    Line { tail: numbers[0], hold: numbers[1], moved: numbers[2] }
}

/// The script's lines are those of [`Line`], at the very times that it reports.
#[tokio::test]
async fn its_lines_are_the_same_as_elsewhere() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let slots = [conformance::slot("{t}:slot", 3)];
    let (mut held, mut line, mut places) = (Vec::new(), Line::default(), 0);
    for n in 0_u32..600 {
        let holder = conformance::holder(&n.to_string());
        let request = Request { charges: &[], slots: &slots, holder: &holder, longest: HOUR, trial: false };
        let reply = limiter.call(&request).await.unwrap();
        let now = u64::try_from(reply.now).unwrap();
        if held.len() < 3 {
            assert_eq!(reply.code, Reply::GRANTED);
            held.push(holder);
            line.taken(now);
        } else {
            let wait = line.place(slots[0].limit, now);
            assert_eq!((reply.code, u64::try_from(reply.wait).unwrap()), (Reply::FULL, wait), "{n}");
            places += 1;
            assert_eq!(stored(&server).await, line, "{n}");
        }
        if n % 7 == 6 {
            let held_for = Duration::from_micros(1 << (n % 31));
            limiter.release(&[slots[0].key.clone()], &held.remove(0), held_for).await.unwrap();
            let after = stored(&server).await;
            assert!(after.moved >= now, "{n}");
            line.given_back(held_for, after.moved);
            assert_eq!(after, line, "{n}");
        }
    }
    assert!(places > 400, "{places}");
}
