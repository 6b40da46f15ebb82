use std::time::Duration;

use futures::future::join_all;

use super::*;
use crate::limit::{
    Rate,
    conformance::{self, Subject, charge, holder, slot},
};

const HOUR: Duration = Duration::from_secs(3600);

struct Paused {
    limiter: SqliteLimiter,
    _dir: tempfile::TempDir,
}

#[async_trait]
impl Subject for Paused {
    fn limiter(&self) -> &dyn Limiter {
        &self.limiter
    }

    async fn pass(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}

fn paused() -> Paused {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at(Timestamp::from_second(1_790_000_000).unwrap());
    Paused { limiter: SqliteLimiter::open(dir.path(), clock).unwrap(), _dir: dir }
}

#[tokio::test(start_paused = true)]
async fn conforms() {
    conformance::all(&paused()).await;
}

/// As several processes would.
#[tokio::test]
async fn those_who_share_the_file_share_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let limiters: Vec<_> = (0..4).map(|_| SqliteLimiter::open(dir.path(), Clock::system()).unwrap()).collect();
    let one = [charge("k", "1/hour burst 10", 1)];
    let all = limiters.iter().flat_map(|limiter| (0..10).map(|_| limiter.acquire(&one, Duration::ZERO)));
    let turns = join_all(all).await;
    assert_eq!(turns.iter().filter(|turn| **turn == Ok(Turn::Now)).count(), 10);
    let slots = [slot("s", 3)];
    let taken = limiters.iter().enumerate().map(async |(n, limiter)| {
        let request =
            Request { charges: &[], slots: &slots, holder: &holder(&n.to_string()), longest: HOUR, trial: false };
        limiter.ask(&request).await.unwrap().turn
    });
    let turns = join_all(taken).await;
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::Now).count(), 3);
}

#[tokio::test]
async fn random_keys_do_not_grow_it() {
    let paused = paused();
    tokio::time::pause();
    let rate: Rate = "100/sec burst 3".parse().unwrap();
    for (at_once, most) in [(1, 20), (100, 300)] {
        for n in 0..500 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let charge = |key| Charge::new(format!("key-{n}-{key}"), rate, std::num::NonZeroU32::MIN);
            let charges: Vec<_> = (0..at_once).map(charge).collect();
            assert_eq!(paused.limiter.acquire(&charges, Duration::ZERO).await, Ok(Turn::Now));
        }
        let count = "SELECT COUNT(*) FROM tat";
        let kept: i64 = paused.limiter.call(|c, _| c.query_row(count, [], |row| row.get(0))).await.unwrap();
        assert!(kept <= most, "{kept} keys of requests of {at_once}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_numbers_are_survived() {
    let paused = paused();
    let max = std::num::NonZeroU32::MAX;
    let rate = Rate { count: max, per: Duration::MAX, burst: max };
    let charges = [Charge::new("k", rate, max)];
    assert_eq!(paused.limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::Now));
    assert_eq!(paused.limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::At(Timestamp::MAX)));
    assert!(matches!(paused.limiter.acquire(&charges, Duration::ZERO).await, Ok(Turn::TooLate(_))));
}
