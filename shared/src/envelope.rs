//! The job on the wire.
//!
//! A queue's body cannot be changed, so whatever has to be remembered is a re-send of a changed envelope. The
//! envelope alone counts attempts and carries the history.

mod carried;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    audit,
    ids::{JobId, StageName, TenantId, TraceParent, WorkId},
    pii::Pii,
    stage::Held,
};

pub use self::carried::{Carried, MAX_JOB, StoredJob};

/// The wire version that this build writes and reads.
pub const VERSION: u16 = 1;
/// How many past attempts an envelope carries; older ones are left out.
pub const MAX_HISTORY: usize = 20;

/// A job on its way to a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// The wire version, [`VERSION`].
    pub version: u16,
    /// The job: the same through retries and deferrals.
    pub id: JobId,
    /// What tells it from the other jobs of the same work at this stage (a destination); empty where there is one only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// Counts re-sends of this job, so that a copy can be told from its successor.
    pub generation: u32,
    /// The piece of work that it belongs to (the mail id).
    pub work: WorkId,
    /// Whose work it is.
    pub tenant: TenantId,
    /// Runs that failed so far.
    pub attempt: u32,
    /// Receives of earlier copies that ended without a word: their worker died, or lost them.
    pub crashes: u32,
    /// When the work was first seen by the fleet.
    pub first_seen: Timestamp,
    /// When the job came to this stage.
    pub stage_since: Timestamp,
    /// Deferrals at this stage since it last made progress.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferrals: u32,
    /// Not to be run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The limits that have charged this job at this stage: they do not charge it again.
    #[serde(default, skip_serializing_if = "Held::is_empty")]
    pub turns: Held,
    /// The trace it belongs to.
    pub trace: TraceParent,
    /// The latest failures and deferrals, oldest first; at most [`MAX_HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// What was decided so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<audit::Record>,
    /// What the stage is to do.
    pub job: Carried,
    /// Why it is a dead letter; absent on a live job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Dead>,
}

/// Something that happened to a job without ending it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// At which stage.
    pub stage: String,
    /// The kind of failure, from a bounded set.
    pub class: String,
    /// What happened, without personal data.
    pub reason: String,
}

/// Why a job is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// When it was given up.
    pub at: Timestamp,
    /// By which stage.
    pub stage: String,
    /// The kind of failure, from a bounded set.
    pub class: String,
    /// What happened, without personal data.
    pub reason: String,
}

/// Why a body is no envelope. Carries positions, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not of an envelope's form.
    #[error("not an envelope: {kind} error at line {line}, column {column}")]
    Malformed {
        /// `syntax`, `data` or `eof`.
        kind: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The job is an object that was not read yet.
    #[error("the job is stored apart")]
    Apart,
    /// A version that this build does not read.
    #[error("envelope version {0} is not one this build reads ({VERSION})")]
    Version(u16),
}

impl From<&serde_json::Error> for DecodeError {
    fn from(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Data => "data",
            serde_json::error::Category::Eof => "eof",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "syntax",
        };
        Self::Malformed { kind, line: error.line(), column: error.column() }
    }
}

/// What a new job starts from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The piece of work.
    pub work: WorkId,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it was first seen.
    pub first_seen: Timestamp,
}

impl Envelope {
    /// The first job of a piece of work.
    #[must_use]
    pub fn first(origin: Origin, stage: StageName, job: Box<RawValue>) -> Self {
        Self {
            version: VERSION,
            id: job_id(&origin.work, stage, ""),
            branch: String::new(),
            generation: 0,
            work: origin.work,
            tenant: origin.tenant,
            attempt: 0,
            crashes: 0,
            first_seen: origin.first_seen,
            stage_since: origin.first_seen,
            deferrals: 0,
            not_before: None,
            turns: Held::new(),
            trace: TraceParent::random(),
            history: Vec::new(),
            audit: Vec::new(),
            job: Carried::Inline(job.into()),
            dead: None,
        }
    }

    /// The job that follows this one at another stage.
    #[must_use]
    pub fn next(&self, stage: StageName, branch: &str, job: Box<RawValue>, now: Timestamp) -> Self {
        Self {
            id: job_id(&self.work, stage, branch),
            branch: branch.to_owned(),
            generation: 0,
            attempt: 0,
            crashes: 0,
            stage_since: now,
            deferrals: 0,
            not_before: None,
            turns: Held::new(),
            history: Vec::new(),
            job: Carried::Inline(job.into()),
            dead: None,
            ..self.clone()
        }
    }

    /// The same job, to be sent again: no attempt is counted.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { generation: self.generation + 1, not_before: None, ..self.clone() }
    }

    /// Adds to the history, dropping the oldest beyond [`MAX_HISTORY`].
    pub fn remember(&mut self, attempt: Attempt) {
        if self.history.len() >= MAX_HISTORY {
            self.history.drain(..=self.history.len() - MAX_HISTORY);
        }
        self.history.push(attempt);
    }

    /// Reads a queue's body.
    ///
    /// # Errors
    /// When it is no envelope of this version.
    pub fn decode(body: &str) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let versioned: Versioned = serde_json::from_str(body).map_err(|e| DecodeError::from(&e))?;
        if versioned.version != VERSION {
            return Err(DecodeError::Version(versioned.version));
        }
        serde_json::from_str(body).map_err(|e| DecodeError::from(&e))
    }

    /// The stage's own form of the job.
    ///
    /// # Errors
    /// When it is not of that form, or stored and not loaded.
    pub fn job<J: DeserializeOwned>(&self) -> Result<J, DecodeError> {
        let Carried::Inline(job) = &self.job else { return Err(DecodeError::Apart) };
        serde_json::from_str(job.expose().get()).map_err(|e| DecodeError::from(&e))
    }

    /// The queue's body. It may be too long for a message: [`crate::settle::packed`] sees to that.
    ///
    /// # Errors
    /// Never for an envelope that was built from valid parts; the error is the serialiser's.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        body(self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A queue's body: JSON in the characters that SQS takes, which are those of XML 1.0.
///
/// JSON always escapes the control characters, but may hold U+FFFE and U+FFFF as they are; here they are escaped too.
/// To a reader nothing differs.
///
/// # Errors
/// The serialiser's.
pub fn body<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(value)?;
    if !json.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Ok(json);
    }
    Ok(json.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff"))
}

/// A job's identity follows from what it does, so that two announcements or a repeated hop make the same job.
fn job_id(work: &WorkId, stage: StageName, branch: &str) -> JobId {
    JobId::derive(&[work.as_str().as_bytes(), stage.0.as_bytes(), branch.as_bytes()])
}

/// A body that could not be decoded, as it lies in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecodable {
    /// The wire version, [`VERSION`].
    pub version: u16,
    /// Why.
    pub dead: Dead,
    /// The body.
    pub body: UndecodableBody,
}

/// Where the undecodable body is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndecodableBody {
    /// Here.
    Inline(Pii<String>),
    /// Too large to wrap: the key of the object that holds it.
    Stored(String),
}

/// What a message in a dead-letter queue is.
#[derive(Debug, Clone)]
pub enum DeadLetter {
    /// A job that the fleet gave up; [`Envelope::dead`] is set.
    Job(Box<Envelope>),
    /// A body that was no job.
    Undecodable(Undecodable),
    /// Moved here by the queue itself after too many receives: its worker died each time.
    WorkerDied(Box<Envelope>),
    /// Moved here by the queue itself, and not a job.
    Foreign(Pii<String>),
}

impl DeadLetter {
    /// Reads a dead-letter queue's body.
    #[must_use]
    pub fn decode(body: &str) -> Self {
        match Envelope::decode(body) {
            Ok(envelope) if envelope.dead.is_some() => Self::Job(Box::new(envelope)),
            Ok(envelope) => Self::WorkerDied(Box::new(envelope)),
            Err(_) => match serde_json::from_str(body) {
                Ok(undecodable) => Self::Undecodable(undecodable),
                Err(_) => Self::Foreign(body.to_owned().into()),
            },
        }
    }
}
