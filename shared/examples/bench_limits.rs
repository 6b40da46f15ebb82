//! What limits cost on a real redis-server, beside a naive counter: `make bench-limits`.

#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::{
    collections::BTreeMap,
    error::Error,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::redis::{Client, aio::MultiplexedConnection, cmd};
use futures::future::join_all;
use shared::{
    clock::Clock,
    limit::{Charge, Holder, Limiter, OnError, Request, Slot, Turn, redis::RedisLimiter},
    redis::{Redis, Settings, address::Address},
    testing::redis::TestRedis,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const JOBS: usize = 20_000;
const DECLARED: &str = "100/sec burst 100";

#[tokio::main]
async fn main() -> Result<()> {
    let server = TestRedis::start().await?;
    let mut watch = Watch::of(&server).await?;
    round_trips(&server, &mut watch).await?;
    latency(&server, &mut watch).await?;
    connections(&server).await?;
    over_admission(&server).await
}

fn settings(server: &TestRedis) -> Result<Settings> {
    Ok(Settings { timeout: Duration::from_secs(5), ..Settings::new(Address::parse(&server.url(), None)?) })
}

fn limiter(server: &TestRedis) -> Result<RedisLimiter> {
    Ok(RedisLimiter::new(Arc::new(Redis::multiplexed(&settings(server)?)?), Clock::system()))
}

/// A job's limits of one tenant: by sender, domain, recipient and tenant, of which the first `count`.
fn charges(tenant: usize, count: usize) -> Result<Vec<Charge>> {
    let names = ["sender", "domain", "recipient", "tenant"];
    let charge = |name: &&str| Ok(Charge::new(format!("{{{tenant}}}:{name}"), "1000000/sec".parse()?, NonZeroU32::MIN));
    names[..count].iter().map(charge).collect()
}

fn slot(tenant: usize) -> Slot {
    Slot { key: format!("{{{tenant}}}:jobs"), limit: NonZeroU32::MAX, enforce: true, on_error: OnError::Defer }
}

/// What the server says of itself.
struct Watch(MultiplexedConnection);

impl Watch {
    async fn of(server: &TestRedis) -> Result<Self> {
        Ok(Self(Client::open(server.url())?.get_multiplexed_async_connection().await?))
    }

    async fn reset(&mut self) -> Result<f64> {
        let _: () = cmd("CONFIG").arg("RESETSTAT").query_async(&mut self.0).await?;
        self.cpu().await
    }

    /// CPU seconds of the server so far.
    async fn cpu(&mut self) -> Result<f64> {
        let info: String = cmd("INFO").arg("cpu").query_async(&mut self.0).await?;
        let parts = info.lines().filter_map(|line| line.split_once(':'));
        Ok(parts
            .filter(|(name, _)| matches!(*name, "used_cpu_user" | "used_cpu_sys"))
            .filter_map(|(_, s)| s.parse::<f64>().ok())
            .sum())
    }

    /// How often the server read from a connection so far: once a round trip.
    async fn reads(&mut self) -> Result<f64> {
        let info: String = cmd("INFO").arg("stats").query_async(&mut self.0).await?;
        let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        Ok(reads.unwrap_or_default().trim().parse().unwrap_or(f64::NAN))
    }

    /// How often each command was called from outside a script, and inside.
    async fn commands(&mut self) -> Result<BTreeMap<String, u64>> {
        let info: String = cmd("INFO").arg("commandstats").query_async(&mut self.0).await?;
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
        };
        Ok(info.lines().filter_map(line).filter(|(name, _)| !name.starts_with("config") && name != "info").collect())
    }
}

async fn round_trips(server: &TestRedis, watch: &mut Watch) -> Result<()> {
    let limiter = limiter(server)?;
    let (charges, slots) = (charges(0, 4)?, [slot(0)]);
    limiter.acquire(&charges, Duration::MAX).await?;
    watch.reset().await?;
    for job in 0..1000 {
        let holder = Holder { id: job.to_string(), lease: Duration::from_secs(30) };
        let request =
            Request { charges: &charges, slots: &slots, holder: &holder, longest: Duration::MAX, trial: false };
        limiter.ask(&request).await?;
        limiter.release(&[slots[0].key.clone()], &holder, Duration::ZERO).await?;
    }
    let commands = watch.commands().await?;
    println!(
        "1000 jobs with four rates and a slot of one tenant, commands (those of the script included): {commands:?}"
    );
    println!(
        "round trips a job: {} before it runs, {} when it ends",
        calls(&commands, "evalsha"),
        calls(&commands, "zrem")
    );
    Ok(())
}

fn calls(commands: &BTreeMap<String, u64>, name: &str) -> f64 {
    commands.get(name).map_or(0.0, |calls| *calls as f64 / 1000.0)
}

async fn latency(server: &TestRedis, watch: &mut Watch) -> Result<()> {
    println!("\n{JOBS} checks, one after another: round trips, latency, and the server's CPU a check");
    let limiter = limiter(server)?;
    for count in [1, 4] {
        let charges = charges(count, count)?;
        let (before, reads) = (watch.reset().await?, watch.reads().await?);
        let mut took = Vec::with_capacity(JOBS);
        for _ in 0..JOBS {
            let start = Instant::now();
            limiter.acquire(&charges, Duration::MAX).await?;
            took.push(start.elapsed());
        }
        let cpu = watch.cpu().await? - before;
        report(&format!("{count} rates, one script"), watch.reads().await? - reads, took, cpu);
    }
    let mut naive = Naive::of(server, 1_000_000).await?;
    for count in [1, 4] {
        let (before, reads) = (watch.reset().await?, watch.reads().await?);
        let mut took = Vec::with_capacity(JOBS);
        for _ in 0..JOBS {
            let start = Instant::now();
            for limit in 0..count {
                naive.passes(&format!("naive-{limit}")).await?;
            }
            took.push(start.elapsed());
        }
        let cpu = watch.cpu().await? - before;
        report(&format!("{count} counters, INCR and EXPIRE"), watch.reads().await? - reads, took, cpu);
    }
    Ok(())
}

fn report(name: &str, reads: f64, mut took: Vec<Duration>, cpu: f64) {
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 100];
    let micros = cpu * 1e6 / took.len() as f64;
    let trips = reads / took.len() as f64;
    println!("{name:<32} {trips:.2} trips   p50 {:>8.1?}   p99 {:>8.1?}   {micros:>5.1} µs", at(50), at(99));
}

/// Where the shared connection and a pool stand.
async fn connections(server: &TestRedis) -> Result<()> {
    println!("\nfour rates, calls a second with so many callers");
    for callers in [1, 16, 64] {
        let pool = Redis::pooled(&settings(server)?, NonZeroUsize::MIN.saturating_add(15))?;
        for (name, redis) in [("one connection", Redis::multiplexed(&settings(server)?)?), ("a pool of 16", pool)] {
            let limiter = RedisLimiter::new(Arc::new(redis), Clock::system());
            let start = Instant::now();
            let each = JOBS / callers;
            let all = (0..callers).map(|tenant| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    let charges = charges(tenant, 4)?;
                    for _ in 0..each {
                        limiter.acquire(&charges, Duration::MAX).await?;
                    }
                    Ok::<_, Box<dyn Error + Send + Sync>>(())
                })
            });
            for done in join_all(all).await {
                done??;
            }
            let rate = (each * callers) as f64 / start.elapsed().as_secs_f64();
            println!("{callers:>3} callers  {name:<16} {rate:>8.0}/s");
        }
    }
    Ok(())
}

/// The counter that everybody writes first: so many in a window that begins with the first.
struct Naive {
    connection: MultiplexedConnection,
    most: u64,
}

impl Naive {
    async fn of(server: &TestRedis, most: u64) -> Result<Self> {
        Ok(Self { connection: Client::open(server.url())?.get_multiplexed_async_connection().await?, most })
    }

    async fn passes(&mut self, key: &str) -> Result<bool> {
        let count: u64 = cmd("INCR").arg(key).query_async(&mut self.connection).await?;
        // Most write it so that the window does not move: only the first call sets its end.
        let _: bool = cmd("EXPIRE").arg(key).arg(1).arg("NX").query_async(&mut self.connection).await?;
        Ok(count <= self.most)
    }
}

/// One call, then as many as can be around the end of the counter's window.
async fn over_admission(server: &TestRedis) -> Result<()> {
    let (quiet, loud) = (Duration::from_millis(900), Duration::from_millis(200));
    let mut naive = Naive::of(server, 100).await?;
    naive.passes("window").await?;
    tokio::time::sleep(quiet).await;
    let (start, mut counted) = (Instant::now(), 0);
    while start.elapsed() < loud {
        counted += u64::from(naive.passes("window").await?);
    }
    let limiter = limiter(server)?;
    let one = [Charge::new("{t}:window", DECLARED.parse()?, NonZeroU32::MIN)];
    limiter.acquire(&one, Duration::ZERO).await?;
    tokio::time::sleep(quiet).await;
    let (start, mut passed) = (Instant::now(), 0);
    while start.elapsed() < loud {
        passed += u64::from(limiter.acquire(&one, Duration::ZERO).await? == Turn::Now);
    }
    println!("\n{DECLARED}, asked for {loud:?} as fast as possible after {quiet:?} of quiet:");
    println!(
        "the script lets {passed} pass (at most 120: the burst and 200 ms of the rate), the naive counter {counted}"
    );
    Ok(())
}
