//! The limiter port: rates by the generic cell rate algorithm (GCRA) with reservations, and slots with leases.
//!
//! What exceeds a rate is not refused but told when its turn is, and that turn is reserved: it is not
//! charged again when it comes back then, so that many deferred jobs drain in order at the declared rate. A slot is
//! held for as long as a job runs, and by a lease, so that a dead holder's comes back.
//!
//! A request is answered as a whole: everything in it is charged and taken, or nothing.
//! One conformance suite (`conformance`) runs over every implementation.

#[cfg(test)]
pub mod conformance;
mod gcra;
pub mod guarded;
mod line;
pub mod local;
mod rate;
pub mod redis;
pub mod sqlite;

use std::{fmt, num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

pub use self::{
    guarded::{OnError, Share},
    rate::{Rate, RateSyntax},
};

/// A wish to pass `cost` units under one limit's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The limit's name and the keyed subject. Never an address in the clear: it may be stored elsewhere.
    pub key: String,
    /// The rate.
    pub rate: Rate,
    /// Units to pass.
    pub cost: NonZeroU32,
    /// Whether its turn counts. Otherwise it is charged while it fits, and only said to be over.
    pub enforce: bool,
    /// What to do when the limiter does not answer.
    pub on_error: OnError,
}

impl Charge {
    /// An enforced charge that waits for the limiter.
    pub fn new(key: impl Into<String>, rate: Rate, cost: NonZeroU32) -> Self {
        Self { key: key.into(), rate, cost, enforce: true, on_error: OnError::Defer }
    }
}

/// A wish to be one of at most `limit` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// As of a [`Charge`]; a slot and a charge of one key do not touch.
    pub key: String,
    /// How many may hold one.
    pub limit: NonZeroU32,
    /// Whether it is waited for. Otherwise it is taken while there is one, and only said to be full.
    pub enforce: bool,
    /// What to do when the limiter does not answer.
    pub on_error: OnError,
}

/// Who holds slots, and for how long unless renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Unique to a run.
    pub id: String,
    /// After that a slot that was not renewed is free again.
    pub lease: Duration,
}

/// What a job needs before it may go on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// All of these.
    pub charges: &'a [Charge],
    /// And these.
    pub slots: &'a [Slot],
    /// Who takes the slots.
    pub holder: &'a Holder,
    /// The longest wait that is reserved.
    pub longest: Duration,
    /// Only asks: nothing is charged, reserved or taken.
    pub trial: bool,
}

/// When a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now: it is charged, and the slots are held.
    Now,
    /// At that time, which is reserved and already charged: do not ask again then. No slot is held.
    At(Timestamp),
    /// Later than the longest wait that was asked for; nothing is charged or reserved. The time says when a
    /// new request could be granted within it.
    TooLate(Timestamp),
    /// When a slot is given back; nothing is charged or taken. The time says when to look for one: who finds none is given a
    /// place in a line, about when one will be free for it.
    Full(Timestamp),
}

/// An answer, as a whole and for each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The latest of the enforced charges' turns.
    pub turn: Turn,
    /// The wait of each charge, in their order; zero passes.
    pub waits: Vec<Duration>,
    /// Whether each slot's limit is reached, in their order.
    pub full: Vec<bool>,
}

/// Why the limiter could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limiter unavailable: {0}")]
pub struct LimitError(pub String);

/// A rate limiter.
///
/// - A cost above the rate's burst waits until the key is idle, as if the burst were that cost, and then holds
///   the key for as long as its cost takes.
/// - With several charges each key is charged in its own time line, from now on: one key's far-away turn does not
///   stall everyone who shares another.
/// - A key that comes with another rate goes on from where it is, at the new rate.
/// - What was granted after its caller had stopped waiting is given back. After a lost connection it is unknown whether
///   a request was granted.
#[async_trait]
pub trait Limiter: Send + Sync + fmt::Debug {
    /// Grants all of a request or nothing.
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LimitError>;

    /// Extends the leases of slots, from now on. One that had run out is taken again, whoever has come since.
    async fn renew(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError>;

    /// Gives slots back that were held for so long. One that is not held any more is what is wanted.
    async fn release(&self, slots: &[String], holder: &Holder, held: Duration) -> Result<(), LimitError>;

    /// Forgets everything about keys: they are idle and free.
    async fn forget(&self, keys: &[String]) -> Result<(), LimitError>;

    /// A request of charges alone.
    async fn acquire(&self, charges: &[Charge], longest: Duration) -> Result<Turn, LimitError> {
        let holder = Holder { id: String::new(), lease: Duration::ZERO };
        Ok(self.ask(&Request { charges, slots: &[], holder: &holder, longest, trial: false }).await?.turn)
    }
}
