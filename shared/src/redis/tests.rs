//! Both kinds of connections against a real Redis, a hung one, a restarted one, and through a proxy that delays.

mod crossing;
mod measure;
pub(crate) mod proxy;
mod security;

use std::{
    num::{NonZeroU32, NonZeroUsize},
    process::Command,
    time::Duration,
};

use deadpool_redis::redis::{Client, FromRedisValue, Script, cmd};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use super::{address::Address, breaker::BreakerSettings, *};
use crate::testing::redis::TestRedis;

/// Longer than any machine takes for a local call; the suites ask for answers, not for speed.
const PATIENT: Duration = Duration::from_secs(20);

pub(crate) fn settings(url: &str) -> Settings {
    Settings { timeout: PATIENT, ..Settings::new(Address::parse(url, None).unwrap()) }
}

/// Asks outside of what is tested.
pub(crate) async fn ask<T: FromRedisValue>(url: &str, words: &[&str]) -> T {
    let mut connection = Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

/// One of each kind.
fn both(settings: &Settings) -> [Redis; 2] {
    let size = NonZeroUsize::new(4).unwrap();
    [Redis::multiplexed(settings).unwrap(), Redis::pooled(settings, size).unwrap()]
}

fn echo(word: &str) -> Call<'static> {
    let mut command = cmd("ECHO");
    command.arg(word);
    Call::Command(command)
}

async fn answers(redis: &Redis) {
    assert_eq!(redis.ask::<String>(&echo("word")).await, Ok("word".to_owned()));
}

/// Asks until an answer comes.
async fn recovers(redis: &Redis) {
    let recovered = async {
        while redis.ask::<String>(&echo("word")).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), recovered).await.expect("it answers again");
}

fn quick(cool_down: Duration) -> BreakerSettings {
    BreakerSettings { failures: NonZeroU32::new(3).unwrap(), cool_down }
}

fn signal(server: &TestRedis, name: &str) {
    let pid = server.pid().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Takes connections, reads nothing and says nothing, and counts them.
async fn black_hole() -> (String, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
            count.send_replace(held.len());
        }
    });
    (url, counted)
}

#[tokio::test]
async fn a_hung_redis_costs_a_call_its_time_limit_and_later_ones_nothing() {
    let (url, connections) = black_hole().await;
    let limit = Duration::from_millis(50);
    let long = BreakerSettings { cool_down: Duration::from_secs(3600), ..BreakerSettings::default() };
    for redis in both(&Settings { timeout: limit, breaker: long, ..settings(&url) }) {
        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(redis.ask::<String>(&echo("word")).await, Err(CallError::Late(limit)));
            assert!(start.elapsed() >= limit);
            assert!(start.elapsed() < limit * 20, "{:?}", start.elapsed());
        }
        for _ in 0..10_000 {
            assert_eq!(redis.ask::<String>(&echo("word")).await, Err(CallError::Open));
        }
    }
    // The one connection goes on being made; the pool tries one a call.
    assert!(*connections.borrow() <= 6, "{}", *connections.borrow());
}

/// As the limiter and the state of a job do, while the breaker has not seen enough.
#[tokio::test]
async fn a_hung_redis_costs_a_job_its_allowance_over_all_its_calls() {
    let (url, _) = black_hole().await;
    let never = BreakerSettings { failures: NonZeroU32::MAX, ..BreakerSettings::default() };
    let settings = Settings { breaker: never, ..settings(&url) };
    for stage in 0..3 {
        let limits = Redis::multiplexed(&settings).unwrap();
        let state = Redis::pooled(&settings, NonZeroUsize::MIN).unwrap().beside(&limits);
        let (first, other) = if stage == 1 { (&limits, &state) } else { (&state, &limits) };
        let job = async {
            let start = Instant::now();
            assert_eq!(first.ask::<String>(&echo("word")).await, Err(CallError::Late(allowance::ALLOWANCE)));
            assert!(start.elapsed() < PATIENT / 2, "and not the call's own time: {:?}", start.elapsed());
            for redis in [first, other, first] {
                assert_eq!(redis.ask::<String>(&echo("word")).await, Err(CallError::Open));
            }
        };
        allowance::limited(Box::pin(job)).await;
    }
}

#[tokio::test]
async fn calls_that_are_answered_cost_a_job_nothing() {
    let server = TestRedis::start().await.unwrap();
    let refused = || Call::Command(cmd("NONE"));
    for redis in both(&settings(&server.url())) {
        // On a busy machine an answer may be late: that job does not count.
        let answered = async || {
            redis.ask::<String>(&echo("word")).await.is_ok()
                && redis.ask::<()>(&refused()).await == Err(CallError::Refused("ERR".to_owned()))
        };
        let job = async || answered().await && allowance::left() == allowance::ALLOWANCE;
        while !allowance::limited(Box::pin(job())).await {}
    }
}

#[tokio::test]
async fn a_stopped_redis_is_left_alone_and_found_again() {
    let server = TestRedis::start().await.unwrap();
    let settings = Settings {
        timeout: Duration::from_millis(50),
        breaker: quick(Duration::from_millis(200)),
        ..settings(&server.url())
    };
    for redis in both(&settings) {
        recovers(&redis).await;
        signal(&server, "-STOP");
        while redis.ask::<String>(&echo("word")).await != Err(CallError::Open) {}
        signal(&server, "-CONT");
        recovers(&redis).await;
    }
}

#[tokio::test]
async fn a_restarted_redis_is_found_again() {
    let mut server = TestRedis::start().await.unwrap();
    let settings = Settings { breaker: quick(Duration::from_millis(50)), ..settings(&server.url()) };
    for redis in both(&settings) {
        for _ in 0..3 {
            answers(&redis).await;
            server.kill().unwrap();
            let error = redis.ask::<String>(&echo("word")).await.unwrap_err();
            assert!(matches!(error, CallError::Broken(_) | CallError::Connect(_)), "{error:?}");
            server.restart().await.unwrap();
            recovers(&redis).await;
        }
    }
}

/// A primary that was made a replica keeps its connections and answers them: it counts as one that does not.
#[tokio::test]
async fn a_replica_is_left_alone_until_a_new_connection_reaches_a_primary() {
    let server = TestRedis::start().await.unwrap();
    let write = || {
        let mut set = cmd("SET");
        set.arg("key").arg(1);
        Call::Command(set)
    };
    let in_a_script = Script::new("return redis.call('SET', KEYS[1], 1)");
    for redis in both(&Settings { breaker: quick(Duration::from_millis(50)), ..settings(&server.url()) }) {
        assert_eq!(redis.ask::<String>(&write()).await, Ok("OK".to_owned()));
        let before = ask_id(&redis).await;
        let _: () = ask(&server.url(), &["REPLICAOF", "127.0.0.1", "1"]).await;
        let replica = Err(CallError::Unfit("READONLY".to_owned()));
        assert_eq!(redis.ask::<String>(&write()).await, replica);
        assert_ne!(ask_id(&redis).await, before, "another connection");
        assert_eq!(redis.ask::<String>(&Call::Script(in_a_script.key("key"))).await, replica);
        while redis.ask::<String>(&write()).await != Err(CallError::Open) {}
        let _: () = ask(&server.url(), &["REPLICAOF", "NO", "ONE"]).await;
        recovers(&redis).await;
        assert_eq!(redis.ask::<String>(&write()).await, Ok("OK".to_owned()));
    }
}

#[tokio::test]
async fn a_pooled_connection_whose_call_was_dropped_is_closed() {
    let server = TestRedis::start().await.unwrap();
    let redis = Redis::pooled(&settings(&server.url()), NonZeroUsize::MIN).unwrap();
    let mut ids = Vec::new();
    for abandoned in [false, false, true] {
        let id = ask_id(&redis).await;
        ids.push(id);
        if abandoned {
            let mut wait = cmd("BLPOP");
            wait.arg("nothing").arg(0);
            let call = Call::Command(wait);
            timeout(Duration::from_millis(50), redis.ask::<()>(&call)).await.unwrap_err();
        }
    }
    ids.push(ask_id(&redis).await);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2], "a connection is used again");
    assert_ne!(ids[2], ids[3], "but not when its reply is still to come");
}

/// A distant one over TLS takes longer than a job can wait.
#[tokio::test]
async fn a_connection_that_takes_longer_than_a_call_is_there_for_the_next() {
    let server = TestRedis::start().await.unwrap();
    let late = Duration::from_millis(300);
    let url = proxy::start(server.port(), proxy::Delays { usual: Duration::ZERO, one_in: 1, held: late }).await;
    let never = BreakerSettings { failures: NonZeroU32::MAX, ..BreakerSettings::default() };
    let settings = Settings { connect_timeout: PATIENT, breaker: never, ..settings(&url) };
    let redis = Redis::pooled(&settings, NonZeroUsize::MIN).unwrap();
    let before: i64 = ask(&server.url(), &["CLIENT", "ID"]).await;
    let hurried = allowance::limited(Box::pin(async { redis.ask::<String>(&echo("word")).await }));
    assert_eq!(hurried.await, Err(CallError::Late(allowance::ALLOWANCE)));
    assert_eq!(ask_id(&redis).await, before + 1, "no other connection was made");
}

async fn ask_id_of(redis: &Redis) -> Result<i64, CallError> {
    let mut id = cmd("CLIENT");
    id.arg("ID");
    redis.ask(&Call::Command(id)).await
}

async fn ask_id(redis: &Redis) -> i64 {
    ask_id_of(redis).await.unwrap()
}

#[tokio::test]
async fn a_shared_connection_is_replaced_after_a_timeout_and_kept_after_a_dropped_call() {
    let server = TestRedis::start().await.unwrap();
    let limit = Duration::from_millis(500);
    let redis = Redis::multiplexed(&Settings { timeout: limit, ..settings(&server.url()) }).unwrap();
    let first = ask_id(&redis).await;
    let slow = || {
        let mut sleep = cmd("BLPOP");
        sleep.arg("nothing").arg(0.2);
        Call::Command(sleep)
    };
    timeout(Duration::from_millis(20), redis.ask::<()>(&slow())).await.unwrap_err();
    assert_eq!(ask_id(&redis).await, first);
    let mut forever = cmd("BLPOP");
    forever.arg("nothing").arg(0);
    assert_eq!(redis.ask::<()>(&Call::Command(forever)).await, Err(CallError::Late(limit)));
    assert_ne!(ask_id(&redis).await, first);
}
