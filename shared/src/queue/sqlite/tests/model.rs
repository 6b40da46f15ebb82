//! Random operations on the queue and on a model of it that is a plain list.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        super::{Depth, Outgoing, Queue, QueueError, Receipt},
        Redrive,
    },
    fresh,
};

const MAX_RECEIVES: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Send {
        group: u8,
        delay: u64,
    },
    Receive {
        max: usize,
        visibility: u64,
    },
    /// The receipts are of the n-th receive so far, counted from the last.
    Delete {
        nth: usize,
    },
    Change {
        nth: usize,
        visibility: u64,
    },
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u8, prop_oneof![Just(0), 0..3000u64]).prop_map(|(group, delay)| Step::Send { group, delay }),
        3 => (1..=10usize, 0..3000u64).prop_map(|(max, visibility)| Step::Receive { max, visibility }),
        2 => (0..12usize).prop_map(|nth| Step::Delete { nth }),
        1 => (0..12usize, prop_oneof![Just(0), 0..3000u64]).prop_map(|(nth, visibility)| Step::Change { nth, visibility }),
        2 => (1..2000u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

#[derive(Debug)]
struct Modelled {
    body: String,
    visible_at: u64,
    count: u32,
    receipt: Option<Receipt>,
    dead: bool,
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    sent: usize,
    messages: Vec<Modelled>,
    receipts: Vec<Receipt>,
}

impl Model {
    fn visible(&self) -> impl Iterator<Item = &Modelled> {
        self.messages.iter().filter(|message| !message.dead && message.visible_at <= self.now)
    }

    fn depth(&self) -> Depth {
        let hidden = |received| {
            let hidden = |message: &&Modelled| {
                !message.dead && message.visible_at > self.now && message.receipt.is_some() == received
            };
            self.messages.iter().filter(hidden).count() as u64
        };
        Depth { visible: self.visible().count() as u64, in_flight: hidden(true), delayed: hidden(false) }
    }

    fn receipt(&self, nth: usize) -> Receipt {
        self.receipts.iter().rev().nth(nth).cloned().unwrap_or_else(|| Receipt("1-0".into()))
    }

    fn holder(&mut self, receipt: &Receipt) -> Option<usize> {
        self.messages.iter().position(|message| !message.dead && message.receipt.as_ref() == Some(receipt))
    }
}

async fn run(plane: &Plane, model: &mut Model, step: Step) {
    let queue = &plane.queue;
    match step {
        Step::Send { group, delay } => {
            let body = format!("m{}", model.sent);
            model.sent += 1;
            let out = Outgoing { body: body.clone(), delay: Duration::from_millis(delay), group: group.to_string() };
            assert_eq!(queue.send(&[out]).await, [Ok(())]);
            let visible_at = model.now + delay;
            model.messages.push(Modelled { body, visible_at, count: 0, receipt: None, dead: false });
        }
        Step::Receive { max, visibility } => receive(plane, model, max, visibility).await,
        Step::Delete { nth } => {
            let receipt = model.receipt(nth);
            let expected =
                model.holder(&receipt).map(|at| drop(model.messages.remove(at))).ok_or(QueueError::ReceiptExpired);
            assert_eq!(queue.delete(&[receipt]).await, [expected]);
        }
        Step::Change { nth, visibility } => {
            let receipt = model.receipt(nth);
            let now = model.now;
            let held = model.holder(&receipt).filter(|at| model.messages[*at].visible_at > now);
            let expected =
                held.map(|at| model.messages[at].visible_at = now + visibility).ok_or(QueueError::ReceiptExpired);
            assert_eq!(queue.change_visibility(&[(receipt, Duration::from_millis(visibility))]).await, [expected]);
        }
        Step::Pass { millis } => {
            advance(Duration::from_millis(millis)).await;
            model.now += millis;
        }
    }
}

async fn receive(plane: &Plane, model: &mut Model, max: usize, visibility: u64) {
    let (wait, lease) = (Duration::ZERO, Duration::from_millis(visibility));
    let alive = model.visible().filter(|message| message.count < MAX_RECEIVES).count();
    let received = plane.queue.receive(max, wait, lease, &CancellationToken::new()).await.unwrap();
    assert_eq!(received.len(), max.min(alive), "as many as are visible");
    let now = model.now;
    for body in plane.dead_bodies() {
        let message = model.messages.iter_mut().find(|message| message.body == body).expect("was sent");
        assert!(message.dead || message.count == MAX_RECEIVES && message.visible_at <= now, "{message:?}");
        message.dead = true;
    }
    for message in received {
        let fits = |held: &&mut Modelled| held.body == message.body && !held.dead && held.visible_at <= now;
        let held = model.messages.iter_mut().find(fits).expect("was sent and is visible");
        assert_eq!(message.receive_count, held.count + 1);
        (held.count, held.visible_at, held.receipt) = (held.count + 1, now + visibility, Some(message.receipt.clone()));
        model.receipts.push(message.receipt);
    }
}

struct Plane {
    dir: TempDir,
    queue: Arc<dyn Queue>,
}

impl Plane {
    fn new() -> Self {
        let (dir, queues) = fresh();
        let redrive = Redrive { max_receives: MAX_RECEIVES, dead_letter: "dlq".into() };
        Self { dir, queue: queues.queue("work", Some(redrive)).unwrap() }
    }

    /// What the dead-letter queue holds: read off the file, since a queue cannot be looked into.
    fn dead_bodies(&self) -> Vec<String> {
        let file = Connection::open(self.dir.path().join("queue.db")).unwrap();
        let mut select = file.prepare("SELECT body FROM body JOIN message USING (id) WHERE queue = 'dlq'").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

async fn check(steps: Vec<Step>) {
    let plane = Plane::new();
    let mut model = Model::default();
    for step in steps {
        run(&plane, &mut model, step).await;
        assert_eq!(plane.queue.depth().await.unwrap(), model.depth());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(steps));
    }
}
