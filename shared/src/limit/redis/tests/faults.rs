//! A Redis that forgets, restarts or hangs.

use std::{num::NonZeroU32, process::Command};

use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    limit::{
        guarded::{Guarded, OnError, Share, Source},
        local::LocalLimiter,
    },
    redis::{
        Settings,
        address::Address,
        breaker::BreakerSettings,
        tests::proxy::{self, Delays},
    },
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

/// What a Redis knows of a key, in whole microseconds; none when it is idle.
async fn stored(server: &TestRedis, key: &str) -> Option<i64> {
    let text: Option<String> = ask(&server.url(), &["GET", &format!("limit:{key}")]).await;
    text.and_then(|text| text.split(' ').next()?.parse().ok())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), held).await.expect(what);
}

/// Calls made so far of a script that grants, whatever came of them.
async fn granted(server: &TestRedis) -> u32 {
    let stats: String = ask(&server.url(), &["INFO", "commandstats"]).await;
    let calls = |name: &str| {
        let rest = stats.split_once(&format!("cmdstat_{name}:calls="))?.1;
        rest.split_once(',').and_then(|(calls, _)| calls.parse().ok())
    };
    calls("zadd").unwrap_or(0)
}

#[tokio::test]
async fn what_a_slow_redis_granted_to_nobody_is_given_back() {
    let server = TestRedis::start().await.unwrap();
    let direct = limiter(&server, Clock::system());
    let charges = [charge("{t}:busy", "7/min burst 1", 1), charge("{t}:idle", "1/min burst 1000", 3)];
    let slots = [conformance::slot("{t}:slot", 9)];
    let kept = [charge("{t}:busy", "3/min burst 1", 100)];
    assert_eq!(direct.acquire(&kept, HOUR).await, Ok(Turn::Now));
    let before = stored(&server, "{t}:busy").await.unwrap();

    let held = Delays { usual: Duration::ZERO, one_in: 1, held: Duration::from_millis(150) };
    let url = proxy::start(server.port(), held).await;
    // Connecting takes several delays; so the first calls wait for the connection and are not made.
    let never = BreakerSettings { failures: NonZeroU32::MAX, cool_down: Duration::ZERO };
    let settings = Settings { breaker: never, ..Settings::new(Address::parse(&url, None).unwrap()) };
    let slow = RedisLimiter::new(Arc::new(Redis::multiplexed(&settings).unwrap()), Clock::system());
    let both = [charges[0].clone(), Charge { enforce: false, ..charges[1].clone() }];
    let (mut round, mut passed, mut reserved) = (0_u32, 0, 0);
    while passed < 3 || reserved < 3 {
        round += 1;
        let holder = conformance::holder(&format!("h{round}"));
        // Whether it waits or passes, and when it is dropped before its time is up.
        let charges = if round % 2 == 0 { &both[..] } else { &charges[1..] };
        let request = Request { charges, slots: &slots, holder: &holder, longest: HOUR, trial: false };
        let patience = Duration::from_millis(u64::from(30 * (round % 3 + 1)));
        if let Ok(Ok(answer)) = timeout(patience, slow.ask(&request)).await {
            panic!("it is slow: {answer:?}");
        }
        passed = granted(&server).await;
        reserved += u32::from(stored(&server, "{t}:busy").await.is_some_and(|busy| busy > before + 1_000_000));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("the charges are taken back", async || {
        let (busy, idle) = (stored(&server, "{t}:busy").await, stored(&server, "{t}:idle").await);
        let held: u32 = ask(&server.url(), &["ZCARD", "slots:{t}:slot"]).await;
        // Between two denominators it is rounded up, by less than a microsecond each time.
        busy.is_some_and(|busy| (0..=i64::from(round)).contains(&(busy - before))) && idle.is_none() && held == 0
    })
    .await;
}

#[tokio::test]
async fn an_open_breaker_probes_without_charging() {
    let server = TestRedis::start().await.unwrap();
    let held = Delays { usual: Duration::ZERO, one_in: 1, held: Duration::from_millis(150) };
    let url = proxy::start(server.port(), held).await;
    let breaker = BreakerSettings { failures: NonZeroU32::MIN, cool_down: Duration::from_millis(60) };
    let settings = Settings { breaker, ..Settings::new(Address::parse(&url, None).unwrap()) };
    let slow = RedisLimiter::new(Arc::new(Redis::multiplexed(&settings).unwrap()), Clock::system());
    let one = [charge("{t}:k", "1/hour burst 9", 1)];
    let before: u32 = pings(&server).await;
    slow.acquire(&one, HOUR).await.unwrap_err();
    until("it probes", async || {
        slow.acquire(&one, HOUR).await.unwrap_err();
        pings(&server).await >= before + 3
    })
    .await;
    assert_eq!(stored(&server, "{t}:k").await, None);
    let stats: String = ask(&server.url(), &["INFO", "commandstats"]).await;
    assert!(!stats.contains("cmdstat_evalsha") && !stats.contains("cmdstat_script"), "{stats}");
}

async fn pings(server: &TestRedis) -> u32 {
    let stats: String = ask(&server.url(), &["INFO", "commandstats"]).await;
    let rest = stats.split_once("cmdstat_ping:calls=").map_or("0,", |(_, rest)| rest);
    rest.split_once(',').and_then(|(calls, _)| calls.parse().ok()).unwrap()
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
