//! The fleet's limiter on a real Redis: the conformance suite, and what several workers, clocks and restarts add.

mod faults;
mod fleet;
mod model;

use std::sync::Arc;

use super::*;
use crate::{
    limit::{
        Charge,
        conformance::{self, Subject, charge},
    },
    redis::tests::{ask, settings},
    testing::redis::TestRedis,
};

const HOUR: Duration = Duration::from_secs(3600);

/// With connections of its own, as another worker would have.
fn limiter(server: &TestRedis, clock: Clock) -> RedisLimiter {
    RedisLimiter::new(Arc::new(Redis::multiplexed(&settings(&server.url())).unwrap()), clock)
}

struct Real(RedisLimiter);

#[async_trait]
impl Subject for Real {
    fn limiter(&self) -> &dyn Limiter {
        &self.0
    }

    async fn pass(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

#[tokio::test]
async fn conforms() {
    let server = TestRedis::start().await.unwrap();
    conformance::all(&Real(limiter(&server, Clock::system()))).await;
}

#[tokio::test]
async fn an_acquire_is_one_round_trip() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let charges = ["a", "b", "c"].map(|name| charge(&format!("{{t}}:{name}"), "100/sec burst 9", 1));
    limiter.acquire(&charges, HOUR).await.unwrap();
    let _: () = ask(&server.url(), &["CONFIG", "RESETSTAT"]).await;
    for _ in 0..100 {
        limiter.acquire(&charges, HOUR).await.unwrap();
    }
    let stats: String = ask(&server.url(), &["INFO", "commandstats"]).await;
    let calls = |name: &str| {
        let rest = stats.split_once(&format!("cmdstat_{name}:calls="))?.1;
        rest.split_once(',').and_then(|(calls, _)| calls.parse::<u32>().ok())
    };
    assert_eq!(calls("evalsha"), Some(100), "{stats}");
    // What the script itself calls is counted as well.
    assert_eq!((calls("time"), calls("get"), calls("set")), (Some(100), Some(300), Some(300)), "{stats}");
    assert_eq!((calls("ping"), calls("unwatch"), calls("eval"), calls("script|load")), (None, None, None, None));
}

#[tokio::test]
async fn a_hundred_thousand_senders_are_gone_when_their_time_has_come() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    for batch in 0..1000 {
        let senders: Vec<_> =
            (0..100).map(|n| charge(&format!("{{t}}:sender-{batch}-{n}"), "100/sec burst 5", 1)).collect();
        limiter.acquire(&senders, HOUR).await.unwrap();
    }
    limiter.acquire(&[charge("{t}:long", "1/hour burst 1", 1)], HOUR).await.unwrap();
    let emptied = async {
        while ask::<u32>(&server.url(), &["DBSIZE"]).await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), emptied).await.expect("the senders' keys vanish");
    let left: i64 = ask(&server.url(), &["PTTL", "limit:{t}:long"]).await;
    assert!((1..=3_600_001).contains(&left), "{left}");
    let holder = conformance::holder("h");
    let slots = [conformance::slot("{t}:slot", 1)];
    let request = Request { charges: &[], slots: &slots, holder: &holder, longest: HOUR, trial: false };
    limiter.ask(&request).await.unwrap();
    let left: i64 = ask(&server.url(), &["PTTL", "slots:{t}:slot"]).await;
    assert!((1..=3_600_001).contains(&left), "a slot's key goes with its last lease: {left}");
    assert_eq!(ask::<u32>(&server.url(), &["EXISTS", "line:{t}:slot"]).await, 0, "nobody has waited yet");
    let other = conformance::holder("other");
    assert!(matches!(limiter.ask(&Request { holder: &other, ..request }).await.unwrap().turn, Turn::Full(_)));
    for _ in 0..2 {
        let left: i64 = ask(&server.url(), &["PTTL", "line:{t}:slot"]).await;
        assert!((590_000..=610_001).contains(&left), "{left}");
        limiter.release(&[slots[0].key.clone()], &holder, Duration::from_secs(1)).await.unwrap();
    }
    assert_eq!(ask::<u32>(&server.url(), &["EXISTS", "slots:{t}:slot"]).await, 0);
}

#[tokio::test]
async fn another_rate_goes_on_from_the_same_time() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let at = |rate: &'static str, cost| [charge("{t}:k", rate, cost)];
    assert_eq!(limiter.acquire(&at("3/sec burst 1", 1), HOUR).await, Ok(Turn::Now));
    limiter.acquire(&at("3/sec burst 1", 1000), HOUR).await.unwrap();
    let Ok(Turn::At(before)) = limiter.acquire(&at("3/sec burst 1", 1), HOUR).await else { panic!("a turn") };
    let Ok(Turn::At(after)) = limiter.acquire(&at("7/sec burst 1", 7), HOUR).await else { panic!("a turn") };
    // The one before takes its third of a second; seven at once wait as long as one would.
    assert!((333..=334).contains(&(after.as_millisecond() - before.as_millisecond())), "{before} {after}");
}

#[tokio::test]
async fn the_largest_numbers_are_survived() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let max = std::num::NonZeroU32::MAX;
    let rate = crate::limit::Rate { count: max, per: Duration::MAX, burst: max };
    let charges = [Charge::new("{t}:k", rate, max)];
    assert_eq!(limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::Now));
    for _ in 0..3 {
        assert!(matches!(limiter.acquire(&charges, Duration::ZERO).await, Ok(Turn::TooLate(_))));
    }
    assert!(matches!(limiter.acquire(&charges, Duration::MAX).await, Ok(Turn::At(_))));
}

#[tokio::test]
async fn keys_that_do_not_lie_together_are_refused() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let charges = ["{a}:k", "{b}:k"].map(|key| charge(key, "1/sec", 1));
    let error = limiter.acquire(&charges, HOUR).await.unwrap_err();
    assert!(error.0.contains("hash tags"), "{error}");
}
