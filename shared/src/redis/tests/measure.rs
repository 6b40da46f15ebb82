//! Measurements, which assert nothing about time: `cargo test --release -p shared redis::tests::measure -- --ignored --nocapture`.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    proxy::{self, Delays},
    *,
};
use crate::{
    clock::Clock,
    limit::{Limiter, conformance::charge, redis::RedisLimiter},
    state::{State, redis::RedisState},
};

async fn limit(redis: Arc<Redis>, task: usize, count: usize) -> Vec<Duration> {
    let limiter = RedisLimiter::new(redis, Clock::system());
    let charges =
        ["sender", "domain", "tenant"].map(|name| charge(&format!("{{{task}}}:{name}"), "100/sec burst 9", 1));
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        limiter.acquire(&charges, Duration::MAX).await.unwrap();
        took.push(start.elapsed());
    }
    took
}

async fn state(redis: Arc<Redis>, task: usize, count: usize, size: usize) -> Vec<Duration> {
    let (state, value) = (RedisState::new(redis), vec![7; size]);
    let key = task.to_string();
    state.set(&key, &value, PATIENT).await.unwrap();
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        state.get(&key).await.unwrap();
        took.push(start.elapsed());
    }
    took
}

fn print(name: &str, tasks: usize, start: Instant, took: Vec<Vec<Duration>>) {
    let mut took = took.concat();
    took.sort_unstable();
    let rate = took.len() as f64 / start.elapsed().as_secs_f64();
    let at = |part: usize| took[took.len() * part / 100 - 1];
    println!("{name:<34} {tasks:>3} callers {rate:>8.0}/s  p50 {:>9.1?}  p99 {:>9.1?}", at(50), at(99));
}

async fn compare(place: &str, url: &str, count: usize) {
    for tasks in [1, 16, 64] {
        let pool = Redis::pooled(&settings(url), NonZeroUsize::new(16).unwrap()).unwrap();
        for (kind, redis) in [("one connection", Redis::multiplexed(&settings(url)).unwrap()), ("pool of 16", pool)] {
            let redis = Arc::new(redis);
            let start = Instant::now();
            let took = (0..tasks).map(|task| tokio::spawn(limit(Arc::clone(&redis), task, count)));
            let took = join_all(took).await.into_iter().map(Result::unwrap).collect();
            print(&format!("{place}, three limits, {kind}"), tasks, start, took);
        }
    }
}

/// Small values beside large ones, on a link that carries some 16 MB a second a connection.
async fn beside_large_values(url: &str) {
    let pool = Redis::pooled(&settings(url), NonZeroUsize::new(16).unwrap()).unwrap();
    for (kind, redis) in [("one connection", Redis::multiplexed(&settings(url)).unwrap()), ("pool of 16", pool)] {
        let redis = Arc::new(redis);
        let large: Vec<_> = (4..8).map(|task| tokio::spawn(state(Arc::clone(&redis), task, 40, 1 << 20))).collect();
        let start = Instant::now();
        let took = join_all((0..4).map(|task| tokio::spawn(state(Arc::clone(&redis), task, 20, 1)))).await;
        print(&format!("1 byte beside 1 MiB, {kind}"), 4, start, took.into_iter().map(Result::unwrap).collect());
        join_all(large).await.into_iter().for_each(|took| drop(took.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_pool_and_one_connection() {
    let server = TestRedis::start().await.unwrap();
    compare("loopback", &server.url(), 2000).await;
    let millisecond = Delays { usual: Duration::from_millis(2), one_in: u32::MAX, held: Duration::ZERO };
    let url = proxy::start(server.port(), millisecond).await;
    compare("0-2 ms away", &url, 500).await;
    beside_large_values(&url).await;
}
