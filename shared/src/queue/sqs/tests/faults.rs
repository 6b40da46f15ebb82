//! What a network and a busy service do, made by a proxy before ministack.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    LONG, MAX_WAIT, Ministack, Queue, QueueError, Received, SqsQueue, address, message, ministack, poll, queue_behind,
};
use crate::{
    queue::{Receipt, batch::Batcher},
    testing::proxy::{Answer, Fault, Proxy, Rule},
};

const SECOND: Duration = Duration::from_secs(1);

struct Faulty {
    ministack: Arc<Ministack>,
    proxy: Proxy,
    queue: Arc<SqsQueue>,
}

async fn faulty() -> Faulty {
    let ministack = ministack().await;
    let proxy = Proxy::start(address(&ministack)).await.unwrap();
    let queue = queue_behind(&ministack, &proxy.endpoint()).await;
    Faulty { ministack, proxy, queue }
}

fn throttled() -> Fault {
    Fault::Answer(Answer::aws_json(400, "com.amazonaws.sqs#RequestThrottled"))
}

fn is_unavailable<T>(result: &Result<T, QueueError>) -> bool {
    matches!(result, Err(QueueError::Unavailable(_)))
}

/// Sends every body, again if it has to be, as a job does that comes back because its settlement failed.
async fn send_all(queue: &Batcher, bodies: &BTreeSet<String>) {
    let mut left: Vec<_> = bodies.iter().cloned().collect();
    while !left.is_empty() {
        let sent = join_all(left.iter().map(|body| queue.send(message(body.clone())))).await;
        assert!(sent.iter().all(|result| result.is_ok() || is_unavailable(result)), "{sent:?}");
        left = left.into_iter().zip(sent).filter_map(|(body, result)| result.is_err().then_some(body)).collect();
    }
}

/// Receives and deletes until the queue is empty; what came, and how often.
async fn drain(queue: &Arc<SqsQueue>, batcher: &Batcher) -> Vec<String> {
    let mut came = Vec::new();
    loop {
        let messages = poll(&**queue, SECOND).await.unwrap();
        if messages.is_empty() {
            return came;
        }
        let by = Instant::now() + LONG;
        let deleted = join_all(messages.iter().map(|message| batcher.delete(message.receipt.clone(), by))).await;
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        came.extend(messages.into_iter().map(|message| message.body));
    }
}

fn bodies(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

#[tokio::test]
async fn a_hung_receive_ends_and_the_queue_recovers() {
    for fault in [Fault::BlackHole, Fault::LoseAnswer] {
        let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
        proxy.rules([Rule::all("ReceiveMessage", fault)]);
        let start = Instant::now();
        let hung = timeout(60 * SECOND, poll(&*queue, SECOND)).await.unwrap();
        assert_eq!(hung.unwrap_err(), QueueError::Unavailable("no answer in time".into()));
        assert!(start.elapsed() >= 6 * SECOND, "not before SQS had its time: {:?}", start.elapsed());
        assert_eq!(proxy.requests("ReceiveMessage"), 1, "no second hang");
        proxy.rules([]);
        assert_eq!(queue.send(&[message("a")]).await, [Ok(())]);
        assert_eq!(poll(&*queue, MAX_WAIT).await.unwrap()[0].body, "a");
    }
}

#[tokio::test]
async fn a_receive_passes_over_a_short_fault_and_reports_a_long_one() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    assert_eq!(queue.send(&[message("a")]).await, [Ok(())]);
    for fault in [throttled(), Fault::Answer(Answer::new(503, "")), Fault::Answer(Answer::new(200, "{"))] {
        proxy.rules([Rule::all("ReceiveMessage", fault)]);
        let before = proxy.requests("ReceiveMessage");
        assert!(is_unavailable(&poll(&*queue, 5 * SECOND).await));
        assert_eq!(proxy.requests("ReceiveMessage") - before, 3);
        assert!(is_unavailable(&poll(&*queue, Duration::ZERO).await));
        assert_eq!(proxy.requests("ReceiveMessage") - before, 4, "without a wait there is one try");
    }
    // Every other one: the first passes, and the second try of the next.
    proxy.rules([Rule::share("ReceiveMessage", 0.5, Fault::Answer(Answer::new(503, "")))]);
    assert!(poll(&*queue, Duration::ZERO).await.is_ok_and(|messages| messages[0].body == "a"));
    assert_eq!(queue.send(&[message("c")]).await, [Ok(())]);
    let c = poll(&*queue, 5 * SECOND).await.unwrap();
    assert_eq!(c[0].body, "c");
    assert!(c[0].leased_at.elapsed() < 5 * SECOND);
}

#[tokio::test]
async fn throttled_settlement_is_retried_and_nothing_is_lost() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    let (batcher, all) = (Batcher::new(Arc::clone(&queue) as Arc<dyn Queue>), bodies(100));
    proxy.rules([
        Rule::share("DeleteMessageBatch", 0.5, throttled()),
        Rule::share("ChangeMessageVisibilityBatch", 0.5, Fault::Answer(Answer::new(503, "busy"))),
        Rule::share("SendMessageBatch", 0.5, Fault::Answer(Answer::aws_json(400, "ThrottlingException"))),
    ]);
    send_all(&batcher, &all).await;
    let first = poll(&*queue, SECOND).await.unwrap();
    let by = Instant::now() + LONG;
    let released = first.iter().map(|message| batcher.change_visibility(message.receipt.clone(), Duration::ZERO, by));
    assert!(join_all(released).await.iter().all(Result::is_ok));
    let came = drain(&queue, &batcher).await;
    assert_eq!(came.len(), all.len(), "each once");
    assert_eq!(BTreeSet::from_iter(came), all);
    assert_eq!(queue.depth().await.unwrap().total(), 0);
}

#[tokio::test]
async fn settlement_passes_over_lost_and_cut_answers() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    let (batcher, all) = (Batcher::new(Arc::clone(&queue) as Arc<dyn Queue>), bodies(30));
    send_all(&batcher, &all).await;
    // Half of the deletes are carried out without an answer: their receipts are gone at the second try.
    proxy.rules([Rule::share("DeleteMessageBatch", 0.5, Fault::ResetAfter(0))]);
    let mut came = BTreeSet::new();
    while came.len() < all.len() {
        let messages: Vec<Received> = poll(&*queue, SECOND).await.unwrap();
        assert!(!messages.is_empty());
        let by = Instant::now() + LONG;
        for result in join_all(messages.iter().map(|message| batcher.delete(message.receipt.clone(), by))).await {
            assert!(matches!(result, Ok(()) | Err(QueueError::ReceiptExpired)), "{result:?}");
        }
        came.extend(messages.into_iter().map(|message| message.body));
    }
    assert_eq!(came, all);
    proxy.rules([]);
    assert_eq!(queue.depth().await.unwrap().total(), 0);
}

#[tokio::test]
async fn every_operation_ends_when_nothing_answers() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    proxy.rules([Rule::all("", Fault::BlackHole)]);
    let receipt = Receipt("r".into());
    let (deletes, change) = ([receipt.clone()], [(receipt, SECOND)]);
    let all = async { tokio::join!(queue.delete(&deletes), queue.change_visibility(&change), queue.depth()) };
    let (deleted, changed, depth) = timeout(60 * SECOND, all).await.unwrap();
    assert!(is_unavailable(&deleted[0]) && is_unavailable(&changed[0]) && is_unavailable(&depth));
}

#[tokio::test]
async fn a_slow_sound_answer_is_waited_for() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    let large = "x".repeat(300_000);
    assert_eq!(queue.send(&[message(large.clone())]).await, [Ok(())]);
    proxy.rules([Rule::all("ReceiveMessage", Fault::Throttle(50_000))]);
    let received = poll(&*queue, 10 * SECOND).await.unwrap();
    assert!(received[0].body == large, "altered");
    assert!(received[0].leased_at.elapsed() >= 5 * SECOND);
}

#[tokio::test]
async fn a_cut_answer_is_no_shorter_batch() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    assert_eq!(queue.send(&[message("a".repeat(2_000))]).await, [Ok(())]);
    proxy.rules([Rule::all("ReceiveMessage", Fault::CutAfter(1_000))]);
    assert!(is_unavailable(&poll(&*queue, Duration::ZERO).await));
    assert_eq!(queue.depth().await.unwrap().in_flight, 1, "it comes again after its lease");
}

#[tokio::test]
async fn duplicates_are_messages_of_their_own() {
    let Faulty { ministack: _ministack, proxy, queue } = faulty().await;
    let (batcher, all) = (Batcher::new(Arc::clone(&queue) as Arc<dyn Queue>), bodies(30));
    proxy.rules([
        Rule::all("SendMessageBatch", Fault::Repeat(3)),
        // A change and a delete that come thrice do no harm; the third delete finds nothing any more.
        Rule::all("ChangeMessageVisibilityBatch", Fault::Repeat(3)),
    ]);
    send_all(&batcher, &all).await;
    let first = poll(&*queue, SECOND).await.unwrap();
    let by = Instant::now() + LONG;
    let released = first.iter().map(|message| batcher.change_visibility(message.receipt.clone(), Duration::ZERO, by));
    assert!(join_all(released).await.iter().all(Result::is_ok));
    let came = drain(&queue, &batcher).await;
    assert_eq!(came.len(), 3 * all.len());
    assert_eq!(BTreeSet::from_iter(came), all);

    assert_eq!(queue.send(&[message("d")]).await, [Ok(())]);
    proxy.rules([Rule::all("DeleteMessageBatch", Fault::Repeat(3))]);
    let messages = poll(&*queue, SECOND).await.unwrap();
    assert_eq!(messages.len(), 3);
    let receipts: Vec<_> = messages.into_iter().map(|message| message.receipt).collect();
    let deleted = queue.delete(&receipts).await;
    assert!(deleted.iter().all(|result| matches!(result, Ok(()) | Err(QueueError::ReceiptExpired))), "{deleted:?}");
    assert_eq!(queue.depth().await.unwrap().total(), 0);
}
