//! Dead letters: found by one pass over the dead-letter queues.
//!
//! A queue has no look-up. A pass receives everything, shows each letter to its visitor, keeps no more of it than the
//! receipt, and makes visible again what the visitor does not take out. It holds a lock, so that two passes do not
//! hide letters from each other, and ends in time for both.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    blobs::{self, Blobs},
    envelope::{Attempt, DeadLetter, Envelope, UndecodableBody},
    ids::{JobId, StageName},
    queue::{MAX_BATCH, Queue, QueueError, Receipt},
    state::State,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use crate::plane::{Plane, Queues};

/// How long the lock and the receives of a pass hold. The pass itself ends before.
const HOLD: Duration = Duration::from_secs(300);
/// How long a pass goes on receiving.
const PASS: Duration = Duration::from_secs(240);
/// The lock's key.
const LOCK: &str = "dlq-pass";

/// A dead letter.
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) stage: StageName,
    content: DeadLetter,
}

/// What becomes of a letter that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays in its queue.
    Stays,
    /// It is deleted: it has been sent on.
    Goes,
}

impl Letter {
    fn new(stage: StageName, body: &str) -> Self {
        let content = DeadLetter::decode(body);
        let id = match &content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => envelope.id.to_string(),
            DeadLetter::Undecodable(_) | DeadLetter::Foreign(_) => JobId::derive(&[body.as_bytes()]).to_string(),
        };
        Self { id, stage, content }
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

    pub(super) fn tenant(&self) -> &str {
        self.envelope().map_or("default", |envelope| envelope.tenant.as_str())
    }

    /// The body to send to the stage again: the job with its attempts given back and its history kept, or what was
    /// not decodable, as it came.
    pub(super) async fn again(&self, blobs: &dyn Blobs, now: Timestamp) -> Result<String, CommandError> {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => {
                let job = Envelope {
                    attempt: 0,
                    crashes: 0,
                    deferrals: 0,
                    reserved: false,
                    stage_since: now,
                    dead: None,
                    ..envelope.again()
                };
                job.encode().map_err(CommandError::failed)
            }
            DeadLetter::Undecodable(letter) => match &letter.body {
                UndecodableBody::Inline(body) => Ok(body.expose().clone()),
                UndecodableBody::Stored(key) => stored(blobs, key).await,
            },
            DeadLetter::Foreign(body) => Ok(body.expose().clone()),
        }
    }
}

async fn stored(blobs: &dyn Blobs, key: &str) -> Result<String, CommandError> {
    let limit = shared::queue::MAX_BODY as u64;
    let (_, bytes) = blobs::read(blobs, key, None, limit).await.map_err(CommandError::failed)?;
    String::from_utf8(bytes.into()).map_err(|_| CommandError::failed("the stored body is not text"))
}

/// Shows every dead letter of the stages to `visit`. An interrupt ends the pass early, and cleanly.
pub(super) async fn visit(
    plane: &Plane,
    stages: &[StageName],
    mut visit: impl AsyncFnMut(&Letter) -> Result<Fate, CommandError>,
) -> Result<(), CommandError> {
    let owner = uuid::Uuid::now_v7().to_string();
    if !lock(&*plane.state, None, Some(&owner)).await? {
        return Err(CommandError::failed(
            "another pass over the dead letters is under way; try again when it has ended",
        ));
    }
    let mut held = Vec::new();
    let pass = async {
        let until = Instant::now() + PASS;
        for stage in stages {
            let Some(queues) = plane.queues.get(stage) else { continue };
            one_queue(*stage, queues, until, &mut held, &mut visit).await?;
        }
        Ok(())
    };
    let done = tokio::select! {
        done = pass => done,
        interrupt = tokio::signal::ctrl_c() => {
            Err(interrupt.map_or_else(CommandError::failed, |()| CommandError::failed("interrupted")))
        }
    };
    for (queue, receipt) in held {
        if let Err(error) = first(queue.change_visibility(&[(receipt, Duration::ZERO)]).await) {
            tracing::warn!(%error, "a dead letter stays hidden until its visibility ends");
        }
    }
    lock(&*plane.state, Some(&owner), None).await?;
    done
}

type Held = Vec<(Arc<dyn Queue>, Receipt)>;

async fn one_queue(
    stage: StageName,
    queues: &Queues,
    until: Instant,
    held: &mut Held,
    visit: &mut impl AsyncFnMut(&Letter) -> Result<Fate, CommandError>,
) -> Result<(), CommandError> {
    let never = CancellationToken::new();
    let unreadable = |error: QueueError| CommandError::failed(format!("the dead letters of {stage}: {error}"));
    loop {
        if Instant::now() >= until {
            return Err(CommandError::failed("the pass took too long; narrow it with --stage, and try again"));
        }
        let received = queues.dead.receive(MAX_BATCH, Duration::ZERO, HOLD, &never).await.map_err(unreadable)?;
        if received.is_empty() {
            return Ok(());
        }
        let from = held.len();
        held.extend(received.iter().map(|message| (Arc::clone(&queues.dead), message.receipt.clone())));
        for (i, message) in received.iter().enumerate().rev() {
            if visit(&Letter::new(stage, &message.body)).await? == Fate::Goes {
                let (queue, receipt) = held.swap_remove(from + i);
                first(queue.delete(&[receipt]).await).map_err(unreadable)?;
            }
        }
    }
}

async fn lock(state: &dyn State, from: Option<&str>, to: Option<&str>) -> Result<bool, CommandError> {
    state
        .compare_and_set(LOCK, from.map(str::as_bytes), to.map(str::as_bytes), HOLD)
        .await
        .map_err(CommandError::failed)
}

fn first(results: Vec<Result<(), QueueError>>) -> Result<(), QueueError> {
    results.into_iter().collect()
}
