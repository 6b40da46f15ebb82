//! Any number of workers, whatever their clocks show, pass together what the rate says.

use std::sync::Mutex;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::{task::JoinHandle, time::Instant};

use super::*;
use crate::clock::until;

const RATE: &str = "2000/sec burst 20";
const PER_MILLI: f64 = 2.0;
const BURST: f64 = 20.0;
const WINDOW: Duration = Duration::from_millis(200);
const WINDOWS: u32 = 10;

/// When each job passed, in milliseconds of true time.
type Passed = Arc<Mutex<Vec<i64>>>;

/// Always has jobs, and keeps the turns that it is given.
async fn work(limiter: RedisLimiter, skew: SignedDuration, passed: Passed) {
    let one = [charge("{t}:k", RATE, 1)];
    let clock = limiter.dating.clock.clone();
    loop {
        let turn = limiter.acquire(&one, Duration::from_millis(300)).await.unwrap();
        let at = match turn {
            Turn::Now => clock.now(),
            Turn::At(at) => at,
            Turn::TooLate(at) => {
                tokio::time::sleep(until(clock.now(), at)).await;
                continue;
            }
        };
        passed.lock().unwrap().push((at - skew).as_millisecond());
    }
}

fn start(server: &TestRedis, worker: usize, passed: &Passed) -> JoinHandle<()> {
    let skew = SignedDuration::from_secs([0, 5, -5][worker % 3]);
    let limiter = limiter(server, Clock::starting_at(Timestamp::now() + skew));
    tokio::spawn(work(limiter, skew, Arc::clone(passed)))
}

/// Half of the workers are killed half-way, and others take their place.
async fn fleet(server: &TestRedis, workers: usize) -> Vec<i64> {
    let passed = Passed::default();
    let begin = Instant::now();
    let mut running: Vec<_> = (0..workers).map(|worker| start(server, worker, &passed)).collect();
    tokio::time::sleep_until(begin + WINDOW * WINDOWS / 2).await;
    for (worker, place) in running.iter_mut().enumerate().take(workers / 2) {
        place.abort();
        *place = start(server, worker + 1, &passed);
    }
    // So long that all turns of the ten windows have been handed out.
    tokio::time::sleep_until(begin + WINDOW * (WINDOWS + 2)).await;
    running.iter().for_each(JoinHandle::abort);
    drop(join_all(running).await);
    let mut passed = std::mem::take(&mut *passed.lock().unwrap());
    passed.sort_unstable();
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_pass_what_the_rate_says() {
    for workers in [1, 4, 16] {
        let server = TestRedis::start().await.unwrap();
        let passed = fleet(&server, workers).await;
        let window = i64::try_from(WINDOW.as_millis()).unwrap();
        let in_windows = |from: u32, to: u32| {
            let range = passed[0] + window * i64::from(from)..passed[0] + window * i64::from(to);
            passed.iter().filter(|at| range.contains(at)).count() as f64
        };
        let each: Vec<_> = (0..WINDOWS).map(|n| in_windows(n, n + 1)).collect();
        let declared = PER_MILLI * f64::from(WINDOWS) * WINDOW.as_millis() as f64;
        let admitted = in_windows(0, WINDOWS) - BURST;
        println!("{workers} workers: {admitted} of {declared} beyond the burst; by window {each:?}");
        assert!(admitted <= declared * 1.001, "{workers} workers: {admitted} of {declared}");
        assert!(admitted >= declared * 0.99, "{workers} workers: {admitted} of {declared}");
    }
}
