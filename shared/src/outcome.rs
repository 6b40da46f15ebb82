//! What a stage returns: what should happen to the job. The runner makes it happen.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    audit::Note,
    ids::{StageName, WorkId},
};

/// Text for people, made of our own words: never a value from the work itself.
pub type Reason = Cow<'static, str>;

/// An end of a branch of a piece of work. Dead letters are the runner's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    /// A destination has it.
    Delivered {
        /// The destination's name.
        destination: String,
    },
    /// Kept aside, as a record in the store, until somebody decides.
    Quarantined {
        /// Why.
        reason: Reason,
    },
    /// Refused by an explicit rule or policy.
    Rejected {
        /// Why, and by which rule.
        reason: Reason,
    },
    /// Left aside by an explicit rule.
    Dropped {
        /// Why, and by which rule.
        reason: Reason,
    },
}

impl End {
    /// The end's name: a metric label, and what people see.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Quarantined { .. } => "quarantined",
            Self::Rejected { .. } => "rejected",
            Self::Dropped { .. } => "dropped",
        }
    }
}

/// A job for another stage.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Which stage.
    pub to: StageName,
    /// What tells it from the other jobs of the same work at that stage; empty where there is only one.
    pub branch: String,
    /// The job in that stage's form.
    pub job: Box<RawValue>,
}

/// Something worth telling, beside the end itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Such as `mail.quarantined`: a bounded set.
    pub name: &'static str,
    /// Details from our own vocabulary.
    pub detail: BTreeMap<&'static str, String>,
}

/// What a stage made of a job. It has at least an end or a hop.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(crate) end: Option<End>,
    pub(crate) hops: Vec<Hop>,
    pub(crate) events: Vec<Event>,
    pub(crate) audit: Vec<Note>,
    pub(crate) work: Option<WorkId>,
}

impl Outcome {
    /// The branch ends here.
    #[must_use]
    pub const fn end(end: End) -> Self {
        Self { end: Some(end), hops: Vec::new(), events: Vec::new(), audit: Vec::new(), work: None }
    }

    /// The work goes on at another stage.
    #[must_use]
    pub fn hop(hop: Hop) -> Self {
        Self { end: None, hops: vec![hop], events: Vec::new(), audit: Vec::new(), work: None }
    }

    /// Says which piece of work it is, where only the run could tell: several announcements may be of the same.
    #[must_use]
    pub fn identified_as(mut self, work: WorkId) -> Self {
        self.work = Some(work);
        self
    }

    /// Adds another hop.
    #[must_use]
    pub fn and_hop(mut self, hop: Hop) -> Self {
        self.hops.push(hop);
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn with_event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds a note to the audit trail.
    #[must_use]
    pub fn with_note(mut self, note: Note) -> Self {
        self.audit.push(note);
        self
    }
}

/// Why a job has no outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work at another try; an attempt is counted.
    Retry {
        /// The kind of failure, from a bounded set.
        class: &'static str,
        /// What happened.
        reason: Reason,
        /// How long to wait; `None` for the policy's backoff.
        after: Option<Duration>,
    },
    /// It is not its turn yet; no attempt is counted.
    Defer {
        /// What it waits for, from a bounded set.
        class: &'static str,
        /// Why.
        reason: Reason,
        /// When to look again. A turn that is reserved then is in [`crate::stage::Context::turns`].
        until: Timestamp,
    },
    /// No further try can help.
    Permanent {
        /// The kind of failure, from a bounded set.
        class: &'static str,
        /// What happened.
        reason: Reason,
    },
}

impl Failure {
    /// A failure that another try may mend.
    pub fn retry(class: &'static str, reason: impl Into<Reason>) -> Self {
        Self::Retry { class, reason: reason.into(), after: None }
    }

    /// A failure that no further try can mend.
    pub fn permanent(class: &'static str, reason: impl Into<Reason>) -> Self {
        Self::Permanent { class, reason: reason.into() }
    }

    /// A wait for something outside.
    pub fn defer(class: &'static str, reason: impl Into<Reason>, until: Timestamp) -> Self {
        Self::Defer { class, reason: reason.into(), until }
    }
}
