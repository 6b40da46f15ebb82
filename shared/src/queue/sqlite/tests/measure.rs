//! Measurements, which assert nothing about time: `cargo test --release -p shared measure -- --ignored --nocapture`.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::tempdir;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    super::super::{MAX_WAIT, Queue},
    LONG, TEN, open, receive, send,
};

/// Sends, receives and deletes `count` messages of `size` bytes in batches of ten, over `tasks` tasks.
async fn rate(tasks: usize, count: usize, size: usize) -> f64 {
    let dir = tempdir().unwrap();
    let queue: Arc<dyn Queue> = open(dir.path()).queue("work", None).unwrap();
    let start = Instant::now();
    let work = (0..tasks).map(|_| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            for _ in 0..count / tasks / 10 {
                send(&*queue, "g", (0..10).map(|_| "x".repeat(size))).await;
                let receipts: Vec<_> = receive(&*queue, TEN).await.into_iter().map(|message| message.receipt).collect();
                assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_throughput() {
    for (tasks, count, size) in [(1, 5_000, 1_000), (8, 40_000, 1_000), (32, 80_000, 1_000), (8, 4_000, 100_000)] {
        println!("{tasks} tasks, {size} bytes: {:.0} messages/s", rate(tasks, count, size).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_backlog() {
    let dir = tempdir().unwrap();
    let queue = open(dir.path()).queue("work", None).unwrap();
    for backlog in [0, 1_000, 10_000, 50_000, 100_000] {
        let held = usize::try_from(queue.depth().await.unwrap().total()).unwrap();
        for n in (held..backlog).step_by(10) {
            send(&*queue, &format!("g{}", n % 50), (0..10).map(|_| "x".repeat(1_000))).await;
        }
        let start = Instant::now();
        for _ in 0..200 {
            send(&*queue, "g0", (0..10).map(|_| "x".repeat(1_000))).await;
            let receipts: Vec<_> = receive(&*queue, TEN).await.into_iter().map(|message| message.receipt).collect();
            assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
        }
        println!("backlog {backlog}: {:?} for send, receive and delete of ten", start.elapsed() / 200);
    }
}

/// How often the threads of this process have gone to sleep so far.
fn sleeps() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let count = |status: String| {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
    };
    status.filter_map(count).sum()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_idle() {
    let dir = tempdir().unwrap();
    let queue = open(dir.path()).queue("work", None).unwrap();
    let stop = CancellationToken::new();
    let (received, before) = tokio::join!(queue.receive(10, MAX_WAIT, LONG, &stop), async {
        // Past the poll's first look and the end of the blocking thread that made it.
        sleep(Duration::from_secs(15)).await;
        sleeps()
    });
    assert!(received.unwrap().is_empty());
    println!("{} wake-ups in the last 5 s of an empty poll, its end included", sleeps() - before);
}
