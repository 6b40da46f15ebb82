//! Runs one stage: slots → receive → bytes → run → settle.
//!
//! Nothing is leased without a free slot; a received message has its heartbeat from the start; a job's bytes are
//! admitted after it was decoded and before it runs; what has to happen then is decided in [`crate::settle`].

mod company;
mod poll;

use std::{mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use rand::RngExt;
use tokio::{
    sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, RwLock, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::{
    company::{Company, Member},
    poll::Pollers,
};

use crate::{
    allowance,
    audit::AuditKey,
    blobs::{self, BlobError},
    budget::{Admitted, Budget},
    claim::ClaimError,
    clock::{Clock, later},
    envelope::{Carried, DecodeError, Envelope},
    lease::Lease,
    outcome::{Failure, Outcome, Reason},
    policy::{Backoff, Policy},
    queue::{Queue, Received, batch::Pace},
    settle::{
        EndRecord, Facts, Plan, REQUEUED, Ran, SettleError, Settler, Then, adopted, decide, end_key, undecodable,
    },
    shutdown::Shutdown,
    stage::{Context, Progress, Stage, Turns},
    telemetry::metric,
    visibility::Visibility,
};

/// Receives that ended without a word before a job counts as a suspect: one of those at a time runs in a process, so
/// that a job that kills its worker takes no neighbour with it for long.
const SUSPECT_FROM: u32 = 2;
/// The longest end record that is read, in bytes.
const LONGEST_RECORD: u64 = 4 << 20;
/// How soon to look again for a stored job while the store does not answer, first and at most.
const STORE_OUTAGE: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
/// A deferred job that is this early runs at once.
const EARLY_SLACK: Duration = Duration::from_millis(20);

/// What the runners of a process share.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Carries out what was decided.
    pub settler: Settler,
    /// Bytes held at once.
    pub budget: Budget,
    /// Wall-clock time.
    pub clock: Clock,
    /// When to stop.
    pub shutdown: Shutdown,
    /// Links audit records.
    pub key: AuditKey,
    /// Keeps jobs that may kill the process away from the others.
    pub suspects: Suspects,
}

/// One suspect at a time in the whole process, and not before what came along with it is out of its way: running, or
/// settled and so no longer counted as received when the process dies.
#[derive(Debug, Clone)]
pub struct Suspects {
    turn: Arc<Semaphore>,
    room: Arc<RwLock<()>>,
}

impl Default for Suspects {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), room: Arc::default() }
    }
}

/// Runs one stage until the process drains.
pub struct Runner<S> {
    stage: S,
    policy: Policy,
    visibility: Arc<Visibility>,
    queue: Arc<dyn Queue>,
    company: Company,
    fleet: Fleet,
}

impl<S> std::fmt::Debug for Runner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<S: Stage> Runner<S> {
    /// A runner of `stage` that receives from `queue`.
    pub fn new(stage: S, policy: Policy, queue: Arc<dyn Queue>, fleet: Fleet) -> Self {
        let visibility = Arc::new(Visibility::new(policy));
        Self { stage, policy, visibility, queue, company: Company::default(), fleet }
    }

    /// Receives and runs jobs until the process drains and the last job is settled.
    pub async fn run(self) {
        let (pollers, jobs) = (Pollers::new(self.policy.concurrency, self.queue.gather()), TaskTracker::new());
        let over = self.fleet.shutdown.over.clone();
        let this = Arc::new(self);
        // A poll is never dropped: it would strand what it is about to bring.
        pollers.start(&this, &jobs).await;
        jobs.close();
        over.run_until_cancelled(jobs.wait()).await;
    }

    async fn handle(&self, message: Received, visibility: Duration, waiting: Waiting, member: Member) {
        let stage = self.stage.name();
        let progress = Arc::new(Progress::new(self.policy.progress));
        let queue = match self.fleet.settler.queues.get(&stage) {
            Some(queues) => queues.work.clone(),
            None => return tracing::error!(%stage, "the stage has no queue to settle on"),
        };
        let lease = Lease::keep(stage, queue, &message, visibility, &self.visibility, Arc::clone(&progress));
        let plan = match self.read(&message.body) {
            Ok(jobs) => match <[Envelope; 1]>::try_from(jobs) {
                Ok([mut envelope]) => {
                    envelope.crashes += message.receive_count.saturating_sub(1);
                    let span = {
                        let (mail, trace) = (&envelope.work, envelope.trace.trace_id());
                        tracing::info_span!("job", %stage, %mail, trace)
                    };
                    let taken = self.take(envelope, lease, progress, (&message, member), waiting);
                    return taken.instrument(span).await;
                }
                Err(jobs) => adopted(&jobs, &self.facts()),
            },
            Err(reason) => undecodable(&message.body, &reason, &self.facts()),
        };
        self.settle(plan, lease, (&message, member), Instant::now()).await;
    }

    /// The jobs in a body: the one of an envelope, or those that it announces.
    fn read(&self, body: &str) -> Result<Vec<Envelope>, Reason> {
        match Envelope::decode(body) {
            Ok(envelope) => Ok(vec![envelope]),
            Err(error) => {
                let adopted = self.stage.adopt(body, self.fleet.clock.now());
                adopted.unwrap_or_else(|| Err(error.to_string().into()))
            }
        }
    }

    async fn take(
        &self,
        mut envelope: Envelope,
        lease: Lease,
        progress: Arc<Progress>,
        taken: (&Received, Member),
        waiting: Waiting,
    ) {
        let started = Instant::now();
        let mut waiting = Some(waiting);
        let ran = match self.gate(&envelope) {
            Gate::Open(suspect) => match self.earlier_end(&envelope).await {
                Some(record) => Ran::Ended(Box::new(record)),
                None => {
                    waiting.take();
                    if suspect.is_some() {
                        drop(self.fleet.suspects.room.write().await);
                    }
                    let turns = Arc::new(Turns::new(mem::take(&mut envelope.turns), envelope.deferrals));
                    let ran = self.attempt(&mut envelope, &lease, progress, &turns).await;
                    envelope.turns = turns.take();
                    ran
                }
            },
            Gate::Closed(ran) => ran,
        };
        let plan = decide(ran, &envelope, &self.facts());
        metric::job_age(self.stage.name(), self.fleet.clock.now(), envelope.first_seen);
        self.settle(plan, lease, taken, started).await;
    }

    /// Whether the job may run now.
    fn gate(&self, envelope: &Envelope) -> Gate {
        if self.fleet.shutdown.draining.is_cancelled() {
            return Gate::Closed(Ran::NotStarted);
        }
        if envelope.crashes >= self.policy.max_crashes {
            return Gate::Closed(Ran::Crashed);
        }
        let now = self.fleet.clock.now();
        if envelope.not_before.is_some_and(|at| crate::clock::until(now, at) > EARLY_SLACK) {
            return Gate::Closed(Ran::Early);
        }
        if envelope.crashes < SUSPECT_FROM {
            return Gate::Open(None);
        }
        match Arc::clone(&self.fleet.suspects.turn).try_acquire_owned() {
            Ok(turn) => Gate::Open(Some(turn)),
            Err(_) => Gate::Closed(Ran::Suspect),
        }
    }

    /// The end that an earlier receive of this job wrote before it died: it must not end otherwise now. That a dead letter
    /// was sent back is no end.
    async fn earlier_end(&self, envelope: &Envelope) -> Option<EndRecord> {
        if envelope.crashes == 0 {
            return None;
        }
        let key = end_key(&envelope.work, self.stage.name(), &envelope.branch);
        let unknown = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "cannot tell whether the job has ended; it runs");
            None
        };
        match blobs::read(&*self.fleet.settler.blobs, &key, None, LONGEST_RECORD).await {
            Ok((_, bytes)) => match serde_json::from_slice::<EndRecord>(&bytes) {
                Ok(record) => Some(record).filter(|record| record.end != REQUEUED),
                Err(error) => unknown(&DecodeError::from(&error)),
            },
            Err(BlobError::NotFound) => None,
            Err(error) => unknown(&error),
        }
    }

    /// One run: under the budget, the deadline, the lease and the shutdown, panics caught.
    async fn attempt(
        &self,
        envelope: &mut Envelope,
        lease: &Lease,
        progress: Arc<Progress>,
        turns: &Arc<Turns>,
    ) -> Ran {
        let _run = self.visibility.begin();
        let shutdown = &self.fleet.shutdown;
        let opened = tokio::select! {
            biased;
            () = lease.lost() => return Ran::LeaseLost,
            () = shutdown.draining.cancelled() => return Ran::NotStarted,
            opened = self.open(envelope, &progress) => opened,
        };
        let (job, bytes) = match opened {
            Ok(opened) => opened,
            Err(ran) => return ran,
        };
        let ctx = self.context(envelope, progress, Arc::clone(turns));
        let run = AssertUnwindSafe(allowance::limited(self.stage.run(job, &ctx))).catch_unwind();
        let ran = tokio::select! {
            biased;
            () = lease.lost() => Ran::LeaseLost,
            () = shutdown.cancelled.cancelled() => Ran::Drained,
            ran = tokio::time::timeout_at(ctx.deadline, run) => match ran {
                Ok(Ok(result)) => result.into(),
                Ok(Err(_panic)) => Ran::Panicked,
                Err(_elapsed) => Ran::Deadline,
            },
        };
        drop(bytes);
        ran
    }

    /// The job, read from the store if it is there, and room for what it will hold.
    async fn open(&self, envelope: &mut Envelope, progress: &Progress) -> Result<(S::Job, Admitted), Ran> {
        if let Carried::Stored(stored) = &envelope.job {
            // Its text and what is made of it.
            let _room = self.waiting(progress, stored.len() * 2).await.ok_or(Ran::NoRoom)?;
            let loaded = envelope.load(&*self.fleet.settler.blobs).await;
            loaded.map_err(|error| Ran::Failed(self.unloaded(&error, envelope.deferrals)))?;
        }
        let undecodable = |error: DecodeError| Failure::permanent("undecodable_job", error.to_string());
        let job = envelope.job().map_err(|error| Ran::Failed(undecodable(error)))?;
        let bytes = self.waiting(progress, self.stage.bytes(&job)).await.ok_or(Ran::NoRoom)?;
        Ok((job, bytes))
    }

    /// A store that does not answer says nothing about the job; one that has lost it does.
    fn unloaded(&self, error: &ClaimError, deferrals: u32) -> Failure {
        match error {
            ClaimError::Store(error) if error.is_retryable() => {
                let wait = STORE_OUTAGE.delay(deferrals + 1, rand::rng().random());
                Failure::defer("store_unavailable", error.to_string(), later(self.fleet.clock.now(), wait))
            }
            ClaimError::Store(BlobError::NotFound) => Failure::permanent("job_missing", error.to_string()),
            error => Failure::permanent("job_damaged", error.to_string()),
        }
    }

    /// Waiting for bytes is no hang: the lease is extended meanwhile, for as long as a run may take.
    async fn waiting(&self, progress: &Progress, bytes: u64) -> Option<Admitted> {
        let longest = self.policy.deadline;
        progress.window(longest + self.policy.visibility);
        let admitted = tokio::time::timeout(longest, self.fleet.budget.admit(bytes)).await.ok();
        progress.now();
        admitted
    }

    fn context(&self, envelope: &Envelope, progress: Arc<Progress>, turns: Arc<Turns>) -> Context {
        Context {
            work: envelope.work.clone(),
            tenant: envelope.tenant.clone(),
            trace: envelope.trace.clone(),
            attempt: envelope.attempt,
            deferrals: envelope.deferrals,
            repeated: envelope.generation > 0 || envelope.crashes > 0,
            turns,
            first_seen: envelope.first_seen,
            expires: later(envelope.stage_since, self.policy.max_age),
            deadline: Instant::now() + self.policy.deadline,
            clock: self.fleet.clock.clone(),
            progress,
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            stage: self.stage.name(),
            policy: &self.policy,
            now: self.fleet.clock.now(),
            jitter: rand::rng().random(),
            key: &self.fleet.key,
        }
    }

    async fn settle(
        &self,
        plan: Result<Plan, serde_json::Error>,
        lease: Lease,
        (message, member): (&Received, Member),
        started: Instant,
    ) {
        let stage = self.stage.name();
        // The heartbeat ends before the settlement begins, so that it cannot undo it.
        let lease_end = lease.stop();
        let plan = match (plan, lease_end) {
            (Ok(plan), Some(_)) => plan,
            (Ok(plan), None) if plan.then == Then::Nothing => plan,
            (Ok(_), None) => return tracing::warn!("the lease ran out before the settlement; the job comes back"),
            (Err(error), _) => return tracing::error!(%error, "a settlement could not be written down"),
        };
        let until = lease_end.unwrap_or_else(Instant::now);
        // Whoever still runs settles soon, perhaps in the same batches; the last one waits for nobody.
        let pace = if member.leave() { Pace::Gather } else { Pace::AtOnce };
        let apply = self.fleet.settler.apply(&plan, stage, message.receipt.clone(), until, pace);
        let applied = self.fleet.shutdown.over.run_until_cancelled(apply).await;
        if let Err(error) = applied.unwrap_or(Err(SettleError::LeaseEnded)) {
            metric::settlement_failed(stage);
            return tracing::warn!(outcome = plan.label, %error, "settlement failed; the job comes back");
        }
        metric::job_done(stage, plan.label, plan.class, started.elapsed());
        report(&plan, started.elapsed());
    }
}

/// Held by a message from its receive until it runs or is settled.
type Waiting = OwnedRwLockReadGuard<()>;

enum Gate {
    Open(Option<OwnedSemaphorePermit>),
    Closed(Ran),
}

impl From<Result<Outcome, Failure>> for Ran {
    fn from(result: Result<Outcome, Failure>) -> Self {
        match result {
            Ok(outcome) => Self::Finished(outcome),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// One line an outcome, logged where it is handled; the events after it.
fn report(plan: &Plan, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match plan.label {
        "dead_lettered" => tracing::error!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
        "retried" => tracing::warn!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
        _ => tracing::info!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
    }
    for event in &plan.events {
        metric::event(event.name);
        tracing::info!(event = event.name, detail = ?event.detail, "event");
    }
}
