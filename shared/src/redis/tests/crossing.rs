//! No reply reaches another caller, however calls end. A hundred thousand calls; with `SOAK=1` a million.

use std::{
    env,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::future::join_all;
use rand::{random_bool, random_range};

use super::{
    proxy::{self, Delays},
    *,
};

const TASKS: u32 = 64;

#[derive(Debug, Default)]
struct Ends {
    answered: AtomicU32,
    late: AtomicU32,
    dropped: AtomicU32,
    broken: AtomicU32,
    crossed: AtomicU32,
}

/// Of each kind of connections.
fn calls() -> u32 {
    if env::var_os("SOAK").is_some() { 500_000 } else { 50_000 }
}

/// Half are commands, half are scripts. Half are dropped at some moment between being made and being answered.
async fn one(redis: &Redis, script: &Script, name: &str, ends: &Ends) {
    let call = if random_bool(0.5) { echo(name) } else { Call::Script(script.arg(name)) };
    let asked = redis.ask::<String>(&call);
    let answer = if random_bool(0.5) {
        let patience = Duration::from_micros(random_range(0..4000));
        let Ok(answer) = timeout(patience, asked).await else {
            ends.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        answer
    } else {
        asked.await
    };
    let counter = match answer {
        Ok(word) if word == name => &ends.answered,
        Ok(_) => &ends.crossed,
        Err(CallError::Late(_)) => &ends.late,
        Err(_) => &ends.broken,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

async fn storm(redis: Redis) -> Ends {
    let (redis, ends) = (Arc::new(redis), Arc::new(Ends::default()));
    let tasks = (0..TASKS).map(|task| {
        let (redis, ends) = (Arc::clone(&redis), Arc::clone(&ends));
        tokio::spawn(async move {
            let script = Script::new("return ARGV[1]");
            for n in 0..calls().div_ceil(TASKS) {
                one(&redis, &script, &format!("{task}-{n}"), &ends).await;
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    Arc::into_inner(ends).unwrap()
}

async fn through_a_proxy(make: impl FnOnce(&Settings) -> Redis) {
    let server = TestRedis::start().await.unwrap();
    let delays = Delays { usual: Duration::from_millis(3), one_in: 200, held: Duration::from_millis(120) };
    let never = BreakerSettings { failures: NonZeroU32::MAX, cool_down: Duration::ZERO };
    let url = proxy::start(server.port(), delays).await;
    let ends = storm(make(&Settings { timeout: Duration::from_millis(60), breaker: never, ..settings(&url) })).await;
    println!("{ends:?}");
    let [answered, late, dropped, broken, crossed] =
        [ends.answered, ends.late, ends.dropped, ends.broken, ends.crossed].map(AtomicU32::into_inner);
    assert_eq!(crossed, 0);
    assert_eq!(broken, 0);
    assert!(answered > calls() / 10 && dropped > calls() / 10 && late > 0, "{answered} {dropped} {late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_crosses_on_one_connection() {
    through_a_proxy(|settings| Redis::multiplexed(settings).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_crosses_in_a_pool() {
    through_a_proxy(|settings| Redis::pooled(settings, NonZeroUsize::new(64).unwrap()).unwrap()).await;
}
