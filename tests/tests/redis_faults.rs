//! What a Redis does on a bad day: limits fall back as declared, mail flows on or waits, and nothing is lost.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shared::testing::redis::TestRedis;
use tests::{
    aws::Scene,
    fleet::{Fleet, mailtri, run},
    mails::{Mail, Mails},
    metrics::Metrics,
    process::Process,
    soak::{scale, seeded, within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

const LIMIT: Duration = Duration::from_secs(240);

/// Waits until the worker has counted so many of a metric whose line begins so.
async fn counted(metrics: &Metrics, line: &str, least: u64) {
    let enough = async {
        loop {
            let text = metrics.get().await;
            let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse::<u64>().ok());
            if value.is_some_and(|value| value >= least) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, enough).await.is_ok(), "{line} {least}: {}", metrics.get().await);
}

fn signal(scene: &mut Scene, signal: Signal) {
    let pid = scene.cloud.redis().pid().and_then(|pid| Pid::from_raw(pid.try_into().unwrap())).unwrap();
    kill_process(pid, signal).unwrap();
}

/// As a failover does it, by an inline command.
async fn replica_of(scene: &mut Scene, primary: &str) {
    let mut redis = TcpStream::connect(("127.0.0.1", scene.cloud.redis().port())).await.unwrap();
    redis.write_all(format!("REPLICAOF {primary}\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 5];
    redis.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}

/// When mails have arrived, in milliseconds since the first, in order.
fn arrivals(scene: &Scene) -> Vec<u128> {
    let mut at: Vec<_> = scene.receiver.book(|book| book.arrivals().iter().map(|arrival| arrival.at).collect());
    at.sort_unstable();
    at.iter().map(|arrival| arrival.duration_since(at[0]).as_millis()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_over_a_limit_drains_at_its_rate_over_two_workers_and_redis() {
    within(LIMIT * scale(2, 10), async {
        let scene = Scene::start().await;
        let (rate, burst) = (10, 10);
        let config = scene
            .config(Duration::from_secs(6), &scene.cloud.endpoint())
            .section("limit.hook", &format!("by = \"destination\"\nrate = \"{rate}/sec burst {burst}\""))
            .section("limit.tenants", "by = \"tenant\"\nrate = \"20/sec burst 20\"");
        let fleet = Fleet::new(&config);
        let stages = ["parse", "scan", "route", "deliver"];
        let _workers = [fleet.worker(&stages).await, fleet.worker(&stages).await];
        let mut source = Mails::new("over", seeded("a flood over a limit"));
        let mails: Vec<_> = (0..scale(120, 3000)).map(|_| source.text()).collect();
        scene.send(&mails).await;
        scene.receiver.wait_complete(LIMIT * scale(1, 5)).await.assert_sound();
        let arrived = arrivals(&scene);
        // On their way mails may catch up with each other; half a second's worth is allowed for.
        for (from, at) in arrived.iter().enumerate() {
            let within = arrived[from..].iter().filter(|later| **later < at + 5000).count();
            assert!(within <= 5 * rate + burst + rate / 2, "{within} in five seconds from {at}: {arrived:?}");
        }
        let listed = fleet.run(&["dlq", "list", "--each"]).await;
        assert!(listed.stdout.contains("no dead letters"), "{listed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_dies_and_comes_back_empty_loses_no_mail() {
    within(LIMIT * 2, async {
        let (mut scene, metrics) = (Scene::start().await, Metrics::free_port());
        let endpoint = scene.cloud.endpoint();
        let config = scene
            .config(Duration::from_secs(6), &endpoint)
            .section("telemetry", &metrics.section())
            .section("limit.senders", "by = \"sender\"\nrate = \"1000/sec burst 1000\"")
            .section("limit.jobs", "by = \"tenant\"\nconcurrency = 8\non_error = \"allow\"")
            .section("limit.hook", "by = \"destination\"\nrate = \"1000/sec\"");
        let fleet = Fleet::new(&config);
        let _worker: Process = fleet.worker(&["parse", "scan", "route", "deliver"]).await;
        let mut source = Mails::new("redis", seeded("faults of Redis"));
        let mut some = |count: usize| (0..count).map(|_| source.text()).collect::<Vec<_>>();
        let count = scale(5, 100);
        let passed = |limit: &str| format!("mailtri_limit_checks_total{{limit=\"{limit}\",outcome=\"passed\"}}");
        let fell = |limit: &str, fallback: &str| {
            format!("mailtri_limit_fallbacks_total{{limit=\"{limit}\",fallback=\"{fallback}\"}}")
        };

        scene.send(&some(count)).await;
        scene.receiver.wait_complete(LIMIT).await;
        for limit in ["senders", "jobs", "hook"] {
            counted(&metrics, &passed(limit), count as u64).await;
        }
        let shown = fleet.run(&["limits", "show"]).await;
        assert!(shown.stdout.contains(&format!("passed {count}")), "{shown:?}");

        signal(&mut scene, Signal::STOP);
        scene.send(&some(count)).await;
        counted(&metrics, &fell("senders", "local"), count as u64).await;
        counted(&metrics, &fell("jobs", "allow"), count as u64).await;
        counted(&metrics, &fell("hook", "defer"), count as u64).await;
        counted(&metrics, "mailtri_limiter_fallback", 1).await;
        assert_eq!(scene.receiver.report().lost.len(), count, "a destination's limit waits for Redis");
        signal(&mut scene, Signal::CONT);
        scene.receiver.wait_complete(LIMIT).await;

        scene.cloud.redis().kill().unwrap();
        scene.send(&some(count)).await;
        counted(&metrics, &fell("hook", "defer"), 2 * count as u64).await;
        scene.cloud.redis().restart().await.unwrap();
        scene.receiver.wait_complete(LIMIT).await.assert_sound();

        // A primary that was replaced keeps its connections: it answers, and takes nothing.
        replica_of(&mut scene, "127.0.0.1 1").await;
        scene.send(&some(count)).await;
        counted(&metrics, &fell("hook", "defer"), 3 * count as u64).await;
        replica_of(&mut scene, "NO ONE").await;
        scene.receiver.wait_complete(LIMIT).await.assert_sound();
        let listed = fleet.run(&["dlq", "list", "--each"]).await;
        assert!(listed.stdout.contains("no dead letters"), "{listed:?}");
    })
    .await;
}

/// How many keys Redis has.
async fn keys(scene: &mut Scene) -> u64 {
    let mut redis = TcpStream::connect(("127.0.0.1", scene.cloud.redis().port())).await.unwrap();
    redis.write_all(b"DBSIZE\r\nQUIT\r\n").await.unwrap();
    let mut answer = String::new();
    redis.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().and_then(|line| line.strip_prefix(':')?.parse().ok()).unwrap()
}

/// How long a mail takes on its way.
async fn time_of(scene: &Scene, mail: Mail) -> Duration {
    let start = Instant::now();
    scene.send(&[mail]).await;
    scene.receiver.wait_complete(LIMIT).await.assert_sound();
    start.elapsed()
}

/// No limit is declared, so that the state is what hangs first. Of several mails the one that the machine disturbs least
/// tells what the fleet itself adds: at most 50 ms at each of the stages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_adds_little_to_a_mail() {
    within(LIMIT, async {
        let mut scene = Scene::start().await;
        let fleet = Fleet::new(&scene.config(Duration::from_secs(6), &scene.cloud.endpoint()));
        let _worker = fleet.worker(&["parse", "scan", "route", "deliver"]).await;
        let mut source = Mails::new("hung", seeded("a Redis that hangs"));
        let (mut quiet, mut hung) = (Vec::new(), Vec::new());
        for _ in 0..scale(4, 20) {
            let before = keys(&mut scene).await;
            // Until Redis is found again.
            while keys(&mut scene).await == before {
                quiet.push(time_of(&scene, source.text()).await);
            }
            signal(&mut scene, Signal::STOP);
            hung.push(time_of(&scene, source.text()).await);
            signal(&mut scene, Signal::CONT);
        }
        let (quiet, hung) = (*quiet.iter().min().unwrap(), *hung.iter().min().unwrap());
        println!("the quickest mail of a quiet Redis {quiet:?}, of one that hangs {hung:?}");
        assert!(hung < quiet + Duration::from_millis(4 * 50 + 200), "{quiet:?} {hung:?}");
    })
    .await;
}

/// A worker with a Redis that no waiting mends; what it says.
async fn refused(settings: &[&str]) -> String {
    let (server, dir) = (TestRedis::start_with(settings).await.unwrap(), tempfile::tempdir().unwrap());
    let config = dir.path().join("mailtri.toml");
    let toml = "[plane]\nkind = \"aws\"\n[aws]\nregion = \"us-east-1\"\nbucket = \"mails\"\n\
                queue_prefix = \"http://127.0.0.1:1/000000000000/mailtri-\"\nendpoint = \"http://127.0.0.1:1\"\n\
                expected_owner = \"000000000000\"\n[redis]\nurl_env = \"REDIS\"\n[audit]\nkey_env = \"KEY\"\n";
    std::fs::write(&config, toml).unwrap();
    let mut worker = mailtri();
    worker.args(["worker", "route"]).arg("--config").arg(&config);
    worker.env("REDIS", server.url()).env("KEY", "the key of a scenario, 32 bytes.");
    worker.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let ran = run(&mut worker, b"").await;
    assert_eq!(ran.code, Some(78), "{ran:?}");
    ran.stderr
}

#[tokio::test]
async fn a_worker_whose_redis_can_never_serve_does_not_start() {
    within(LIMIT, async {
        let told = refused(&["--requirepass", "the-right-word"]).await;
        assert!(told.contains("redis: Redis refuses the login: it answered NOAUTH"), "{told}");
        let told = refused(&["--cluster-enabled", "yes"]).await;
        assert!(told.contains("Redis Cluster, which is not supported"), "{told}");
    })
    .await;
}
