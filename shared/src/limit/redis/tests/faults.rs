//! A Redis that forgets, restarts or hangs.

use std::process::Command;

use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    limit::{
        guarded::{Guarded, OnError, Share, Source},
        local::LocalLimiter,
    },
    redis::{Settings, address::Address},
};

/// How many pass before one is refused; errors are tried again.
async fn drain(limiter: &RedisLimiter, one: &[Charge]) -> f64 {
    let mut passed = 0.0;
    loop {
        match limiter.acquire(one, Duration::ZERO).await {
            Ok(Turn::Now) => passed += 1.0,
            Ok(_) => return passed,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[tokio::test]
async fn a_restart_costs_at_most_one_burst() {
    let mut server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let one = [charge("{t}:k", "10/sec burst 50", 1)];
    let start = Instant::now();
    let before = drain(&limiter, &one).await;
    server.restart().await.unwrap();
    let after = timeout(Duration::from_secs(30), drain(&limiter, &one)).await.unwrap();
    let allowed = 10.0 * start.elapsed().as_secs_f64();
    assert!(before >= 50.0 && after >= 50.0, "{before} and {after}");
    assert!(before + after <= 100.0 + allowed, "{before} and {after}, {allowed} by the rate");
}

#[tokio::test]
async fn a_script_that_was_flushed_is_loaded_again() {
    let server = TestRedis::start().await.unwrap();
    let limiter = limiter(&server, Clock::system());
    let one = [charge("{t}:k", "1/hour burst 3", 1)];
    for _ in 0..3 {
        assert_eq!(limiter.acquire(&one, HOUR).await, Ok(Turn::Now));
        let _: () = ask(&server.url(), &["SCRIPT", "FLUSH"]).await;
    }
    assert!(matches!(limiter.acquire(&one, Duration::ZERO).await, Ok(Turn::TooLate(_))), "charged once each");
}

fn signal(server: &TestRedis, name: &str) {
    let pid = server.pid().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[tokio::test]
async fn a_hung_redis_delays_a_job_by_its_limit_and_the_fallback_answers() {
    let server = TestRedis::start().await.unwrap();
    let limit = Duration::from_millis(50);
    let settings = Settings::new(Address::parse(&server.url(), None).unwrap());
    assert_eq!(settings.timeout, limit, "as declared");
    let limiter = RedisLimiter::new(Arc::new(Redis::multiplexed(&settings).unwrap()), Clock::system());
    let guarded = Guarded::new(Arc::new(limiter), Clock::system(), Duration::from_secs(5));
    let local = OnError::Local(Share::percent(50).unwrap());
    signal(&server, "-STOP");
    let mut turns = Vec::new();
    for on_error in [local, local, local, OnError::Defer, OnError::Allow] {
        let charges = [Charge { on_error, ..charge("{t}:k", "1/hour burst 4", 1) }];
        let holder = conformance::holder("h");
        let request = Request { charges: &charges, slots: &[], holder: &holder, longest: Duration::ZERO, trial: false };
        let start = Instant::now();
        let (answer, source) = guarded.ask(&request).await;
        assert_eq!(source, Source::Fallback);
        turns.push(answer.turn);
        assert!(start.elapsed() < limit * 20, "{:?}", start.elapsed());
    }
    signal(&server, "-CONT");
    assert_eq!(turns[..2], [Turn::Now; 2]);
    assert!(matches!(turns[2], Turn::TooLate(_)), "half of the burst is spent");
    assert!(matches!(turns[3], Turn::TooLate(_)));
    assert_eq!(turns[4], Turn::Now);
}

/// On the same questions, asked at once, both limiters give the same answers.
#[tokio::test]
async fn it_answers_as_the_local_one() {
    let server = TestRedis::start().await.unwrap();
    let fleet = limiter(&server, Clock::system());
    let local = LocalLimiter::new(Clock::system());
    let key = |name: &str, rate: &str, cost| charge(&format!("{{t}}:{name}"), rate, cost);
    let questions = [
        (vec![key("a", "1/hour burst 3", 2)], Duration::ZERO),
        (vec![key("a", "1/hour burst 3", 2)], Duration::ZERO),
        (vec![key("a", "1/hour burst 3", 1), key("b", "1/day burst 2", 5)], Duration::ZERO),
        (vec![key("b", "1/day burst 2", 1)], HOUR * 24 * 4),
        (vec![key("b", "1/day burst 2", 1)], HOUR * 24 * 5),
        (vec![key("b", "7/day burst 2", 3), key("b", "1/day burst 2", 1)], Duration::MAX),
    ];
    for (charges, longest) in questions {
        let answers =
            [fleet.acquire(&charges, longest).await.unwrap(), local.acquire(&charges, longest).await.unwrap()];
        match answers {
            [Turn::Now, Turn::Now] => {}
            [Turn::At(one), Turn::At(other)] | [Turn::TooLate(one), Turn::TooLate(other)] => {
                let apart = (one.as_millisecond() - other.as_millisecond()).abs();
                assert!(apart < 10_000, "{one} and {other} for {charges:?}");
            }
            different => panic!("{different:?} for {charges:?}"),
        }
    }
}
