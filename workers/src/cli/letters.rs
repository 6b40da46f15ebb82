//! Dead letters: found by one pass over the dead-letter queues.
//!
//! A queue has no look-up. A pass receives everything, keeps what is asked for and makes the rest visible again;
//! it holds a lock, so that two passes do not hide letters from each other.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    envelope::{Attempt, DeadLetter, Envelope, UndecodableBody},
    ids::{JobId, StageName},
    queue::{MAX_BATCH, Queue, QueueError, Received},
    state::State,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use crate::plane::Plane;

/// How long a pass may take, and its lock and its receives hold.
const PASS: Duration = Duration::from_secs(300);
/// The lock's key.
const LOCK: &str = "dlq-pass";

/// A dead letter, and the hold on it.
pub(super) struct Letter {
    pub(super) stage: StageName,
    pub(super) content: DeadLetter,
    pub(super) body: String,
    received: Received,
}

impl Letter {
    fn new(stage: StageName, received: Received) -> Self {
        let body = received.body.clone();
        Self { stage, content: DeadLetter::decode(&body), body, received }
    }

    /// Names the letter: the job's id, or one made of the body.
    pub(super) fn id(&self) -> String {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => envelope.id.to_string(),
            DeadLetter::Undecodable(_) | DeadLetter::Foreign(_) => JobId::derive(&[self.body.as_bytes()]).to_string(),
        }
    }

    pub(super) const fn envelope(&self) -> Option<&Envelope> {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => Some(&**envelope),
            DeadLetter::Undecodable(_) | DeadLetter::Foreign(_) => None,
        }
    }

    pub(super) fn class(&self) -> &str {
        match &self.content {
            DeadLetter::Job(envelope) => envelope.dead.as_ref().map_or("unknown", |dead| &dead.class),
            DeadLetter::WorkerDied(_) => "worker_died",
            DeadLetter::Undecodable(letter) => &letter.dead.class,
            DeadLetter::Foreign(_) => "foreign",
        }
    }

    pub(super) fn reason(&self) -> &str {
        match &self.content {
            DeadLetter::Job(envelope) => envelope.dead.as_ref().map_or("", |dead| &dead.reason),
            DeadLetter::WorkerDied(_) => "received too often without an end: its worker died each time",
            DeadLetter::Undecodable(letter) => &letter.dead.reason,
            DeadLetter::Foreign(_) => "moved here by the queue itself, and not a job",
        }
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        match &self.content {
            DeadLetter::Job(envelope) => envelope.dead.as_ref().map(|dead| dead.at),
            DeadLetter::Undecodable(letter) => Some(letter.dead.at),
            DeadLetter::WorkerDied(_) | DeadLetter::Foreign(_) => None,
        }
    }

    pub(super) fn history(&self) -> &[Attempt] {
        self.envelope().map_or(&[], |envelope| &envelope.history)
    }

    /// The body to send to the stage again: the job with its attempts given back and its history kept, or what was
    /// not decodable, as it came.
    pub(super) fn again(&self, now: Timestamp) -> Result<Option<String>, CommandError> {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => {
                let job = Envelope { attempt: 0, crashes: 0, stage_since: now, dead: None, ..envelope.again() };
                job.encode().map(Some).map_err(CommandError::failed)
            }
            DeadLetter::Undecodable(letter) => match &letter.body {
                UndecodableBody::Inline(body) => Ok(Some(body.clone())),
                UndecodableBody::Stored(_) => Ok(None),
            },
            DeadLetter::Foreign(body) => Ok(Some(body.clone())),
        }
    }

    pub(super) fn tenant(&self) -> &str {
        self.envelope().map_or("default", |envelope| envelope.tenant.as_str())
    }
}

/// A pass over the dead-letter queues that holds what it received.
pub(super) struct Pass {
    plane: Plane,
    owner: String,
    held: Vec<Letter>,
}

impl Pass {
    /// Receives every dead letter of the stages.
    pub(super) async fn over(plane: &Plane, stages: &[StageName]) -> Result<Self, CommandError> {
        let owner = uuid::Uuid::now_v7().to_string();
        if !lock(&*plane.state, None, Some(&owner)).await? {
            return Err(CommandError::failed(
                "another pass over the dead letters is under way; try again when it has ended",
            ));
        }
        let mut pass = Self { plane: plane.clone(), owner, held: Vec::new() };
        for stage in stages {
            if let Err(error) = pass.receive(*stage).await {
                pass.end().await?;
                return Err(CommandError::failed(format!("the dead letters of {stage} cannot be read: {error}")));
            }
        }
        Ok(pass)
    }

    pub(super) fn letters(&self) -> &[Letter] {
        &self.held
    }

    /// Takes a letter out of the pass and its queue for good.
    pub(super) async fn delete(&mut self, letter: usize) -> Result<(), CommandError> {
        let letter = self.held.swap_remove(letter);
        let queue = self.queue(letter.stage)?;
        first(queue.delete(&[letter.received.receipt]).await)
    }

    /// Makes what is still held visible again.
    pub(super) async fn end(mut self) -> Result<(), CommandError> {
        for letter in std::mem::take(&mut self.held) {
            let queue = self.queue(letter.stage)?;
            match first(queue.change_visibility(&[(letter.received.receipt, Duration::ZERO)]).await) {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "a dead letter stays hidden until its visibility ends"),
            }
        }
        lock(&*self.plane.state, Some(&self.owner), None).await.map(drop)
    }

    async fn receive(&mut self, stage: StageName) -> Result<(), QueueError> {
        let Ok(queue) = self.queue(stage) else { return Ok(()) };
        let (until, never) = (Instant::now() + PASS / 2, CancellationToken::new());
        while Instant::now() < until {
            let received = queue.receive(MAX_BATCH, Duration::ZERO, PASS, &never).await?;
            if received.is_empty() {
                break;
            }
            self.held.extend(received.into_iter().map(|message| Letter::new(stage, message)));
        }
        Ok(())
    }

    fn queue(&self, stage: StageName) -> Result<Arc<dyn Queue>, CommandError> {
        let queues = self.plane.queues.get(&stage);
        queues.map(|q| Arc::clone(&q.dead)).ok_or_else(|| CommandError::failed(format!("{stage} has no queue")))
    }
}

async fn lock(state: &dyn State, from: Option<&str>, to: Option<&str>) -> Result<bool, CommandError> {
    state
        .compare_and_set(LOCK, from.map(str::as_bytes), to.map(str::as_bytes), PASS)
        .await
        .map_err(CommandError::failed)
}

fn first(results: Vec<Result<(), QueueError>>) -> Result<(), CommandError> {
    results.into_iter().collect::<Result<(), _>>().map_err(CommandError::failed)
}
