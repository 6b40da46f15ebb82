use std::{num::NonZeroU32, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::limit::{
    Charge, Rate, Turn,
    conformance::{self, Subject, charge},
};

struct Paused(LocalLimiter);

#[async_trait]
impl Subject for Paused {
    fn limiter(&self) -> &dyn Limiter {
        &self.0
    }

    async fn pass(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}

fn limiter() -> LocalLimiter {
    LocalLimiter::new(Clock::starting_at(Timestamp::UNIX_EPOCH))
}

#[tokio::test(start_paused = true)]
async fn conforms() {
    conformance::all(&Paused(limiter())).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_deferred_drain_at_a_hundred_a_second() {
    let limiter = limiter();
    let hour = Duration::from_secs(3600);
    let one = [charge("k", "100/sec burst 1", 1)];
    assert_eq!(limiter.acquire(&one, hour).await, Ok(Turn::Now));
    for k in 1..=1000 {
        let at = Timestamp::from_millisecond(k * 10).unwrap();
        assert_eq!(limiter.acquire(&one, hour).await, Ok(Turn::At(at)));
    }
    // Nothing drifts: a third of a second is not a whole number of nanoseconds, three of them are a second.
    let third = [charge("t", "3/sec burst 1", 1)];
    for k in 0..3000_i64 {
        let turn = limiter.acquire(&third, hour).await.unwrap();
        let due = Timestamp::from_millisecond((k * 1000 + 2) / 3).unwrap();
        assert_eq!(turn, if k == 0 { Turn::Now } else { Turn::At(due) }, "{k}");
    }
}

#[tokio::test(start_paused = true)]
async fn random_keys_do_not_grow_it() {
    let limiter = limiter();
    for n in 0..200_000 {
        tokio::time::advance(Duration::from_millis(1)).await;
        let charges = [charge(&format!("key-{n}"), "100/sec burst 3", 1)];
        assert_eq!(limiter.acquire(&charges, Duration::ZERO).await, Ok(Turn::Now));
    }
    let table = limiter.table.lock().unwrap();
    assert!(table.keys.len() <= SWEEP_FLOOR + 1, "{} keys", table.keys.len());
    assert!(table.keys.capacity() <= 4 * SWEEP_FLOOR, "capacity {}", table.keys.capacity());
}

#[tokio::test(start_paused = true)]
async fn the_largest_numbers_do_not_overflow() {
    let max = NonZeroU32::MAX;
    let rate = Rate { count: max, per: Duration::MAX, burst: max };
    let charges = [Charge::new("k", rate, max)];
    let limiter = limiter();
    assert_eq!(limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::Now));
    assert_eq!(limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::At(Timestamp::MAX)));
    assert!(matches!(limiter.acquire(&charges, Duration::ZERO).await, Ok(Turn::TooLate(_))));
}

/// A token bucket told in whole numbers: `tokens` in units of 1 / (per in nanoseconds × count) of a unit.
struct Bucket {
    tokens: i128,
    at: i128,
}

impl Bucket {
    /// The nanoseconds to wait for `cost` units at `now`; takes them.
    fn take(&mut self, rate: &Rate, cost: u32, now: i128) -> i128 {
        let per = i128::try_from(rate.per.as_nanos()).unwrap();
        let (count, burst) = (i128::from(rate.count.get()), i128::from(rate.burst.get()));
        self.tokens = (self.tokens + (now - self.at) * count).min(burst * per);
        self.at = now;
        let missing = i128::from(cost).min(burst) * per - self.tokens;
        self.tokens -= i128::from(cost) * per;
        (missing.max(0) + count - 1) / count
    }
}

fn step() -> impl Strategy<Value = (u64, u32)> {
    (prop_oneof![Just(0), 0..5_u64, 0..2_000_u64], 1..8_u32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_token_bucket(count in 1..40_u32, burst in 1..12_u32, steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(follow(count, burst, &steps));
    }
}

async fn follow(count: u32, burst: u32, steps: &[(u64, u32)]) {
    let nonzero = |n| NonZeroU32::new(n).unwrap();
    let rate = Rate { count: nonzero(count), per: Duration::from_secs(1), burst: nonzero(burst) };
    let limiter = limiter();
    let mut bucket = Bucket { tokens: i128::from(burst) * 1_000_000_000, at: 0 };
    let mut admitted: Vec<(i64, u32)> = Vec::new();
    let mut now = 0_u64;
    for &(pause, cost) in steps {
        tokio::time::advance(Duration::from_millis(pause)).await;
        now += pause;
        let charges = [Charge::new("k", rate, nonzero(cost))];
        let wait = bucket.take(&rate, cost, i128::from(now) * 1_000_000);
        let due = Timestamp::from_nanosecond((i128::from(now) * 1_000_000 + wait + 999_999) / 1_000_000 * 1_000_000);
        let due = due.unwrap();
        let turn = limiter.acquire(&charges, Duration::MAX).await.unwrap();
        assert_eq!(turn, if wait == 0 { Turn::Now } else { Turn::At(due) });
        admitted.push((due.as_millisecond(), cost));
    }
    assert_bounded(&rate, &admitted);
}

/// In no window passes more than the burst (or the largest single cost) and what the rate allows in it. Turns
/// are told in whole milliseconds, so a window may really have been one longer.
fn assert_bounded(rate: &Rate, admitted: &[(i64, u32)]) {
    let largest = admitted.iter().map(|(_, cost)| *cost).max().unwrap_or(0).max(rate.burst.get());
    for (i, (from, _)) in admitted.iter().enumerate() {
        let mut sum = 0;
        for (to, cost) in &admitted[i..] {
            sum += i64::from(*cost);
            let allowed = i64::from(largest) * 1000 + (to - from + 1) * i64::from(rate.count.get());
            assert!(sum * 1000 <= allowed, "{sum} units from {from} to {to} ms at {rate:?}");
        }
    }
}
