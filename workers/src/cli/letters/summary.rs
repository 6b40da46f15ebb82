//! What is shown of a dead letter: never the mail, and nothing out of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    envelope::{Attempt, DeadLetter, Envelope},
    ids::{JobId, StageName, TenantId, WorkId},
};

use super::envelope;

/// Digits of a fingerprint: enough that two kinds of failure do not meet.
const FINGERPRINT: usize = 12;

/// A dead letter in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Summary {
    pub(in crate::cli) id: String,
    pub(in crate::cli) fingerprint: String,
    pub(in crate::cli) stage: String,
    pub(in crate::cli) class: String,
    pub(in crate::cli) reason: String,
    /// When the fleet gave it up; unknown where the queue itself moved it.
    pub(in crate::cli) at: Option<Timestamp>,
    pub(in crate::cli) mail: Option<WorkId>,
    pub(in crate::cli) tenant: String,
    pub(in crate::cli) branch: String,
    pub(in crate::cli) attempts: u32,
    pub(in crate::cli) first_seen: Option<Timestamp>,
    pub(in crate::cli) trace: Option<String>,
    /// Where the raw mail is.
    pub(in crate::cli) raw: Option<Place>,
    pub(in crate::cli) history: Vec<Attempt>,
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) bucket: String,
    pub(in crate::cli) key: String,
}

impl Summary {
    pub(super) fn of(stage: StageName, id: String, content: &DeadLetter) -> Self {
        let (class, reason, at) = why(content);
        let envelope = envelope(content);
        let branch = envelope.map(|e| e.branch.clone()).unwrap_or_default();
        Self {
            id,
            fingerprint: fingerprint(stage.0, &branch, class, reason),
            stage: stage.to_string(),
            class: class.to_owned(),
            reason: reason.to_owned(),
            at,
            mail: envelope.map(|e| e.work.clone()),
            tenant: envelope.map_or_else(TenantId::default_tenant, |e| e.tenant.clone()).to_string(),
            branch,
            attempts: envelope.map_or(0, |e| e.attempt + 1),
            first_seen: envelope.map(|e| e.first_seen),
            trace: envelope.map(|e| e.trace.trace_id().to_owned()),
            raw: envelope.and_then(raw),
            history: envelope.map(|e| e.history.clone()).unwrap_or_default(),
        }
    }

    /// Since when it is dead, or for how long it has been on its way at least.
    pub(in crate::cli) fn since(&self) -> Option<Timestamp> {
        self.at.or(self.first_seen)
    }
}

/// What kind of failure it is: the same stage, destination, class and reason have the same one, in every build.
pub(super) fn fingerprint(stage: &str, branch: &str, class: &str, reason: &str) -> String {
    let mut kind = vec![stage.as_bytes(), class.as_bytes(), reason.as_bytes()];
    if !branch.is_empty() {
        kind.push(branch.as_bytes());
    }
    let mut digits = JobId::derive(&kind).to_string();
    digits.truncate(FINGERPRINT);
    digits
}

fn why(content: &DeadLetter) -> (&str, &str, Option<Timestamp>) {
    let dead = match content {
        DeadLetter::Job(envelope) => envelope.dead.as_ref(),
        DeadLetter::Undecodable(letter) => Some(&letter.dead),
        DeadLetter::WorkerDied(_) => {
            return ("worker_died", "received too often without an end: its worker died each time", None);
        }
        DeadLetter::Foreign(_) => return ("foreign", "moved here by the queue itself, and not a job", None),
    };
    dead.map_or(("unknown", "", None), |dead| (&dead.class, &dead.reason, Some(dead.at)))
}

/// Where a job of whichever stage says that the raw mail is.
fn raw(envelope: &Envelope) -> Option<Place> {
    #[derive(Deserialize)]
    struct Job {
        source: Option<Place>,
        mail: Option<Announced>,
    }
    #[derive(Deserialize)]
    struct Announced {
        stored: Option<Place>,
    }
    let job: Job = envelope.job().ok()?;
    job.source.or(job.mail.and_then(|mail| mail.stored))
}
