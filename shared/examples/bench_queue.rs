//! `make bench-queue`: what the embedded queue does a second, fsyncs included, and whether its backlog costs.
//!
//! Prints figures and judges none of them.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a measurement for people")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    clock::Clock,
    queue::{Outgoing, Queue, sqlite::SqliteQueues},
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() {
    for (tasks, count, size) in [(1, 5_000, 1_000), (8, 40_000, 1_000), (32, 80_000, 1_000), (8, 4_000, 100_000)] {
        println!("{tasks} tasks, {size} bytes: {:.0} messages/s", rate(tasks, count, size).await);
    }
    backlog().await;
}

fn open(dir: &Path) -> Arc<dyn Queue> {
    SqliteQueues::open(dir, Clock::system()).unwrap().queue("work", None).unwrap()
}

/// Sends, receives and deletes ten messages.
async fn turn(queue: &dyn Queue, size: usize) {
    fill(queue, "g", size).await;
    let never = CancellationToken::new();
    let received = queue.receive(10, Duration::ZERO, Duration::from_secs(600), &never).await.unwrap();
    let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
    if queue.delete(&receipts).await.iter().any(Result::is_err) {
        panic!("a delete failed");
    }
}

async fn fill(queue: &dyn Queue, group: &str, size: usize) {
    let message = Outgoing { body: "x".repeat(size), delay: Duration::ZERO, group: group.to_owned() };
    if queue.send(&vec![message; 10]).await.iter().any(Result::is_err) {
        panic!("a send failed");
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
async fn rate(tasks: usize, count: usize, size: usize) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let start = Instant::now();
    let work = (0..tasks).map(|_| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            for _ in 0..count / tasks / 10 {
                turn(&*queue, size).await;
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

async fn backlog() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let mut held = 0;
    for backlog in [0, 1_000, 10_000, 50_000, 100_000] {
        while held < backlog {
            fill(&*queue, &format!("g{}", held % 500), 1_000).await;
            held += 10;
        }
        let start = Instant::now();
        for _ in 0..200 {
            turn(&*queue, 1_000).await;
        }
        println!("backlog {backlog}: {:?} for send, receive and delete of ten", start.elapsed() / 200);
    }
}
