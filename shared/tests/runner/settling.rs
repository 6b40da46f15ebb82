//! Settlements that do not come to their end: the job comes back, and ends as it would have.

use std::{fs, path::PathBuf, sync::atomic::Ordering, time::Duration};

use jiff::Timestamp;
use shared::{
    blobs,
    envelope::Envelope,
    ids::StageName,
    outcome::{End, Failure, Hop, Outcome},
    policy::Policy,
    settle::{EndRecord, end_key},
};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, HERE, PATIENCE, POLICY, next, onward, raw};

/// A part of the store that takes nothing: there is a file where its directory should be.
struct Broken(PathBuf);

impl Broken {
    fn new(bench: &Bench, prefix: &str) -> Self {
        let path = bench.dir.path().join("blobs/objects").join(prefix);
        fs::write(&path, "").unwrap();
        Self(path)
    }

    fn mend(self) {
        fs::remove_file(self.0).unwrap();
    }
}

async fn received(bench: &Bench, times: usize) {
    let wait = async {
        while bench.here.receipts.lock().unwrap().len() < times && bench.here.inner.depth().await.unwrap().total() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

async fn end_of(bench: &Bench, job: u32) -> EndRecord {
    let key = format!("ends/w{job}/{HERE}");
    let (_, bytes) = blobs::read(&*bench.fleet.settler.blobs, &key, None, 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_recorded_before_the_quarantine_that_it_speaks_of() {
    let bench = Bench::new();
    let broken = Broken::new(&bench, "quarantine");
    bench.submit(1).await;
    let runner = bench.start(POLICY, |_| async { Ok(Outcome::end(End::Quarantined { reason: "why".into() })) });
    received(&bench, 2).await;
    broken.mend();
    bench.settled().await;
    bench.stop(runner).await;
    assert_eq!(end_of(&bench, 1).await.end, "quarantined");
    let kept = bench.fleet.settler.blobs.head("quarantine/w1").await.unwrap();
    assert!(kept.is_some(), "its end says quarantined, and it is not in the quarantine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cannot_be_recorded_is_not_held_against_the_job() {
    let bench = Bench::new();
    let broken = Broken::new(&bench, "ends");
    bench.submit(1).await;
    let policy = Policy { max_crashes: 2, ..POLICY };
    let runner = bench.start(policy, |_| async { Ok(Outcome::end(End::Delivered { destination: "d".to_owned() })) });
    // Once more than the policy lets a job take its worker down.
    received(&bench, 3).await;
    broken.mend();
    bench.settled().await;
    bench.stop(runner).await;
    assert_eq!(end_of(&bench, 1).await.end, "delivered");
    assert_eq!(bench.dead.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_recorded_stands_though_its_letter_could_not_be_sent() {
    let bench = Bench::new();
    bench.letters.closed.store(true, Ordering::SeqCst);
    bench.submit(1).await;
    // Another run would come to another end, and perhaps the letter was sent after all.
    let runner = bench.start(POLICY, |now| async move {
        if now.run > 1 { onward() } else { Err(Failure::permanent("broken", "why")) }
    });
    received(&bench, 2).await;
    bench.letters.closed.store(false, Ordering::SeqCst);
    bench.settled().await;
    bench.stop(runner).await;
    assert_eq!((bench.runs(), end_of(&bench, 1).await.end.as_str()), (1, "dead_lettered"));
    assert_eq!(bench.dead.depth().await.unwrap().total(), 1);
    assert_eq!(bench.there.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_will_ever_take_is_a_dead_letter_at_once() {
    let bench = Bench::new();
    bench.submit(1).await;
    let nowhere = || Outcome::hop(Hop { to: StageName("nowhere"), branch: String::new(), job: raw(1) });
    let runner = bench.start(POLICY, move |_| async move { Ok(nowhere()) });
    bench.settled().await;
    bench.stop(runner).await;
    assert_eq!((bench.runs(), end_of(&bench, 1).await.class.as_deref()), (1, Some("settlement_refused")));
    assert_eq!(bench.dead.depth().await.unwrap().total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_given_up_however_often_its_delete_failed() {
    let bench = Bench::new();
    bench.submit(1).await;
    let never = CancellationToken::new();
    for _ in 0..POLICY.max_crashes {
        let hidden = Duration::from_millis(1);
        let received = bench.here.inner.receive(1, PATIENCE, hidden, &never).await.unwrap().pop().unwrap();
        let job = Envelope::decode(&received.body).unwrap();
        let record = EndRecord { end: "delivered".into(), ..EndRecord::of_requeue(&job, HERE, Timestamp::now()) };
        bench.write(&end_key(&job.work, HERE, ""), serde_json::to_vec(&record).unwrap()).await;
    }
    let runner = bench.start(POLICY, |_| async { panic!("it has ended") });
    bench.settled().await;
    bench.stop(runner).await;
    assert_eq!((bench.runs(), end_of(&bench, 1).await.end.as_str()), (0, "delivered"));
    assert_eq!(bench.dead.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_poll_brings_after_the_grace_period_is_given_back() {
    let bench = Bench::new();
    *bench.here.latency.lock().unwrap() = Duration::from_millis(1);
    let policy = Policy { visibility: Duration::from_secs(600), ..POLICY };
    let runner = bench.start(policy, |_| std::future::pending());
    let polling = async {
        while bench.here.polls.lock().unwrap().now == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap();
    bench.shutdown.now();
    bench.shutdown.over.cancel();
    bench.submit(1).await;
    tokio::time::timeout(PATIENCE, runner).await.unwrap().unwrap();
    assert_eq!((bench.runs(), bench.here.inner.depth().await.unwrap().visible), (0, 1), "visible again at once");
    next(&*bench.here.inner).await;
}
