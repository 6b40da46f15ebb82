//! From what became of a run to what has to happen: [`decide`] is pure, [`Settler::apply`] does it.
//!
//! An effect happens before its acknowledgement: durable records, then sends, then the delete, and the delete
//! only when everything before it was accepted. A crash in between makes a duplicate, never a loss.

mod apply;
mod decide;
mod pack;
mod record;

pub use apply::{SettleError, Settler, StageQueues};
pub use decide::{Facts, adopted, decide, undecodable};
pub use pack::packed;
pub use record::{DEAD_LETTERED, EndRecord, QuarantineRecord, REQUEUED, end_key, ends_prefix, quarantine_key};

use crate::{
    blobs::Condition,
    ids::StageName,
    outcome::{Event, Failure, Outcome},
    queue::Outgoing,
};

/// What became of a received job.
#[derive(Debug)]
pub enum Ran {
    /// The stage returned an outcome.
    Finished(Outcome),
    /// The stage returned a failure.
    Failed(Failure),
    /// The run did not end within the policy's deadline.
    Deadline,
    /// The stage panicked.
    Panicked,
    /// Its time has not come: it is a deferral on its way through the queue's longest delay.
    Early,
    /// It may have killed a worker before, and another such job is running here.
    Suspect,
    /// There was no room in the process's byte budget for as long as a run may take.
    NoRoom,
    /// An earlier receive of it came to that end already, and died before its delete.
    Ended(Box<EndRecord>),
    /// It took its worker down too often.
    Crashed,
    /// The process had to stop while it ran.
    Drained,
    /// The process had to stop before it ran.
    NotStarted,
    /// What it came to could not be recorded or sent in time.
    Unsettled,
    /// The lease was lost: somebody else has it now.
    LeaseLost,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The queue of a stage.
    Work(StageName),
    /// The dead-letter queue of a stage.
    Dead(StageName),
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Where to.
    pub to: Target,
    /// What.
    pub message: Outgoing,
}

/// A durable record to write. `Debug` leaves out its body, which may hold content.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key in the store.
    pub key: String,
    /// Its content.
    pub body: Vec<u8>,
    /// Whether it takes the place of what is there.
    pub condition: Condition,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("key", &self.key).field("bytes", &self.body.len()).finish()
    }
}

/// What happens to the received message at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is deleted.
    Delete,
    /// It is made visible again at once.
    Release,
    /// Nothing: it is not ours any more.
    Nothing,
}

/// Everything that has to happen, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// First: durable records.
    pub records: Vec<Object>,
    /// Then: sends.
    pub sends: Vec<Send>,
    /// At last, if all went well: the message itself.
    pub then: Then,
    /// Told once it is done.
    pub events: Vec<Event>,
    /// The outcome's name, from a bounded set.
    pub label: &'static str,
    /// The kind of failure or deferral, from a bounded set; empty for none.
    pub class: &'static str,
    /// Why, for the log.
    pub reason: String,
}

#[cfg(test)]
mod tests;
