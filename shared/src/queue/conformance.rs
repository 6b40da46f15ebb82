//! What every implementation of [`Queue`] must do, as checks that each runs over its own queues.
//!
//! Times are whole seconds, SQS's grain, and read off tokio's clock: an implementation whose clock is tokio's runs the
//! suite under paused time, one on a network in real time. Instantiate it with [`conformance_tests`].

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Depth, MAX_BODY, MAX_DELAY, MAX_VISIBILITY, MAX_WAIT, Outgoing, Queue, QueueError, Receipt, Received};

/// The redrive limit that the queue under test must be made with.
pub const MAX_RECEIVES: u32 = 3;
/// A lease that outlasts any check.
const LONG: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// Fresh, empty queues to check.
pub struct Rig {
    /// The queue under test; redrives to `dead_letter` after [`MAX_RECEIVES`].
    pub queue: Arc<dyn Queue>,
    /// Its dead-letter queue.
    pub dead_letter: Arc<dyn Queue>,
    /// What must live as long as the queues do, such as their folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Makes a test of each check: `conformance_tests!(make_rig, (start_paused = true));` where `make_rig` is an
/// `async fn() -> Rig` and the second part what `#[tokio::test]` takes.
macro_rules! conformance_tests {
    ($make:path, $flags:tt) => {
        $crate::queue::conformance::conformance_tests!(@each $make, $flags,
            delivers_and_deletes expiry_redelivers delays zero_visibility_returns_at_once extension_keeps_it_away
            stale_receipt_harms_nobody forgotten_messages_come_again limits_are_enforced poll_is_woken_by_a_send
            waiting_receivers_are_all_served stop_ends_or_is_ignored_without_loss too_many_receives_go_to_the_dead_letters
            largest_body_passes_and_a_larger_is_refused bodies_keep_every_character concurrent_receivers_share
            depth_counts_by_state an_empty_poll_ends);
    };
    (@each $make:path, $flags:tt, $($check:ident)+) => {
        $($crate::queue::conformance::conformance_tests!(@one $make, $flags, $check);)+
    };
    (@one $make:path, ($($flag:tt)*), $check:ident) => {
        #[tokio::test($($flag)*)]
        async fn $check() {
            $crate::queue::conformance::$check($make().await).await;
        }
    };
}
pub(crate) use conformance_tests;

/// A message with that body, visible at once, in the default group.
pub fn message(body: impl Into<String>) -> Outgoing {
    Outgoing { body: body.into(), delay: Duration::ZERO, group: "default".into() }
}

async fn send(queue: &dyn Queue, bodies: &[&str]) {
    let batch: Vec<_> = bodies.iter().map(|body| message(*body)).collect();
    assert_eq!(queue.send(&batch).await, vec![Ok(()); batch.len()]);
}

async fn poll(queue: &dyn Queue, wait: Duration, visibility: Duration) -> Vec<Received> {
    queue.receive(10, wait, visibility, &CancellationToken::new()).await.expect("receive")
}

/// The one message that the queue has, or will have within a long poll.
async fn take(queue: &dyn Queue, visibility: Duration) -> Received {
    let mut messages = poll(queue, MAX_WAIT, visibility).await;
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

async fn delete(queue: &dyn Queue, receipt: &Receipt) {
    assert_eq!(queue.delete(std::slice::from_ref(receipt)).await, [Ok(())]);
}

async fn change(queue: &dyn Queue, receipt: &Receipt, visibility: Duration) {
    assert_eq!(queue.change_visibility(&[(receipt.clone(), visibility)]).await, [Ok(())]);
}

/// Waits until the queue's counts, which may lag, are these.
async fn settles_at(queue: &dyn Queue, expected: Depth) {
    let reached = async {
        while queue.depth().await.expect("depth") != expected {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let reached = timeout(Duration::from_secs(60), reached).await;
    assert!(reached.is_ok(), "expected {expected:?}, it is {:?}", queue.depth().await);
}

fn is_invalid<T>(result: &Result<T, QueueError>) -> bool {
    matches!(result, Err(QueueError::Invalid(_)))
}

/// What is sent is received once, with its body and a count of 1, and is gone when deleted.
pub async fn delivers_and_deletes(rig: Rig) {
    send(&*rig.queue, &["a"]).await;
    let a = take(&*rig.queue, LONG).await;
    assert_eq!((a.body.as_str(), a.receive_count), ("a", 1));
    assert!(poll(&*rig.queue, SECOND, LONG).await.is_empty(), "leased");
    delete(&*rig.queue, &a.receipt).await;
    settles_at(&*rig.queue, Depth::default()).await;
}

/// A lease that passes makes the message visible again, also to a poll under way, with a higher count and another receipt.
pub async fn expiry_redelivers(rig: Rig) {
    send(&*rig.queue, &["a"]).await;
    let first = take(&*rig.queue, SECOND).await;
    let start = Instant::now();
    let second = take(&*rig.queue, LONG).await;
    assert!(start.elapsed() < MAX_WAIT / 2, "a waiting poll takes it, after {:?}", start.elapsed());
    assert_eq!((second.body.as_str(), second.receive_count), ("a", 2));
    assert_ne!(first.receipt, second.receipt);
}

/// A delayed message comes after its delay, to a poll that was already waiting.
pub async fn delays(rig: Rig) {
    let start = Instant::now();
    let delayed = Outgoing { delay: 5 * SECOND, ..message("a") };
    assert_eq!(rig.queue.send(&[delayed]).await, [Ok(())]);
    assert_eq!(take(&*rig.queue, LONG).await.body, "a");
    assert!((4 * SECOND..15 * SECOND).contains(&start.elapsed()), "came after {:?}", start.elapsed());
}

/// Visibility 0 hands a message back now.
pub async fn zero_visibility_returns_at_once(rig: Rig) {
    send(&*rig.queue, &["a"]).await;
    let a = take(&*rig.queue, LONG).await;
    change(&*rig.queue, &a.receipt, Duration::ZERO).await;
    assert_eq!(take(&*rig.queue, LONG).await.receive_count, 2);
}

/// An extension outlives the first lease, and keeps the receipt and the count.
pub async fn extension_keeps_it_away(rig: Rig) {
    send(&*rig.queue, &["a"]).await;
    let a = take(&*rig.queue, 5 * SECOND).await;
    change(&*rig.queue, &a.receipt, LONG).await;
    assert!(poll(&*rig.queue, 8 * SECOND, LONG).await.is_empty());
    change(&*rig.queue, &a.receipt, Duration::ZERO).await;
    assert_eq!(take(&*rig.queue, LONG).await.receive_count, 2);
}

/// A delete with an old receipt is refused or ignored; the newer receive keeps its lease.
pub async fn stale_receipt_harms_nobody(rig: Rig) {
    send(&*rig.queue, &["a"]).await;
    let stale = take(&*rig.queue, SECOND).await;
    let fresh = take(&*rig.queue, LONG).await;
    let [answer] = rig.queue.delete(&[stale.receipt]).await.try_into().expect("one result");
    assert!(matches!(answer, Ok(()) | Err(QueueError::ReceiptExpired)), "{answer:?}");
    change(&*rig.queue, &fresh.receipt, LONG).await;
    settles_at(&*rig.queue, Depth { in_flight: 1, ..Depth::default() }).await;
    delete(&*rig.queue, &fresh.receipt).await;
    settles_at(&*rig.queue, Depth::default()).await;
}

/// At least once: what is received and forgotten comes until it is deleted, and nothing else does.
pub async fn forgotten_messages_come_again(rig: Rig) {
    let bodies: BTreeSet<String> = (0..30).map(|n| format!("m{n}")).collect();
    for chunk in bodies.iter().map(String::as_str).collect::<Vec<_>>().chunks(10) {
        send(&*rig.queue, chunk).await;
    }
    let mut deleted = BTreeSet::new();
    while deleted.len() < bodies.len() {
        let messages = poll(&*rig.queue, MAX_WAIT, 5 * SECOND).await;
        assert!(!messages.is_empty(), "{} of {} came", deleted.len(), bodies.len());
        for (n, received) in messages.iter().enumerate() {
            assert!(bodies.contains(&received.body));
            // Every other one is forgotten at its first receive.
            if received.receive_count > 1 || n % 2 == 0 {
                delete(&*rig.queue, &received.receipt).await;
                assert!(deleted.insert(received.body.clone()), "{} came after its delete", received.body);
            }
        }
    }
    settles_at(&*rig.queue, Depth::default()).await;
}

/// Requests beyond the limits are invalid, and an invalid entry does not spoil its neighbours.
pub async fn limits_are_enforced(rig: Rig) {
    let queue = &*rig.queue;
    let eleven = queue.send(&vec![message("x"); 11]).await;
    assert!(eleven.len() == 11 && eleven.iter().all(is_invalid));
    let heavy = queue.send(&vec![message("x".repeat(MAX_BODY / 2 + 1)); 2]).await;
    assert!(heavy.len() == 2 && heavy.iter().all(is_invalid));
    let late = Outgoing { delay: MAX_DELAY + SECOND, ..message("late") };
    let mixed = queue.send(&[message("a"), message(""), late]).await;
    assert!(mixed[0].is_ok() && is_invalid(&mixed[1]) && is_invalid(&mixed[2]), "{mixed:?}");

    let stop = CancellationToken::new();
    for (max, wait, visibility) in
        [(0, SECOND, LONG), (11, SECOND, LONG), (1, MAX_WAIT + SECOND, LONG), (1, SECOND, MAX_VISIBILITY + SECOND)]
    {
        assert!(is_invalid(&queue.receive(max, wait, visibility, &stop).await), "{max} {wait:?} {visibility:?}");
    }
    let a = take(queue, LONG).await;
    assert_eq!(a.body, "a");
    let change = (a.receipt.clone(), MAX_VISIBILITY + SECOND);
    assert!(queue.change_visibility(&[change]).await.iter().all(is_invalid));
    assert!(queue.delete(&vec![a.receipt.clone(); 11]).await.iter().all(is_invalid));
    delete(queue, &a.receipt).await;
}

/// A poll under way returns as soon as a message is sent.
pub async fn poll_is_woken_by_a_send(rig: Rig) {
    let start = Instant::now();
    let (received, ()) = tokio::join!(take(&*rig.queue, LONG), async {
        sleep(SECOND).await;
        send(&*rig.queue, &["a"]).await;
    });
    assert_eq!(received.body, "a");
    assert!(start.elapsed() < MAX_WAIT / 2, "woken after {:?}", start.elapsed());
}

/// Several waiting receivers each get one of as many messages.
pub async fn waiting_receivers_are_all_served(rig: Rig) {
    let stop = CancellationToken::new();
    let start = Instant::now();
    let receivers = join_all((0..5).map(|_| rig.queue.receive(1, MAX_WAIT, LONG, &stop)));
    let (received, ()) = tokio::join!(receivers, async {
        for body in ["a", "b", "c", "d", "e"] {
            send(&*rig.queue, &[body]).await;
        }
    });
    let bodies: BTreeSet<String> = received.into_iter().flatten().flatten().map(|message| message.body).collect();
    assert_eq!(bodies.len(), 5, "{bodies:?}");
    assert!(start.elapsed() < MAX_WAIT / 2, "served after {:?}", start.elapsed());
}

/// A cancelled poll ends early or is driven to its end; either way no message is lost to it.
pub async fn stop_ends_or_is_ignored_without_loss(rig: Rig) {
    let stop = CancellationToken::new();
    let (received, ()) = tokio::join!(rig.queue.receive(10, 5 * SECOND, LONG, &stop), async {
        sleep(SECOND).await;
        stop.cancel();
        send(&*rig.queue, &["a"]).await;
    });
    let received = received.expect("a cancelled poll is no error");
    let a = if received.is_empty() { take(&*rig.queue, LONG).await } else { received[0].clone() };
    assert_eq!((a.body.as_str(), a.receive_count), ("a", 1));
}

/// A message that was received too often is found, unchanged, on the dead-letter queue.
pub async fn too_many_receives_go_to_the_dead_letters(rig: Rig) {
    send(&*rig.queue, &["poison"]).await;
    for count in 1..=MAX_RECEIVES {
        let poison = take(&*rig.queue, LONG).await;
        assert_eq!(poison.receive_count, count);
        change(&*rig.queue, &poison.receipt, Duration::ZERO).await;
    }
    assert!(poll(&*rig.queue, SECOND, LONG).await.is_empty());
    let dead = take(&*rig.dead_letter, LONG).await;
    assert_eq!(dead.body, "poison");
    delete(&*rig.dead_letter, &dead.receipt).await;
    settles_at(&*rig.queue, Depth::default()).await;
    settles_at(&*rig.dead_letter, Depth::default()).await;
}

/// Exactly 1 MiB passes unchanged; one byte more is refused.
pub async fn largest_body_passes_and_a_larger_is_refused(rig: Rig) {
    let body: String = ('a'..='z').cycle().take(MAX_BODY).collect();
    assert!(is_invalid(&rig.queue.send(&[message(format!("{body}!"))]).await[0]));
    send(&*rig.queue, &[&body]).await;
    assert!(take(&*rig.queue, LONG).await.body == body, "altered");
}

/// Bodies are text, every character of which arrives.
pub async fn bodies_keep_every_character(rig: Rig) {
    let body = "{\"k\": \"grüße 日本語 \u{10FFFD} e\u{301} \t\r\n '\\\u{FFFD}<&>]]>\"}";
    send(&*rig.queue, &[body]).await;
    assert_eq!(take(&*rig.queue, LONG).await.body, body);
}

/// While leased, a message is with one receiver only: twenty share five hundred.
pub async fn concurrent_receivers_share(rig: Rig) {
    let bodies: Vec<String> = (0..500).map(|n| format!("m{n}")).collect();
    let chunks: Vec<Vec<&str>> = bodies.chunks(10).map(|chunk| chunk.iter().map(String::as_str).collect()).collect();
    let receive = async || {
        let mut mine = Vec::new();
        loop {
            let messages = poll(&*rig.queue, 3 * SECOND, LONG).await;
            if messages.is_empty() {
                return mine;
            }
            let receipts: Vec<_> = messages.iter().map(|message| message.receipt.clone()).collect();
            assert!(rig.queue.delete(&receipts).await.iter().all(Result::is_ok));
            mine.extend(messages.into_iter().map(|message| message.body));
        }
    };
    let senders = join_all(chunks.iter().map(|chunk| send(&*rig.queue, chunk)));
    let (_, received) = tokio::join!(senders, join_all((0..20).map(|_| receive())));
    let mut times = BTreeMap::new();
    received.into_iter().flatten().for_each(|body| *times.entry(body).or_insert(0) += 1);
    assert!(times.values().all(|count| *count == 1), "some came twice");
    assert_eq!(times.len(), bodies.len());
}

/// The depth tells visible, leased and delayed apart.
pub async fn depth_counts_by_state(rig: Rig) {
    send(&*rig.queue, &["a", "b", "c"]).await;
    assert_eq!(rig.queue.send(&[Outgoing { delay: MAX_DELAY, ..message("d") }]).await, [Ok(())]);
    let received = rig.queue.receive(1, MAX_WAIT, LONG, &CancellationToken::new()).await.expect("receive");
    assert_eq!(received.len(), 1);
    settles_at(&*rig.queue, Depth { visible: 2, in_flight: 1, delayed: 1 }).await;
    change(&*rig.queue, &received[0].receipt, Duration::ZERO).await;
    settles_at(&*rig.queue, Depth { visible: 3, in_flight: 0, delayed: 1 }).await;
}

/// A poll of an empty queue ends without an error.
pub async fn an_empty_poll_ends(rig: Rig) {
    assert!(poll(&*rig.queue, Duration::ZERO, LONG).await.is_empty());
    assert!(poll(&*rig.queue, SECOND, LONG).await.is_empty());
}
