//! Any number of workers, whatever their clocks show and however they die, pass together what the rate says.
//!
//! A worker is a process: this test program again, asked for [`a_worker`] alone. It is killed with SIGKILL.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::clock::until;

const RATE: &str = "1000/sec burst 20";
const PER_MILLI: f64 = 1.0;
const BURST: f64 = 20.0;
const WINDOWS: u32 = 10;
/// How far ahead a worker takes turns: longer than any pause of the machine, it is hoped.
const AHEAD: Duration = Duration::from_secs(1);

/// What a worker is told: the server's URL, and how many seconds its clock is ahead.
const URL: &str = "LIMIT_WORKER_URL";
const SKEW: &str = "LIMIT_WORKER_SKEW";
/// Before each time that it prints.
const MARK: &str = "passed at ";

fn window() -> Duration {
    if env::var_os("SOAK").is_some() { Duration::from_secs(2) } else { Duration::from_secs(1) }
}

/// Always has jobs, and keeps the turns that it is given: prints when each passes, in milliseconds of true time.
#[tokio::test]
#[ignore = "a worker of the tests below"]
async fn a_worker() {
    let (Ok(url), Ok(skew)) = (env::var(URL), env::var(SKEW)) else { return };
    let skew = SignedDuration::from_secs(skew.parse().unwrap());
    let clock = Clock::starting_at(Timestamp::now() + skew);
    let limiter = RedisLimiter::new(Arc::new(Redis::multiplexed(&settings(&url)).unwrap()), clock.clone());
    let one = [charge("{t}:k", RATE, 1)];
    loop {
        let at = match limiter.acquire(&one, AHEAD).await.unwrap() {
            Turn::Now => clock.now(),
            Turn::At(at) => at,
            Turn::TooLate(at) => {
                // A little longer, so that it has not to ask for each turn alone.
                tokio::time::sleep(until(clock.now(), at) + Duration::from_millis(20)).await;
                continue;
            }
            Turn::Full(_) => panic!("no slot was asked for"),
        };
        println!("{MARK}{}", (at - skew).as_millisecond());
    }
}

struct Worker {
    process: Child,
    times: JoinHandle<Vec<i64>>,
}

impl Worker {
    fn start(server: &TestRedis, number: usize) -> Self {
        let name = "limit::redis::tests::fleet::a_worker";
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", name, "--ignored", "--nocapture"]).env(URL, server.url());
        command.env(SKEW, ["0", "5", "-5"][number % 3]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let time = |line: std::io::Result<String>| line.ok()?.split_once(MARK).and_then(|(_, time)| time.parse().ok());
        Self { process, times: std::thread::spawn(move || lines.filter_map(time).collect()) }
    }

    fn kill(mut self) -> Vec<i64> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.times.join().unwrap()
    }
}

/// Half of the workers are killed half-way, and others take their place. So many, and when they passed.
async fn fleet(server: &TestRedis, workers: usize) -> Vec<i64> {
    let mut passed = Vec::new();
    let mut running: Vec<_> = (0..workers).map(|worker| Worker::start(server, worker)).collect();
    let begun = async {
        while ask::<u32>(&server.url(), &["DBSIZE"]).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), begun).await.expect("a worker begins");
    let begin = Instant::now();
    tokio::time::sleep_until(begin + window() * WINDOWS / 2).await;
    for number in 0..workers.div_ceil(2) {
        passed.extend(running.remove(0).kill());
        running.push(Worker::start(server, number + 1));
    }
    // So long that all turns of the ten windows have been handed out.
    tokio::time::sleep_until(begin + window() * (WINDOWS + 1)).await;
    passed.extend(running.into_iter().flat_map(Worker::kill));
    passed.sort_unstable();
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_pass_what_the_rate_says() {
    for workers in [1, 4, 16] {
        let server = TestRedis::start().await.unwrap();
        let passed = fleet(&server, workers).await;
        let window = i64::try_from(window().as_millis()).unwrap();
        let in_windows = |from: u32, to: u32| {
            let range = passed[0] + window * i64::from(from)..passed[0] + window * i64::from(to);
            passed.iter().filter(|at| range.contains(at)).count() as f64
        };
        let each: Vec<_> = (0..WINDOWS).map(|n| in_windows(n, n + 1)).collect();
        let declared = PER_MILLI * f64::from(WINDOWS) * window as f64;
        let admitted = in_windows(0, WINDOWS) - BURST;
        println!("{workers} workers: {admitted} of {declared} beyond the burst; by window {each:?}");
        assert!(admitted <= declared * 1.001, "{workers} workers: {admitted} of {declared}");
        assert!(admitted >= declared * 0.99, "{workers} workers: {admitted} of {declared}");
    }
}
