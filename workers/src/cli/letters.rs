//! Dead letters, as the desk handles them.
//!
//! A queue has no look-up: letters are found by a pass over the dead-letter queues (`pass`), which leaves an index of
//! what it saw (`index`). Neither a summary nor the index ever holds a mail or a job.

mod ends;
mod groups;
mod index;
mod lock;
mod pass;
mod snapshot;
mod summary;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    blobs::{self, Blobs},
    envelope::{Attempt, Carried, DeadLetter, Envelope, UndecodableBody},
    ids::{JobId, StageName},
    settle::packed,
    stage::Held,
};

pub(in crate::cli) use self::{
    ends::{closed, reopened},
    groups::Group,
    index::Index,
    pass::{Fate, Over, Terms, interrupts, pass},
    snapshot::{Need, snapshot},
    summary::{Place, Summary},
};
use super::{error::CommandError, output};

/// A dead letter.
#[derive(Debug)]
pub(in crate::cli) struct Letter {
    pub(in crate::cli) stage: StageName,
    pub(in crate::cli) summary: Summary,
    content: DeadLetter,
}

impl Letter {
    fn new(stage: StageName, body: &str) -> Self {
        let content = DeadLetter::decode(body);
        Self { stage, summary: Summary::of(stage, id(&content), &content), content }
    }

    /// The letter in a body, with a job that is stored apart. One that cannot be read is left where it is: the letter
    /// can still be listed, sent back and deleted.
    pub(in crate::cli) async fn open(stage: StageName, body: &str, blobs: &dyn Blobs) -> Self {
        let mut letter = Self::new(stage, body);
        let (DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope)) = &mut letter.content else { return letter };
        if !matches!(envelope.job, Carried::Stored(_)) {
            return letter;
        }
        if let Err(error) = envelope.load(blobs).await {
            output::note(format_args!("the job of letter {}: {error}", letter.summary.id));
        }
        letter.summary = Summary::of(stage, letter.summary.id, &letter.content);
        letter
    }

    /// The job's envelope, if the letter is a job.
    pub(in crate::cli) const fn envelope(&self) -> Option<&Envelope> {
        envelope(&self.content)
    }

    /// The body to send to the stage again: the job with its attempts given back and its history kept, or what was
    /// not decodable, as it came.
    pub(in crate::cli) async fn again(&self, blobs: &dyn Blobs, now: Timestamp) -> Result<String, CommandError> {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => {
                let (body, stored) = packed(&self.fresh(envelope, now)).map_err(CommandError::failed)?;
                if let Some(claim) = stored {
                    blobs.put(&claim.key, claim.body.into(), claim.condition).await.map_err(CommandError::failed)?;
                }
                Ok(body)
            }
            DeadLetter::Undecodable(letter) => match &letter.body {
                UndecodableBody::Inline(body) => Ok(body.expose().clone()),
                UndecodableBody::Stored(key) => stored(blobs, key).await,
            },
            DeadLetter::Foreign(body) => Ok(body.expose().clone()),
        }
    }

    fn fresh(&self, envelope: &Envelope, now: Timestamp) -> Envelope {
        let mut job = Envelope {
            attempt: 0,
            crashes: 0,
            deferrals: 0,
            turns: Held::new(),
            stage_since: now,
            dead: None,
            ..envelope.again()
        };
        job.remember(Attempt {
            at: now,
            stage: self.stage.to_string(),
            class: "requeued".to_owned(),
            reason: format!("sent back from the dead letters, where it was as {}", self.summary.class),
        });
        job
    }

    /// The letter without what may hold content.
    pub(in crate::cli) fn bare(&self) -> Value {
        let mut letter = json!(self.summary);
        if let (Some(envelope), Some(fields)) = (self.envelope(), letter.as_object_mut()) {
            let mut envelope = json!(envelope);
            envelope.as_object_mut().and_then(|fields| fields.remove("job"));
            fields.insert("envelope".to_owned(), envelope);
        }
        letter
    }

    /// What may hold content: the job, or the body that was none.
    pub(in crate::cli) async fn content(&self, blobs: &dyn Blobs) -> Result<Value, CommandError> {
        match &self.content {
            DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => {
                envelope.job().map_err(CommandError::failed)
            }
            DeadLetter::Undecodable(_) | DeadLetter::Foreign(_) => {
                self.again(blobs, Timestamp::UNIX_EPOCH).await.map(Value::String)
            }
        }
    }
}

const fn envelope(content: &DeadLetter) -> Option<&Envelope> {
    match content {
        DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => Some(&**envelope),
        DeadLetter::Undecodable(_) | DeadLetter::Foreign(_) => None,
    }
}

/// A job's own id; of a body that is no job, what its bytes make. Both outlive a way back and another failure.
fn id(content: &DeadLetter) -> String {
    let of_body = |body: &str| JobId::derive(&[body.as_bytes()]).to_string();
    match content {
        DeadLetter::Job(envelope) | DeadLetter::WorkerDied(envelope) => envelope.id.to_string(),
        DeadLetter::Undecodable(letter) => match &letter.body {
            UndecodableBody::Inline(body) => of_body(body.expose()),
            // It is stored under that same id.
            UndecodableBody::Stored(key) => key.rsplit('/').next().unwrap_or_default().to_owned(),
        },
        DeadLetter::Foreign(body) => of_body(body.expose()),
    }
}

async fn stored(blobs: &dyn Blobs, key: &str) -> Result<String, CommandError> {
    let limit = shared::queue::MAX_BODY as u64;
    let (_, bytes) = blobs::read(blobs, key, None, limit).await.map_err(CommandError::failed)?;
    String::from_utf8(bytes.into()).map_err(|_| CommandError::failed("the stored body is not text"))
}
