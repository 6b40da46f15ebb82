//! What happens to a job's lease while it runs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    envelope::{DeadLetter, Envelope},
    outcome::Failure,
    policy::{Backoff, Policy},
    queue::Queue,
    settle::{EndRecord, end_key},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, HERE, PATIENCE, POLICY, next, onward};

/// Tells when the run that holds it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_five_times_its_visibility_is_run_once() {
    let bench = Bench::new();
    let runner = bench.start(POLICY, |_| async {
        tokio::time::sleep(POLICY.visibility * 5).await;
        onward()
    });
    bench.submit(1).await;
    bench.passed().await;
    bench.stop(runner).await;
    assert_eq!(bench.runs(), 1);
    assert_eq!(bench.there.depth().await.unwrap().total(), 0);
    assert_eq!(bench.here.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_lease_is_taken_away_is_cancelled_and_settles_nothing() {
    let bench = Bench::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    let (dropped, mut drops) = mpsc::unbounded_channel();
    let runner = bench.start(Policy { concurrency: 1, ..POLICY }, move |_| {
        let (started, held) = (started.clone(), Dropped(dropped.clone()));
        async move {
            let _ = started.send(());
            let _held = held;
            std::future::pending().await
        }
    });
    bench.submit(1).await;
    starts.recv().await.unwrap();
    let receipt = bench.here.receipts.lock().unwrap()[0].clone();
    bench.here.inner.change_visibility(&[(receipt, Duration::ZERO)]).await.pop().unwrap().unwrap();
    let never = CancellationToken::new();
    let stolen = bench.here.inner.receive(1, PATIENCE, Duration::from_secs(60), &never).await.unwrap().pop().unwrap();
    tokio::time::timeout(PATIENCE, drops.recv()).await.unwrap().unwrap();
    bench.stop(runner).await;
    assert_eq!((stolen.receive_count, bench.runs()), (2, 1));
    let depth = bench.here.depth().await.unwrap();
    assert_eq!((depth.in_flight, depth.total()), (1, 1), "the thief still has it, and no copy was made");
    assert_eq!(bench.there.depth().await.unwrap().total() + bench.dead.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_job_is_no_longer_extended_and_comes_back() {
    let bench = Bench::new();
    let policy = Policy { progress: Duration::from_millis(200), ..POLICY };
    let runner =
        bench.start(policy, |now| async move { if now.run == 1 { std::future::pending().await } else { onward() } });
    bench.submit(1).await;
    let passed = bench.passed().await;
    bench.stop(runner).await;
    assert_eq!((bench.runs(), passed.attempt), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backoff_is_not_overwritten_by_a_heartbeat() {
    let bench = Bench::new();
    let wait = POLICY.visibility * 2;
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let runner = bench.start(POLICY, move |now| {
        seen.lock().unwrap().push(now.at);
        async move {
            // Long enough for heartbeats to have begun.
            tokio::time::sleep(POLICY.heartbeat * 3).await;
            if now.attempt == 0 {
                return Err(Failure::Retry { class: "again", reason: "once more".into(), after: Some(wait) });
            }
            onward()
        }
    });
    bench.submit(1).await;
    bench.passed().await;
    bench.stop(runner).await;
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 2);
    let between = Duration::try_from(times[1].duration_since(times[0])).unwrap();
    assert!(between >= wait, "{between:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_its_worker_never_settled_ends_as_worker_died_and_its_neighbour_passes() {
    let bench = Bench::new();
    bench.submit(1).await;
    let never = CancellationToken::new();
    for _ in 0..POLICY.max_crashes {
        let hidden = Duration::from_millis(1);
        let received = bench.here.inner.receive(1, PATIENCE, hidden, &never).await.unwrap();
        assert_eq!(received.len(), 1);
    }
    bench.submit(2).await;
    let runner = bench.start(POLICY, |now| async move {
        assert_eq!(now.job, 2, "the one that kills is not run again");
        onward()
    });
    let DeadLetter::Job(letter) = bench.letter().await else { panic!() };
    assert_eq!(letter.dead.map(|dead| dead.class), Some("worker_died".to_owned()));
    assert_eq!(bench.passed().await.work.as_str(), "w2");
    bench.stop(runner).await;
}

/// A job whose worker died after it wrote this end, and what became of it: whether it ran, and its letter.
async fn after_a_death(end: Option<fn(&Envelope) -> EndRecord>) -> (u32, Bench) {
    let bench = Bench::new();
    bench.submit(1).await;
    let never = CancellationToken::new();
    let died = bench.here.inner.receive(1, PATIENCE, Duration::from_millis(1), &never).await.unwrap().pop().unwrap();
    if let Some(end) = end {
        let record = end(&Envelope::decode(&died.body).unwrap());
        bench.write(&end_key(&record.work, HERE, ""), serde_json::to_vec(&record).unwrap()).await;
    }
    let runner = bench.start(POLICY, |_| async { onward() });
    bench.settled().await;
    bench.stop(runner).await;
    (bench.runs(), bench)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_written_before_the_worker_died_stands() {
    let (runs, bench) = after_a_death(None).await;
    assert_eq!((runs, bench.there.depth().await.unwrap().total()), (1, 1), "without one it runs");

    let quarantined =
        |job: &Envelope| EndRecord { end: "quarantined".into(), ..EndRecord::of_requeue(job, HERE, Timestamp::now()) };
    let (runs, bench) = after_a_death(Some(quarantined)).await;
    assert_eq!((runs, bench.there.depth().await.unwrap().total()), (0, 0));

    let (runs, bench) = after_a_death(Some(|job| EndRecord::of_dead(job, HERE, "gone", "410", Timestamp::now()))).await;
    let DeadLetter::Job(letter) = bench.letter().await else { panic!() };
    assert_eq!(
        (runs, letter.dead.map(|dead| dead.class)),
        (0, Some("gone".to_owned())),
        "the letter may not be sent yet"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_sent_back_is_not_taken_for_ended_when_its_worker_dies() {
    let (runs, bench) = after_a_death(Some(|job| EndRecord::of_requeue(job, HERE, Timestamp::now()))).await;
    assert_eq!((runs, bench.there.depth().await.unwrap().total()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn suspects_run_one_at_a_time_beside_the_others() {
    let bench = Bench::new();
    let never = CancellationToken::new();
    for job in 1..=3 {
        bench.submit(job).await;
    }
    for _ in 0..2 {
        let mut left = 3;
        while left > 0 {
            left -= bench.here.inner.receive(left, PATIENCE, POLICY.visibility, &never).await.unwrap().len();
        }
    }
    for job in 10..=12 {
        bench.submit(job).await;
    }
    let at_once = Arc::new(std::sync::Mutex::new((0_u32, 0_u32)));
    let counts = Arc::clone(&at_once);
    let runner = bench.start(Policy { max_crashes: 10, ..POLICY }, move |now| {
        let counts = Arc::clone(&counts);
        async move {
            if now.job < 10 {
                let mut counts = counts.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            if now.job < 10 {
                counts.lock().unwrap().0 -= 1;
            }
            onward()
        }
    });
    for _ in 0..6 {
        bench.passed().await;
    }
    bench.stop(runner).await;
    assert_eq!((bench.runs(), at_once.lock().unwrap().1), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_between_attempts_are_the_policy_s() {
    let bench = Bench::new();
    let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(1) };
    let runner = bench.start(Policy { backoff, ..POLICY }, |now| async move {
        if now.attempt == 0 { Err(Failure::retry("again", "once more")) } else { onward() }
    });
    bench.submit(1).await;
    let passed = next(&*bench.there).await;
    bench.stop(runner).await;
    assert_eq!((bench.runs(), passed.receive_count), (2, 1));
}
