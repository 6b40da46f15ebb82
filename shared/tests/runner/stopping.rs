//! Stopping in two phases: what runs may end, what does not is given back, and nothing is lost.

use std::time::Duration;

use shared::{envelope::Envelope, policy::Policy, queue::Queue};
use tokio::sync::mpsc;

use crate::bench::{Bench, PATIENCE, POLICY, next, onward};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_ends_while_the_process_drains() {
    let bench = Bench::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    let runner = bench.start(POLICY, move |_| {
        let _ = started.send(());
        async {
            tokio::time::sleep(POLICY.visibility * 2).await;
            onward()
        }
    });
    bench.submit(1).await;
    starts.recv().await.unwrap();
    bench.submit(2).await;
    bench.stop(runner).await;
    bench.passed().await;
    assert!(bench.runs() <= 2);
    let left = bench.here.depth().await.unwrap().total();
    assert_eq!(left, u64::from(2 - bench.runs()), "what was not run is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_job_is_given_back_with_its_attempt() {
    let bench = Bench::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    let runner = bench.start(POLICY, move |_| {
        let _ = started.send(());
        std::future::pending()
    });
    bench.submit(1).await;
    starts.recv().await.unwrap();
    bench.shutdown.now();
    tokio::time::timeout(PATIENCE, runner).await.unwrap().unwrap();
    let back = next(&*bench.here.inner).await;
    let envelope = Envelope::decode(&back.body).unwrap();
    assert_eq!((back.receive_count, envelope.attempt, envelope.generation), (1, 0, 1));
    assert_eq!(bench.here.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_had_not_started_is_visible_again_at_once() {
    let bench = Bench::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    // The first job holds all bytes, so the second is received and cannot start.
    let policy = Policy { visibility: Duration::from_secs(600), ..POLICY };
    let runner = bench.start(policy, move |_| {
        let _ = started.send(());
        std::future::pending()
    });
    bench.submit(1).await;
    starts.recv().await.unwrap();
    bench.shutdown.draining.cancel();
    bench.submit(2).await;
    bench.shutdown.cancelled.cancel();
    tokio::time::timeout(PATIENCE, runner).await.unwrap().unwrap();
    for _ in 0..2 {
        next(&*bench.here.inner).await;
    }
}
