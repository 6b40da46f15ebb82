//! Several processes on one file. Two opens share nothing but the folder, and so behave as two processes do.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tempfile::tempdir;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    super::super::{MAX_WAIT, Queue, Received, conformance::message},
    LONG, ONE, Redrive, TEN, bodies, open, receive, send,
};

async fn poll(queue: Arc<dyn Queue>) -> (Vec<Received>, Duration) {
    let start = Instant::now();
    let received = queue.receive(10, MAX_WAIT, LONG, &CancellationToken::new()).await.unwrap();
    (received, start.elapsed())
}

/// Starts a poll and gives it the time to find nothing: its first look is answered before ours, which follows it.
async fn waiting_poll(queue: &Arc<dyn Queue>) -> tokio::task::JoinHandle<(Vec<Received>, Duration)> {
    let poll = tokio::spawn(poll(Arc::clone(queue)));
    tokio::task::yield_now().await;
    queue.depth().await.unwrap();
    poll
}

#[tokio::test]
async fn a_send_wakes_a_poll_of_another_process() {
    let dir = tempdir().unwrap();
    let (here, there) = (open(dir.path()).queue("work", None).unwrap(), open(dir.path()).queue("work", None).unwrap());
    let poll = waiting_poll(&here).await;
    send(&*there, "g", ["a".into()]).await;
    let (received, elapsed) = poll.await.unwrap();
    assert_eq!(bodies(&received), ["a"]);
    assert!(elapsed < MAX_WAIT / 2, "woken after {elapsed:?}: not by the bell");
}

#[tokio::test]
async fn a_shortened_lease_wakes_a_poll_of_another_process() {
    let dir = tempdir().unwrap();
    let (here, there) = (open(dir.path()).queue("work", None).unwrap(), open(dir.path()).queue("work", None).unwrap());
    send(&*there, "g", ["now".into(), "soon".into()]).await;
    let leased = receive(&*there, TEN).await;
    let poll_now = waiting_poll(&here).await;
    there.change_visibility(&[(leased[0].receipt.clone(), Duration::ZERO)]).await.remove(0).unwrap();
    let (received, elapsed) = poll_now.await.unwrap();
    assert_eq!(bodies(&received), ["now"]);
    assert!(elapsed < MAX_WAIT / 2, "woken after {elapsed:?}");

    let poll_soon = waiting_poll(&here).await;
    there.change_visibility(&[(leased[1].receipt.clone(), Duration::from_secs(1))]).await.remove(0).unwrap();
    let (received, elapsed) = poll_soon.await.unwrap();
    assert_eq!(bodies(&received), ["soon"]);
    assert!(elapsed < MAX_WAIT / 2, "woken after {elapsed:?}");
}

#[tokio::test]
async fn a_dead_letter_wakes_a_poll_of_another_process() {
    let dir = tempdir().unwrap();
    let redrive = Redrive { max_receives: 1, dead_letter: "dlq".into() };
    let (dead, there) =
        (open(dir.path()).queue("dlq", None).unwrap(), open(dir.path()).queue("work", Some(redrive)).unwrap());
    send(&*there, "g", ["a".into()]).await;
    let [a] = receive(&*there, ONE).await.try_into().unwrap();
    let poll = waiting_poll(&dead).await;
    there.change_visibility(&[(a.receipt, Duration::ZERO)]).await.remove(0).unwrap();
    assert!(receive(&*there, ONE).await.is_empty());
    let (received, elapsed) = poll.await.unwrap();
    assert_eq!(bodies(&received), ["a"]);
    assert!(elapsed < MAX_WAIT / 2, "woken after {elapsed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_opens_share_without_loss() {
    const EACH: usize = 250;
    let dir = tempdir().unwrap();
    let opens: Vec<_> = (0..4).map(|_| open(dir.path()).queue("work", None).unwrap()).collect();
    let received = Arc::new(AtomicUsize::new(0));
    let done = CancellationToken::new();
    let senders = opens.iter().enumerate().map(|(n, queue)| {
        let queue = Arc::clone(queue);
        tokio::spawn(async move {
            for m in 0..EACH {
                send(&*queue, &format!("g{}", m % 3), [format!("{n}-{m}")]).await;
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = opens.iter().flat_map(|queue| [queue, queue]).map(|queue| {
        let (queue, received, done) = (Arc::clone(queue), Arc::clone(&received), done.clone());
        tokio::spawn(async move {
            let mut mine = Vec::new();
            while !done.is_cancelled() {
                let messages = queue.receive(7, MAX_WAIT, LONG, &done).await.unwrap();
                let receipts: Vec<_> = messages.iter().map(|message| message.receipt.clone()).collect();
                assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
                mine.extend(messages.into_iter().map(|message| message.body));
                if received.fetch_add(receipts.len(), Ordering::SeqCst) + receipts.len() == 4 * EACH {
                    done.cancel();
                }
            }
            mine
        })
    });
    let receivers = timeout(Duration::from_secs(120), join_all(receivers)).await.expect("all messages arrive");
    for sender in senders {
        sender.await.unwrap();
    }
    let all: Vec<String> = receivers.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(all.len(), 4 * EACH, "none came twice");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4 * EACH);
    assert_eq!(opens[0].depth().await.unwrap().total(), 0);
}

#[tokio::test]
async fn a_reopened_file_holds_what_it_held() {
    let dir = tempdir().unwrap();
    let leased = {
        let queue = open(dir.path()).queue("work", None).unwrap();
        send(&*queue, "g", (0..20).map(|n| format!("m{n}"))).await;
        receive(&*queue, TEN).await
    };
    let queue = open(dir.path()).queue("work", None).unwrap();
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (10, 10));
    assert_eq!(queue.delete(&[leased[0].receipt.clone()]).await, [Ok(())]);
    assert_eq!(bodies(&receive(&*queue, TEN).await), (10..20).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

const CHILD_DIR: &str = "QUEUE_TEST_CHILD_DIR";

/// Not a test of its own: what [`a_killed_process_leaves_what_it_was_answered`] starts and kills.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child_that_sends_until_killed() {
    let queue = open(env::var(CHILD_DIR).unwrap().as_ref()).queue("work", None).unwrap();
    for n in 0.. {
        assert_eq!(queue.send(&[message(format!("m{n}"))]).await, [Ok(())]);
        println!("\nsent m{n}");
    }
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_was_answered() {
    let dir = tempdir().unwrap();
    let queue = open(dir.path()).queue("work", None).unwrap();
    let mut answered = BTreeSet::new();
    for round in 1..=5 {
        let poll = waiting_poll(&queue).await;
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "--ignored",
                "--nocapture",
                "queue::sqlite::tests::processes::child_that_sends_until_killed",
            ])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut sent: Vec<String> = Vec::new();
        for line in lines {
            sent.extend(line.unwrap().strip_prefix("sent ").map(|body| format!("{round} {body}")));
            // Killed in the middle of a send; what the pipe still holds is read to its end.
            if sent.len() == 20 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success() && sent.len() >= 20 * round);
        answered.extend(sent);
        let mut held: BTreeSet<String> = BTreeSet::new();
        let (mut received, _) = poll.await.unwrap();
        assert!(!received.is_empty(), "the poll that was waiting takes some");
        while !received.is_empty() {
            held.extend(received.iter().map(|message| format!("{round} {}", message.body)));
            let receipts: Vec<_> = received.iter().map(|message| message.receipt.clone()).collect();
            assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
            received = receive(&*queue, TEN).await;
        }
        answered.retain(|body| !held.contains(body));
        assert!(answered.is_empty(), "lost {answered:?}");
    }
}
