//! Requests for each message under load: what the bill counts.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::task::JoinSet;

use super::{Queue, SqsQueue, address, message, ministack, poll, queue_behind};
use crate::{queue::batch::Batcher, testing::proxy::Proxy};

const MESSAGES: usize = 1_000;

/// Four pollers of ten slots; each message is a job that is deleted when it is done.
async fn drain(queue: Arc<SqsQueue>, batcher: Batcher) {
    let done = Arc::new(AtomicUsize::new(0));
    let mut pollers = JoinSet::new();
    for _ in 0..4 {
        let (queue, batcher, done) = (Arc::clone(&queue), batcher.clone(), Arc::clone(&done));
        pollers.spawn(async move {
            while done.load(Ordering::SeqCst) < MESSAGES {
                let messages = poll(&*queue, Duration::from_secs(1)).await.unwrap();
                let by = tokio::time::Instant::now() + super::LONG;
                let deletes = messages.into_iter().map(|message| batcher.delete(message.receipt, by));
                let deleted = join_all(deletes).await;
                assert!(deleted.iter().all(Result::is_ok));
                done.fetch_add(deleted.len(), Ordering::SeqCst);
            }
        });
    }
    pollers.join_all().await;
    assert_eq!(done.load(Ordering::SeqCst), MESSAGES);
}

#[tokio::test]
async fn requests_for_each_message_under_load() {
    let ministack = ministack().await;
    let proxy = Proxy::start(address(&ministack)).await.unwrap();
    let queue = queue_behind(&ministack, &proxy.endpoint()).await;
    let flushes = NonZeroUsize::MIN.saturating_add(1);
    let batcher = Batcher::with_flushes(Arc::clone(&queue) as Arc<dyn Queue>, flushes);
    let start = Instant::now();
    let sent = join_all((0..MESSAGES).map(|n| batcher.send(message(format!("{n:01000}"))))).await;
    assert!(sent.iter().all(Result::is_ok));
    drain(queue, batcher).await;
    let counts = ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"].map(|kind| (kind, proxy.requests(kind)));
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    println!("{counts:?}: {:.3} requests a message, {:?}", total as f64 / MESSAGES as f64, start.elapsed());
    // Full batches take 0.3; a poll that comes up empty at the end and a flush that found fewer waiting cost a little.
    assert!(total * 10 < MESSAGES * 5, "{counts:?}");
}
