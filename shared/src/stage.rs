//! What a stage is: a name, a job's form, and a function from a job to an outcome.
//!
//! A stage never acknowledges, extends or sends; it returns what should happen.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rand::RngExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    clock::{Clock, later, until},
    envelope::Envelope,
    ids::{StageName, TenantId, TraceParent, WorkId},
    outcome::{Failure, Outcome, Reason},
    policy::Backoff,
};

/// A stage of the pipeline.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// The form of its jobs.
    type Job: DeserializeOwned + Send + 'static;

    /// Its name.
    fn name(&self) -> StageName;

    /// The jobs that a body announces which is no envelope, because somebody outside the fleet sent it: `None` where the
    /// stage takes no such bodies.
    ///
    /// # Errors
    /// Why it is no announcement either; the body is a dead letter then.
    fn adopt(&self, _body: &str, _now: Timestamp) -> Option<Result<Vec<Envelope>, Reason>> {
        None
    }

    /// How many bytes a job will hold in memory at once; they are admitted before it runs.
    fn bytes(&self, job: &Self::Job) -> u64;

    /// Does the job. Dropped when the lease is lost, the deadline passes or the process has to stop, so every
    /// effect must be idempotent by (work, stage, branch).
    async fn run(&self, job: Self::Job, ctx: &Context) -> Result<Outcome, Failure>;
}

/// What a stage knows of the job beside its form.
#[derive(Debug)]
pub struct Context {
    /// The piece of work (the mail id).
    pub work: WorkId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What followed from one announcement of the work: repeats share it, another announcement has its own.
    pub trace: TraceParent,
    /// Runs that failed before this one.
    pub attempt: u32,
    /// Deferrals at this stage since its last progress.
    pub deferrals: u32,
    /// Whether an earlier copy of the job may have had effects: it was retried, deferred or received before.
    pub repeated: bool,
    /// The limits that have charged the job.
    pub turns: Arc<Turns>,
    /// When the work was first seen.
    pub first_seen: Timestamp,
    /// How long the job may wait at this stage: a deferral after that ends it.
    pub expires: Timestamp,
    /// When this run has to be over.
    pub deadline: Instant,
    /// Wall-clock time.
    pub clock: Clock,
    pub(crate) progress: Arc<Progress>,
}

impl Context {
    /// Says that the job moves: its lease goes on being extended.
    pub fn progress(&self) {
        self.progress.now();
    }

    /// Awaits a call that shows no progress while it runs, such as a scan's verdict; the lease is extended
    /// meanwhile, for at most `window`.
    pub async fn opaque<T>(&self, window: Duration, call: impl Future<Output = T>) -> T {
        self.progress.window(window);
        let result = call.await;
        self.progress.now();
        result
    }

    /// When to look again at something that was waited for before: the waits double from `first` to `longest`, with
    /// jitter, so that many that wait for the same do not come back together, or often.
    #[must_use]
    pub fn look_again(&self, first: Duration, longest: Duration) -> Timestamp {
        let wait = Backoff { first, longest }.delay(self.deferrals + 1, rand::rng().random());
        later(self.clock.now(), wait)
    }

    /// What is left of this run's time.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

#[cfg(any(test, feature = "testing"))]
impl Context {
    /// Of a first run that has a minute, of a job that may wait until `expires`.
    pub fn for_tests(tenant: TenantId, clock: Clock, expires: Timestamp) -> Self {
        Self {
            work: WorkId::derive(&[b"a test"]),
            tenant,
            trace: TraceParent::random(),
            attempt: 0,
            deferrals: 0,
            repeated: false,
            turns: Arc::default(),
            first_seen: clock.now(),
            expires,
            deadline: Instant::now() + Duration::from_secs(60),
            clock,
            progress: Arc::new(Progress::new(Duration::from_secs(60))),
        }
    }
}

/// By a limit's name: the time that it has reserved for the job; `None` once the job has passed it.
pub type Held = BTreeMap<String, Option<Timestamp>>;

/// So much later than reserved a turn still counts: a queue and a busy worker take their time. Twice as long at each
/// deferral, so that a fleet whose queues lie further behind than that does not put a job off for ever.
const LATE: Duration = Duration::from_secs(30);

/// The limits that have charged a job at its stage. They travel with the job, so that a limit charges it once, however
/// often it is deferred, retried or drained. A run that ends without a word forgets what it added.
///
/// A turn that was missed is gone: what it paid has drained meanwhile, unused, and if the turns of an hour without
/// workers all counted, they would be used at once. The job asks again, and is charged for its new turn.
#[derive(Debug, Default)]
pub struct Turns {
    held: Mutex<Held>,
    deferrals: u32,
}

impl Turns {
    /// The turns of a job that was deferred so often.
    pub const fn new(held: Held, deferrals: u32) -> Self {
        Self { held: Mutex::new(held), deferrals }
    }

    /// Whether that limit need not be asked. A turn that was reserved is taken up, or given up if it is long over.
    pub fn holds(&self, limit: &str, now: Timestamp) -> bool {
        let mut held = self.held();
        let Some(turn) = held.get_mut(limit) else { return false };
        if turn.take().is_none_or(|at| until(at, now) <= self.late()) {
            return true;
        }
        held.remove(limit);
        false
    }

    /// That limit has charged the job: for the time that it has reserved, or for now.
    pub fn hold(&self, limit: &str, reserved: Option<Timestamp>) {
        self.held().insert(limit.to_owned(), reserved);
    }

    /// The turns were used: what follows is charged anew.
    pub fn spend(&self) {
        self.held().clear();
    }

    pub(crate) fn take(&self) -> Held {
        mem::take(&mut self.held())
    }

    const fn late(&self) -> Duration {
        LATE.saturating_mul(2_u32.saturating_pow(self.deferrals.saturating_sub(1)))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a job counts as alive.
#[derive(Debug)]
pub(crate) struct Progress {
    origin: Instant,
    patience: Duration,
    alive_until: AtomicU64,
}

impl Progress {
    pub(crate) fn new(patience: Duration) -> Self {
        let progress = Self { origin: Instant::now(), patience, alive_until: AtomicU64::new(0) };
        progress.now();
        progress
    }

    pub(crate) fn now(&self) {
        self.window(self.patience);
    }

    pub(crate) fn window(&self, window: Duration) {
        self.alive_until.store(millis(self.origin.elapsed() + window), Ordering::Release);
    }

    pub(crate) fn is_alive(&self) -> bool {
        millis(self.origin.elapsed()) < self.alive_until.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(n).unwrap()
    }

    #[test]
    fn a_turn_counts_when_it_is_taken_up_in_time_and_then_for_good() {
        for (deferrals, late, holds) in
            [(0, 30, true), (1, 30, true), (1, 31, false), (2, 60, true), (2, 61, false), (40, 1 << 30, true)]
        {
            let turns = Turns::new([("a".to_owned(), Some(second(100)))].into(), deferrals);
            assert_eq!(turns.holds("a", second(100 + late)), holds, "{deferrals} {late}");
            assert_eq!(turns.take(), if holds { Held::from([("a".to_owned(), None)]) } else { Held::new() });
        }
        let turns = Turns::default();
        turns.hold("passed", None);
        turns.hold("reserved", Some(second(100)));
        assert!(turns.holds("reserved", second(100)) && !turns.holds("other", second(100)));
        let retried = Turns::new(turns.take(), 0);
        assert!(retried.holds("passed", second(9999)) && retried.holds("reserved", second(9999)), "nothing twice");
        retried.spend();
        assert!(!retried.holds("passed", second(9999)));
    }
}
