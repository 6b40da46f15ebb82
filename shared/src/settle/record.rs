//! The durable facts that a settlement writes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    audit,
    envelope::{Attempt, Envelope},
    ids::{StageName, TenantId, TraceParent, WorkId},
    outcome::End,
};

/// How a branch of a piece of work ended: one object a branch, and the audit trail that led there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// The piece of work (the mail id).
    pub work: WorkId,
    /// Whose it is.
    pub tenant: TenantId,
    /// `delivered`, `quarantined`, `rejected`, `dropped` or `dead_lettered`; or [`REQUEUED`], which is the end of a dead
    /// letter that was sent back, and none of its work.
    pub end: String,
    /// The destination, of a delivery or of a dead letter on its way to one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The kind of failure, of a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The stage that ended it.
    pub stage: String,
    /// When the work was first seen.
    pub first_seen: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// Runs at the last stage, this one included.
    pub attempts: u32,
    /// The trace.
    pub trace: TraceParent,
    /// What went wrong on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// What was decided on the way.
    pub audit: Vec<audit::Record>,
}

/// The [`EndRecord::end`] of a dead letter.
pub const DEAD_LETTERED: &str = "dead_lettered";
/// The [`EndRecord::end`] of a dead letter that is on its way again: its branch is open, and its next end takes the place.
pub const REQUEUED: &str = "requeued";

/// A quarantined piece of work: kept until somebody decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// Why.
    pub reason: String,
    /// The stage that quarantined it.
    pub stage: String,
    /// When.
    pub at: Timestamp,
    /// The job as it was, so that a release can take it up again.
    pub job: Envelope,
}

/// The key of a branch's [`EndRecord`].
#[must_use]
pub fn end_key(work: &WorkId, stage: StageName, branch: &str) -> String {
    let dot = if branch.is_empty() { "" } else { "." };
    format!("{}{stage}{dot}{branch}", ends_prefix(work))
}

/// The keys of all [`EndRecord`]s of a piece of work start with this.
#[must_use]
pub fn ends_prefix(work: &WorkId) -> String {
    format!("ends/{work}/")
}

/// The key of a [`QuarantineRecord`].
#[must_use]
pub fn quarantine_key(work: &WorkId) -> String {
    format!("quarantine/{work}")
}

impl EndRecord {
    /// The record of an end that a stage returned.
    pub(super) fn of_end(envelope: &Envelope, stage: StageName, end: &End, now: Timestamp) -> Self {
        let reason = match end {
            End::Delivered { .. } => None,
            End::Quarantined { reason } | End::Rejected { reason } | End::Dropped { reason } => {
                Some(reason.to_string())
            }
        };
        Self { reason, ..Self::new(envelope, stage, end.name(), now) }
    }

    /// The record of a dead letter that is sent back.
    #[must_use]
    pub fn of_requeue(envelope: &Envelope, stage: StageName, now: Timestamp) -> Self {
        Self::new(envelope, stage, REQUEUED, now)
    }

    /// The record of a dead letter.
    #[must_use]
    pub fn of_dead(envelope: &Envelope, stage: StageName, class: &str, reason: &str, now: Timestamp) -> Self {
        let (class, reason) = (Some(class.to_owned()), Some(reason.to_owned()));
        Self { class, reason, ..Self::new(envelope, stage, DEAD_LETTERED, now) }
    }

    fn new(envelope: &Envelope, stage: StageName, end: &str, now: Timestamp) -> Self {
        Self {
            work: envelope.work.clone(),
            tenant: envelope.tenant.clone(),
            end: end.to_owned(),
            branch: envelope.branch.clone(),
            class: None,
            reason: None,
            stage: stage.0.to_owned(),
            first_seen: envelope.first_seen,
            at: now,
            attempts: envelope.attempt + 1,
            trace: envelope.trace.clone(),
            history: envelope.history.clone(),
            audit: envelope.audit.clone(),
        }
    }
}
