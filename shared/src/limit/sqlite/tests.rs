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

/// As it was written before there were lines.
#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let file = Connection::open(dir.path().join("limits.db")).unwrap();
    file.execute_batch(
        "CREATE TABLE tat (key TEXT PRIMARY KEY, scaled BLOB NOT NULL, count INTEGER NOT NULL,
            expires_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX tat_expiry ON tat (expires_at);
        CREATE TABLE slot (key TEXT NOT NULL, holder TEXT NOT NULL, expires_at INTEGER NOT NULL,
            PRIMARY KEY (key, holder)) WITHOUT ROWID;
        CREATE INDEX slot_expiry ON slot (expires_at);
        INSERT INTO slot VALUES ('s', 'earlier', 99999999999999);
        PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(file);
    let limiter = SqliteLimiter::open(dir.path(), Clock::system()).unwrap();
    let (slots, holder) = ([slot("s", 1)], holder("later"));
    let request = Request { charges: &[], slots: &slots, holder: &holder, longest: HOUR, trial: false };
    assert!(matches!(limiter.ask(&request).await.unwrap().turn, Turn::Full(_)), "what it knows is kept");
}

#[tokio::test]
async fn lines_are_gone_when_nobody_has_used_them_for_long() {
    let paused = paused();
    tokio::time::pause();
    let hold = async |n: u32| {
        let (slots, holder) = ([slot(&format!("slot-{n}"), 1)], holder("h"));
        let request = Request { charges: &[], slots: &slots, holder: &holder, longest: HOUR, trial: false };
        assert_eq!(paused.limiter.ask(&request).await.unwrap().turn, Turn::Now);
        paused.limiter.release(&[slots[0].key.clone()], &holder, HOUR).await.unwrap();
    };
    for n in 0..200 {
        hold(n).await;
    }
    tokio::time::advance(Duration::from_secs(601)).await;
    for n in 200..220 {
        hold(n).await;
    }
    let count = "SELECT COUNT(*) FROM line";
    let kept: i64 = paused.limiter.call(|c, _| c.query_row(count, [], |row| row.get(0))).await.unwrap();
    assert!(kept <= 21, "{kept} lines");
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
