//! The embedded queue: the conformance suite, and what only a file can do.

mod model;
mod processes;

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        MAX_VISIBILITY, Outgoing, Queue, QueueError, Received,
        conformance::{MAX_RECEIVES, Rig, conformance_tests, message},
    },
    Redrive, SqliteQueues, schema,
};
use crate::clock::Clock;

const LONG: Duration = Duration::from_secs(600);

async fn rig() -> Rig {
    let (dir, queues) = fresh();
    let redrive = Redrive { max_receives: MAX_RECEIVES, dead_letter: "work-dlq".into() };
    let queue = queues.queue("work", Some(redrive)).unwrap();
    Rig { queue, dead_letter: queues.queue("work-dlq", None).unwrap(), keep: Box::new(dir) }
}

conformance_tests!(rig, (start_paused = true));

/// Queues in a folder of their own, on tokio's clock.
fn fresh() -> (TempDir, Arc<SqliteQueues>) {
    let dir = tempdir().unwrap();
    let queues = SqliteQueues::open(dir.path(), Clock::starting_at(Timestamp::UNIX_EPOCH)).unwrap();
    (dir, queues)
}

fn open(dir: &Path) -> Arc<SqliteQueues> {
    SqliteQueues::open(dir, Clock::system()).unwrap()
}

async fn send(queue: &dyn Queue, group: &str, bodies: impl IntoIterator<Item = String>) {
    let batch: Vec<_> = bodies.into_iter().map(|body| Outgoing { group: group.into(), ..message(body) }).collect();
    for chunk in batch.chunks(10) {
        assert!(queue.send(chunk).await.iter().all(Result::is_ok));
    }
}

async fn receive(queue: &dyn Queue, max: NonZeroUsize) -> Vec<Received> {
    queue.receive(max.get(), Duration::ZERO, LONG, &CancellationToken::new()).await.unwrap()
}

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const TEN: NonZeroUsize = ONE.saturating_add(9);

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_group_is_served_in_order() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "g", (0..12).map(|n| format!("m{n}"))).await;
    assert_eq!(bodies(&receive(&*queue, TEN).await), (0..10).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(bodies(&receive(&*queue, TEN).await), ["m10", "m11"]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_does_not_hold_up_the_other_groups() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "big", (0..100).map(|n| format!("big{n}"))).await;
    send(&*queue, "small", (0..3).map(|n| format!("small{n}"))).await;
    let first = receive(&*queue, TEN).await;
    assert_eq!(first.iter().filter(|message| message.body.starts_with("small")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lone_consumer_serves_groups_in_turn() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    for group in ["a", "b", "c"] {
        send(&*queue, group, (0..10).map(|_| group.to_owned())).await;
    }
    let mut order = String::new();
    for _ in 0..9 {
        let [message] = receive(&*queue, ONE).await.try_into().unwrap();
        queue.delete(&[message.receipt]).await[0].clone().unwrap();
        order += &message.body;
    }
    assert_eq!(order, "abcabcabc");
}

#[tokio::test(start_paused = true)]
async fn the_group_with_most_in_flight_comes_last() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "busy", (0..20).map(|_| "busy".to_owned())).await;
    assert_eq!(receive(&*queue, TEN).await.len(), 10);
    send(&*queue, "idle", (0..20).map(|_| "idle".to_owned())).await;
    assert_eq!(bodies(&receive(&*queue, TEN).await), ["idle"; 10]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_receipt_deletes_but_does_not_extend_until_received_again() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "g", ["a".into(), "b".into()]).await;
    let leased = receive(&*queue, TEN).await;
    advance(LONG).await;
    let changes: Vec<_> = leased.iter().map(|message| (message.receipt.clone(), LONG)).collect();
    assert_eq!(queue.change_visibility(&changes).await, vec![Err(QueueError::ReceiptExpired); 2]);
    assert_eq!(queue.delete(&[leased[0].receipt.clone()]).await, [Ok(())]);
    let again = receive(&*queue, TEN).await;
    assert_eq!(bodies(&again), ["b"]);
    assert_eq!(queue.delete(&[leased[1].receipt.clone()]).await, [Err(QueueError::ReceiptExpired)]);
    assert_eq!(queue.delete(&[again[0].receipt.clone()]).await, [Ok(())]);
    assert_eq!(queue.delete(&[again[0].receipt.clone()]).await, [Err(QueueError::ReceiptExpired)]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_good_for_its_own_queue_only() {
    let (_dir, queues) = fresh();
    let (one, other) = (queues.queue("one", None).unwrap(), queues.queue("other", None).unwrap());
    send(&*one, "g", ["a".into()]).await;
    let [a] = receive(&*one, ONE).await.try_into().unwrap();
    let mut forged = a.receipt.clone();
    forged.0.pop();
    assert_eq!(other.delete(std::slice::from_ref(&a.receipt)).await, [Err(QueueError::ReceiptExpired)]);
    assert_eq!(
        one.delete(&[forged, super::Receipt("nonsense".into())]).await,
        vec![Err(QueueError::ReceiptExpired); 2]
    );
    assert_eq!(one.delete(&[a.receipt]).await, [Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn leases_end_twelve_hours_after_the_receive() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "g", ["a".into()]).await;
    let [a] = receive(&*queue, ONE).await.try_into().unwrap();
    advance(Duration::from_secs(60)).await;
    let change = async |visibility| queue.change_visibility(&[(a.receipt.clone(), visibility)]).await.remove(0);
    assert!(matches!(change(MAX_VISIBILITY).await, Err(QueueError::Invalid(_))));
    assert_eq!(change(MAX_VISIBILITY - Duration::from_secs(60)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_keeps_its_body_and_counts_anew() {
    let (_dir, queues) = fresh();
    let redrive = Redrive { max_receives: 1, dead_letter: "work-dlq".into() };
    let queue = queues.queue("work", Some(redrive)).unwrap();
    let dead = queues.queue("work-dlq", None).unwrap();
    send(&*queue, "g", (0..150).map(|n| format!("m{n}"))).await;
    while !receive(&*queue, TEN).await.is_empty() {}
    advance(LONG).await;
    send(&*queue, "g", ["fresh".into()]).await;
    // More dead letters than one transaction moves stand before it.
    let stop = CancellationToken::new();
    let received = queue.receive(10, Duration::from_secs(1), LONG, &stop).await.unwrap();
    assert_eq!(bodies(&received), ["fresh"]);
    assert_eq!(dead.depth().await.unwrap().visible, 150);
    let [first] = receive(&*dead, ONE).await.try_into().unwrap();
    assert_eq!((first.body.as_str(), first.receive_count), ("m0", 1));
}

#[tokio::test(start_paused = true)]
async fn stop_ends_a_poll_at_once() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    let stop = CancellationToken::new();
    let start = tokio::time::Instant::now();
    let (received, ()) = tokio::join!(queue.receive(1, Duration::from_secs(20), LONG, &stop), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
    });
    assert!(received.unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_millis(200));
    send(&*queue, "g", ["a".into()]).await;
    assert!(queue.receive(1, Duration::ZERO, LONG, &stop).await.unwrap().is_empty(), "stopped before it began");
    assert_eq!(queue.depth().await.unwrap().visible, 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_between_a_poll_s_look_and_its_wait_is_heard() {
    let (dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    // Without its file the bell is not heard through the watch, which would make up for a ring missed here.
    std::fs::remove_file(dir.path().join("bells/work")).unwrap();
    let stop = CancellationToken::new();
    let start = tokio::time::Instant::now();
    for _ in 0..50 {
        let poll = queue.receive(1, Duration::from_secs(20), LONG, &stop);
        let (received, ()) = tokio::join!(poll, send(&*queue, "g", ["a".into()]));
        assert_eq!(received.unwrap().len(), 1);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "missed: only the end of the poll found it");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_takes_nothing() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    let stop = CancellationToken::new();
    let poll = queue.receive(1, Duration::from_secs(20), LONG, &stop);
    assert!(tokio::time::timeout(Duration::from_secs(1), poll).await.is_err());
    send(&*queue, "g", ["a".into()]).await;
    assert_eq!(receive(&*queue, ONE).await[0].receive_count, 1);
}

#[tokio::test(start_paused = true)]
async fn what_sqs_refuses_is_refused() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    let sent = queue.send(&[message("nul \0"), message("\u{FFFF}"), message("fine \t\u{E000}")]).await;
    assert!(matches!(sent[..], [Err(QueueError::Invalid(_)), Err(QueueError::Invalid(_)), Ok(())]), "{sent:?}");
    for name in ["", "a/b", "..", "ä", &"x".repeat(81)] {
        assert!(matches!(queues.queue(name, None), Err(QueueError::Invalid(_))), "{name}");
    }
    for (max_receives, dead_letter) in [(0, "dlq"), (1, "work"), (1, "../dlq")] {
        let redrive = Redrive { max_receives, dead_letter: dead_letter.into() };
        assert!(matches!(queues.queue("work", Some(redrive)), Err(QueueError::Invalid(_))));
    }
}

/// A disk that has room for so many more pages: to SQLite, which the limit is asked of, it is as full as any.
async fn room(queues: &SqliteQueues, pages: i64) {
    let limit = move |connection: &Connection| {
        let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        connection.query_row(&format!("PRAGMA max_page_count = {}", used + pages), [], |_| Ok(()))
    };
    queues.database.call(limit, |()| ()).await.unwrap();
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_sent_and_what_was_answered_is_there() {
    let (_dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    room(&queues, 20).await;
    let mut answered = Vec::new();
    // Several at once: they share transactions, and the one that finds no room takes none of the others along by half.
    let refused = loop {
        let batches: Vec<_> = (0..4).map(|_| vec![message("x".repeat(4000)), message("y".repeat(4000))]).collect();
        let sent = futures::future::join_all(batches.iter().map(|batch| queue.send(batch))).await;
        for (batch, sent) in batches.into_iter().zip(&sent) {
            assert!(sent.iter().all(Result::is_ok) || sent.iter().all(Result::is_err), "{sent:?}");
            answered.extend(batch.into_iter().filter(|_| sent[0].is_ok()).map(|message| message.body));
        }
        if let Some(error) = sent.into_iter().flatten().find_map(Result::err) {
            break error;
        }
    };
    assert!(refused.is_retryable() && refused.to_string().contains("full"), "{refused}");
    assert_eq!(queue.depth().await.unwrap().total(), answered.len() as u64);
    // The backlog can be worked off, and the queue takes messages again.
    let mut left = answered.len();
    while left > 0 {
        let received = receive(&*queue, TEN).await;
        let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
        assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
        left -= receipts.len();
    }
    send(&*queue, "g", ["again".to_owned()]).await;
    assert_eq!(bodies(&receive(&*queue, TEN).await), ["again"]);
}

#[tokio::test(start_paused = true)]
async fn the_file_is_empty_when_the_queue_is() {
    let (dir, queues) = fresh();
    let queue = queues.queue("work", None).unwrap();
    send(&*queue, "g", (0..10).map(|n| format!("m{n}"))).await;
    let receipts: Vec<_> = receive(&*queue, TEN).await.into_iter().map(|message| message.receipt).collect();
    queue.delete(&receipts).await;
    let file = Connection::open(dir.path().join("queue.db")).unwrap();
    for table in ["message", "body", "fair_group"] {
        let rows: i64 = file.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn no_statement_of_a_receive_scans_or_sorts() {
    let dir = tempdir().unwrap();
    let _queues = open(dir.path());
    let file = Connection::open(dir.path().join("queue.db")).unwrap();
    use schema::{
        COUNT_DUE, DELETE, FIND_LEASE, LEASE, MOVE, NEXT_GROUP, NEXT_MESSAGE, NEXT_TIME, SERVED, SET_VISIBILITY, WAKE,
    };
    for sql in
        [COUNT_DUE, DELETE, FIND_LEASE, LEASE, MOVE, NEXT_GROUP, NEXT_MESSAGE, NEXT_TIME, SERVED, SET_VISIBILITY, WAKE]
    {
        let mut explain = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for parameter in 1..=explain.parameter_count() {
            explain.raw_bind_parameter(parameter, 1).unwrap();
        }
        let mut rows = explain.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get("detail").unwrap();
            assert!(!step.contains("SCAN") && !step.contains("TEMP B-TREE"), "{sql}\n{step}");
        }
    }
}

#[test]
fn a_newer_file_is_refused() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let file = Connection::open(dir.path().join("queue.db")).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    let error = SqliteQueues::open(dir.path(), Clock::system()).unwrap_err();
    assert!(error.to_string().contains("queue.db has format 2"), "{error}");
}
