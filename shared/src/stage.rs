//! What a stage is: a name, a job's form, and a function from a job to an outcome.
//!
//! A stage never acknowledges, extends or sends; it returns what should happen.

use std::{
    collections::BTreeSet,
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
    clock::{Clock, later},
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

/// The limits that have charged a job at its stage, by name. They travel with the job, so that a limit charges it once,
/// however often it is deferred, retried or drained. A run that ends without a word forgets what it added.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeSet<String>>);

impl Turns {
    pub(crate) const fn new(held: BTreeSet<String>) -> Self {
        Self(Mutex::new(held))
    }

    /// Whether that limit has charged the job.
    pub fn holds(&self, limit: &str) -> bool {
        self.held().contains(limit)
    }

    /// That limit has charged the job.
    pub fn hold(&self, limit: &str) {
        self.held().insert(limit.to_owned());
    }

    /// The turns were used: what follows is charged anew.
    pub fn spend(&self) {
        self.held().clear();
    }

    pub(crate) fn take(&self) -> BTreeSet<String> {
        mem::take(&mut self.held())
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
