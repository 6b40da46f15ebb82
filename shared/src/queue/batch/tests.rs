//! The batcher over a scripted queue, under paused time.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::{
    task::JoinHandle,
    time::{Instant, advance, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{Depth, MAX_BODY, Outgoing, Queue, QueueError, Receipt, Received},
    Batcher, Pace,
};

/// A queue that takes `latency` for each batch and fails each entry as often as it was told to.
#[derive(Debug, Default)]
struct Scripted {
    latency: Duration,
    failures: Mutex<HashMap<String, (u32, Option<QueueError>)>>,
    batches: Mutex<Vec<Vec<String>>>,
    under_way: Mutex<(usize, usize)>,
    short_answer: bool,
    gather: Duration,
}

impl Scripted {
    fn slow() -> Self {
        Self { latency: Duration::from_millis(10), ..Self::default() }
    }

    fn failing(self, entry: &str, times: u32, error: Option<QueueError>) -> Self {
        self.failures.lock().unwrap().insert(entry.into(), (times, error));
        self
    }

    async fn batch(&self, entries: Vec<String>) -> Vec<Result<(), QueueError>> {
        {
            let mut under_way = self.under_way.lock().unwrap();
            *under_way = (under_way.0 + 1, under_way.1.max(under_way.0 + 1));
        }
        sleep(self.latency).await;
        self.under_way.lock().unwrap().0 -= 1;
        let mut results: Vec<_> = entries.iter().map(|entry| self.verdict(entry)).collect();
        self.batches.lock().unwrap().push(entries);
        if self.short_answer {
            results.pop();
        }
        results
    }

    fn verdict(&self, entry: &str) -> Result<(), QueueError> {
        match self.failures.lock().unwrap().get_mut(entry) {
            Some((times, error)) if *times > 0 => {
                *times -= 1;
                Err(error.clone().unwrap_or_else(|| QueueError::Unavailable("scripted".into())))
            }
            _ => Ok(()),
        }
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn tries(&self, entry: &str) -> usize {
        self.batches.lock().unwrap().iter().flatten().filter(|seen| *seen == entry).count()
    }
}

#[async_trait]
impl Queue for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        self.batch(batch.iter().map(|entry| entry.body.clone()).collect()).await
    }

    async fn receive(
        &self,
        _: usize,
        _: Duration,
        _: Duration,
        _: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>> {
        self.batch(batch.iter().map(|entry| entry.0.clone()).collect()).await
    }

    async fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        self.batch(batch.iter().map(|entry| entry.0.0.clone()).collect()).await
    }

    fn gather(&self) -> Duration {
        self.gather
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}

fn message(body: impl Into<String>) -> Outgoing {
    Outgoing { body: body.into(), delay: Duration::ZERO, group: "g".into() }
}

fn batcher(queue: Scripted) -> (Arc<Scripted>, Batcher) {
    let queue = Arc::new(queue);
    (Arc::clone(&queue), Batcher::new(queue))
}

async fn send_all(batcher: &Batcher, bodies: impl IntoIterator<Item = String>) -> Vec<Result<(), QueueError>> {
    join_all(bodies.into_iter().map(|body| batcher.send(message(body)))).await
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_in_batches_of_ten_over_two_flushes() {
    let (queue, batcher) = batcher(Scripted::slow());
    let results = send_all(&batcher, (0..45).map(|n| format!("m{n}"))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(queue.sizes(), [10, 10, 10, 10, 5]);
    assert_eq!(queue.under_way.lock().unwrap().1, 2, "both flushes ran at once");
    let seen: HashSet<_> = queue.batches.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(seen.len(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_lone_entry_does_not_wait_for_company() {
    let (queue, batcher) = batcher(Scripted::slow());
    let start = Instant::now();
    batcher.send(message("a")).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(15), "only the queue's own 10 ms");
    assert_eq!(queue.sizes(), [1]);
}

/// A queue whose requests cost: 20 ms are waited for company.
fn dear() -> (Arc<Scripted>, Batcher) {
    batcher(Scripted { gather: Duration::from_millis(20), ..Scripted::slow() })
}

#[tokio::test(start_paused = true)]
async fn where_requests_cost_an_entry_waits_for_company_and_no_longer() {
    let (queue, batcher) = dear();
    let start = Instant::now();
    let first = batcher.send_at(Pace::Gather, message("a"));
    let second = async {
        sleep(Duration::from_millis(15)).await;
        batcher.send_at(Pace::Gather, message("b")).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second, queue.sizes()), (Ok(()), Ok(()), vec![2]));
    assert_eq!(start.elapsed().as_millis(), 30, "20 ms for company, and the queue's own 10 ms");
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_and_whoever_waits_for_nobody_end_the_wait() {
    let (queue, batcher) = dear();
    let start = Instant::now();
    let sends = (0..10).map(|n| batcher.send_at(Pace::Gather, message(format!("m{n}"))));
    assert!(join_all(sends).await.iter().all(Result::is_ok));
    assert_eq!((queue.sizes(), start.elapsed().as_millis()), (vec![10], 10));
    let (waits, last) = (batcher.send_at(Pace::Gather, message("a")), batcher.send(message("b")));
    let (waits, last) = tokio::join!(waits, last);
    assert_eq!((waits, last, queue.sizes()[1..].to_vec()), (Ok(()), Ok(()), vec![2]));
    assert_eq!(start.elapsed().as_millis(), 20);
}

#[tokio::test(start_paused = true)]
async fn deletes_and_extensions_gather_and_a_retry_does_not() {
    let (queue, batcher) =
        batcher(Scripted { gather: Duration::from_millis(20), ..Scripted::slow().failing("r1", 1, None) });
    let until = Instant::now() + Duration::from_secs(60);
    let deletes = (0..3).map(|n| batcher.delete(Receipt(format!("r{n}")), until));
    let extensions = (0..3).map(|n| batcher.change_visibility(Receipt(format!("x{n}")), Duration::ZERO, until));
    let (deleted, extended) = tokio::join!(join_all(deletes), join_all(extensions));
    assert!(deleted.iter().chain(&extended).all(Result::is_ok));
    assert_eq!(queue.sizes(), [3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn only_the_failed_entries_are_sent_again() {
    let script = Scripted::slow().failing("m2", 1, None).failing("m5", 1, None).failing("m7", 1, None);
    let (queue, batcher) = batcher(script);
    let results = send_all(&batcher, (0..10).map(|n| format!("m{n}"))).await;
    assert!(results.iter().all(Result::is_ok));
    for n in 0..10 {
        let expected = if [2, 5, 7].contains(&n) { 2 } else { 1 };
        assert_eq!(queue.tries(&format!("m{n}")), expected, "m{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_result_is_a_failure_of_that_entry() {
    let (queue, batcher) = batcher(Scripted { short_answer: true, ..Scripted::slow() });
    let results = send_all(&batcher, ["a".into(), "b".into()]).await;
    assert_eq!(results[0], Ok(()));
    assert!(matches!(results[1], Err(QueueError::Unavailable(_))));
    assert_eq!((queue.tries("a"), queue.tries("b")), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_send_is_tried_five_times() {
    let (queue, batcher) = batcher(Scripted::slow().failing("bad", u32::MAX, None));
    assert!(matches!(batcher.send(message("bad")).await, Err(QueueError::Unavailable(_))));
    assert_eq!(queue.tries("bad"), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_retryable_fails_at_once() {
    let script = Scripted::slow().failing("bad", u32::MAX, Some(QueueError::Invalid("no"))).failing(
        "old",
        u32::MAX,
        Some(QueueError::ReceiptExpired),
    );
    let (queue, batcher) = batcher(script);
    let deadline = Instant::now() + Duration::from_secs(60);
    assert_eq!(batcher.send(message("bad")).await, Err(QueueError::Invalid("no")));
    assert_eq!(batcher.delete(Receipt("old".into()), deadline).await, Err(QueueError::ReceiptExpired));
    assert_eq!((queue.tries("bad"), queue.tries("old")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_delete_persists_until_its_deadline() {
    let (queue, batcher) = batcher(Scripted::slow().failing("r", 12, None).failing("never", u32::MAX, None));
    let deadline = Instant::now() + Duration::from_secs(60);
    assert_eq!(batcher.delete(Receipt("r".into()), deadline).await, Ok(()));
    assert_eq!(queue.tries("r"), 13);
    let deadline = Instant::now() + Duration::from_secs(30);
    assert!(matches!(batcher.delete(Receipt("never".into()), deadline).await, Err(QueueError::Unavailable(_))));
    assert_eq!(Instant::now().duration_since(deadline).as_millis() / 2, 0, "gave up at the deadline");
    assert!(queue.tries("never") > 6);
}

#[tokio::test(start_paused = true)]
async fn an_extension_retries_at_short_intervals() {
    let (queue, batcher) = batcher(Scripted::slow().failing("r", 8, None));
    let start = Instant::now();
    let minute = Duration::from_secs(60);
    assert_eq!(batcher.change_visibility(Receipt("r".into()), minute, start + minute).await, Ok(()));
    assert_eq!(queue.tries("r"), 9);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// Sends in a task of its own, and lets it get as far as it can within a millisecond.
async fn started(batcher: &Batcher, body: &str) -> JoinHandle<Result<(), QueueError>> {
    let (batcher, message) = (batcher.clone(), message(body));
    let task = tokio::spawn(async move { batcher.send(message).await });
    advance(Duration::from_millis(1)).await;
    task
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_the_flush_takes_its_entry_along() {
    let (queue, batcher) = batcher(Scripted::slow());
    let mut others = vec![started(&batcher, "first").await, started(&batcher, "second").await];
    let leaves = started(&batcher, "leaves").await;
    others.push(started(&batcher, "stays").await);
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    for task in others {
        task.await.unwrap().unwrap();
    }
    assert_eq!((queue.tries("leaves"), queue.tries("stays")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_during_the_flush_does_not_stop_the_others() {
    let (queue, batcher) = batcher(Scripted::slow());
    let others = [started(&batcher, "first").await, started(&batcher, "second").await];
    let (leaves, stays) = (started(&batcher, "leaves").await, started(&batcher, "stays").await);
    for task in others {
        task.await.unwrap().unwrap();
    }
    advance(Duration::from_millis(1)).await;
    leaves.abort();
    stays.await.unwrap().unwrap();
    assert_eq!((queue.tries("leaves"), queue.tries("stays")), (1, 1), "they shared a batch under way");
}

#[tokio::test(start_paused = true)]
async fn bodies_are_split_at_one_mebibyte() {
    let (queue, batcher) = batcher(Scripted::slow());
    let body = |n: usize| char::from_digit(u32::try_from(n).unwrap(), 10).unwrap().to_string().repeat(MAX_BODY / 4 + 1);
    let results = send_all(&batcher, (0..7).map(body)).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(queue.sizes(), [3, 3, 1]);
    let whole = send_all(&batcher, (0..4).map(|_| "x".repeat(MAX_BODY / 4))).await;
    assert!(whole.iter().all(Result::is_ok));
    assert_eq!(queue.sizes()[3..], [4], "exactly 1 MiB is one batch");
    batcher.send(message("y".repeat(MAX_BODY + 1))).await.unwrap();
    assert_eq!(queue.sizes()[4..], [1], "one that is too large is the queue's to refuse");
}

#[derive(Debug)]
struct Panics;

#[async_trait]
impl Queue for Panics {
    fn name(&self) -> &str {
        "panics"
    }
    async fn send(&self, _: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        panic!("scripted")
    }
    async fn receive(
        &self,
        _: usize,
        _: Duration,
        _: Duration,
        _: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: &[Receipt]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }
    async fn change_visibility(&self, _: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }
    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_queue_fails_its_callers_and_frees_its_place() {
    let batcher = Batcher::new(Arc::new(Panics));
    for _ in 0..5 {
        assert!(matches!(batcher.send(message("a")).await, Err(QueueError::Unavailable(_))));
    }
}
