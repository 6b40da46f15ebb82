//! The parent's side: a pool of warm children, each with one task at a time.
//!
//! A child that dies, exceeds its budget or answers what cannot be true costs its mail one attempt. The second is on
//! a fresh child that serves nothing else; after that the mail is [`SandboxError::Poisoned`]. The mails beside it are
//! on other children and never notice.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shared::{blobs::BlobError, pii::Pii, telemetry::metric};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::body::Body;
use super::budget::Budget;
use super::death::Death;
use super::frame;
use super::lockdown::Require;
use super::task::{MAX_REQUEST, Parse, Request, Task};
use super::usage;
use super::worker::{self, Ended, StartError, Worker};
use crate::auth::evidence::Trust;
use crate::mail::limits::Limits;
use crate::mail::model::ParsedMail;
use crate::mail::parse::{Refusal, RefusalCode};

/// The subcommand that makes the program a child.
pub const SUBCOMMAND: &str = "sandbox";
/// Answers longer than this are read off the runtime's threads, in bytes.
const LONG_ANSWER: usize = 256 * 1024;
/// A child that holds more memory than this after a task is replaced, in bytes.
const MAX_IDLE_MEMORY: u64 = 96 * 1024 * 1024;
/// After this many short tasks it is looked at what a child costs.
const LOOK_EVERY: u32 = 64;

/// How the pool is made.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// What is started, with [`SUBCOMMAND`] as its only argument.
    pub program: PathBuf,
    /// How many children there are at most.
    pub processes: NonZeroUsize,
    /// What one attempt at a task may cost, where the task does not say otherwise.
    pub budget: Budget,
    /// How much memory a child may map, in bytes.
    pub memory: u64,
    /// After how many tasks a child is replaced.
    pub recycle_after: NonZeroU32,
    /// What has to be in force in a child.
    pub require: Require,
    /// The limits of the parse.
    pub limits: Limits,
    /// Whose words in a mail's header are believed.
    pub trust: Trust,
}

impl SandboxConfig {
    /// One child a core, 10 seconds and 5 of CPU time a mail, 512 MiB, a fresh child after 1,000 mails.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            processes: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            budget: Budget { wall: Duration::from_secs(10), cpu: Duration::from_secs(5) },
            memory: 512 * 1024 * 1024,
            recycle_after: NonZeroU32::MIN.saturating_add(999),
            require: Require::default(),
            limits: Limits::default(),
            trust: Trust::default(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// A child could not be started: our failure, not the mail's.
    #[error("the sandbox's child cannot be used: {0}")]
    Spawn(#[from] StartError),
    /// The request could not be written.
    #[error("the request could not be written")]
    Request(#[from] serde_json::Error),
    /// The request itself is longer than a child reads: the recipients are too many.
    #[error("a request of {0} bytes: too many recipients")]
    RequestTooLong(usize),
    /// More bytes than the task is for.
    #[error("{0} bytes are more than the task takes")]
    BodyTooLong(u64),
    /// The bytes to look at could not be read from where they are: not the mail's failure either.
    #[error(transparent)]
    Body(#[from] BlobError),
    /// The mail cost two children their life.
    #[error("the mail ended its sandbox twice: first {first}, then {second}")]
    Poisoned {
        /// How the first attempt ended.
        first: Death,
        /// How the second attempt ended.
        second: Death,
    },
}

/// The pool. Dropping it ends the children.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Sandbox {
    /// Makes the pool and starts its first child. What is not in force in it is said once, as a warning and as a
    /// metric.
    ///
    /// # Errors
    /// [`SandboxError::Spawn`].
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let first = Worker::spawn(&config).await?;
        for restriction in first.lockdown.restrictions() {
            metric::sandbox_restriction(restriction.name, restriction.is_on);
        }
        let missing = first.lockdown.missing();
        if !missing.is_empty() {
            tracing::warn!(%missing, "the sandbox lacks restrictions that this kernel does not give");
        }
        if first.usage().is_none() {
            tracing::warn!("/proc does not tell what a child costs: its CPU time is only limited over its whole life");
        }
        Ok(Self { slots: Semaphore::new(config.processes.get()), idle: Mutex::new(vec![first]), config })
    }

    /// The limits that mails are parsed under.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Parses a mail.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn parse(
        &self,
        raw: Bytes,
        recipients: Vec<Pii<String>>,
    ) -> Result<Result<ParsedMail, Refusal>, SandboxError> {
        if raw.len() > self.config.limits.raw {
            return Ok(Err(Refusal { code: RefusalCode::TooLarge, place: "mail".to_owned() }));
        }
        self.ask(Parse { limits: self.config.limits.clone(), recipients, trust: self.config.trust.clone() }, &raw).await
    }

    /// Has a child do a task. Waits for a free one; dropping the future kills the child that has the bytes.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn ask<T: Task>(&self, task: T, body: &dyn Body) -> Result<T::Answer, SandboxError> {
        if body.len() > task.max_body().min(frame::MAX) {
            return Err(SandboxError::BodyTooLong(body.len()));
        }
        let request = Request::write(&task)?;
        if request.len() as u64 > MAX_REQUEST {
            return Err(SandboxError::RequestTooLong(request.len()));
        }
        let task = Arc::new(task);
        // The semaphore is never closed: without a permit there is only more waiting.
        let _slot = self.slots.acquire().await;
        let first = match self.attempt(self.warm().await?, &task, &request, body).await {
            Ok((answer, worker)) => {
                self.keep(worker);
                return Ok(answer);
            }
            Err(Ended::Source(error)) => return Err(error.into()),
            Err(Ended::Child(death)) => death,
        };
        match self.attempt(Worker::spawn(&self.config).await?, &task, &request, body).await {
            Ok((answer, _)) => Ok(answer),
            Err(Ended::Source(error)) => Err(error.into()),
            Err(Ended::Child(second)) => Err(SandboxError::Poisoned { first, second }),
        }
    }

    /// A child that waits, or a new one.
    async fn warm(&self) -> Result<Worker, StartError> {
        while let Some(mut worker) = self.idle().pop() {
            if worker.is_alive() {
                return Ok(worker);
            }
        }
        Worker::spawn(&self.config).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt<T: Task>(
        &self,
        mut worker: Worker,
        task: &Arc<T>,
        request: &[u8],
        body: &dyn Body,
    ) -> Result<(T::Answer, Worker), Ended> {
        let limits = worker::Limits {
            budget: task.budget(self.config.budget).within(self.config.budget),
            memory: self.config.memory,
            answer: task.max_answer(body.len()),
        };
        let exchange = async {
            let payload = worker.exchange(&limits, request, body).await?;
            Ok(read_answer(payload, Arc::clone(task), body.len()).await?)
        };
        match exchange.await {
            Ok(answer) => Ok((answer, worker)),
            // Dropping the worker ends it: it waits for bytes that will not come.
            Err(Ended::Source(error)) => Err(Ended::Source(error)),
            Err(Ended::Child(death)) => {
                let death = worker.bury(death).await;
                metric::sandbox_kill(death.name());
                Err(Ended::Child(death))
            }
        }
    }

    fn keep(&self, worker: Worker) {
        if worker.served < self.config.recycle_after.get() && !self.is_bloated(&worker) {
            self.idle().push(worker);
        }
    }

    /// Whether a child holds on to memory, or its CPU time nears the limit of its life. Looking costs more than a small
    /// mail, and is done now and then, and after what took its time.
    fn is_bloated(&self, worker: &Worker) -> bool {
        let is_due = worker.took >= usage::TICK || worker.served.is_multiple_of(LOOK_EVERY);
        is_due
            && worker
                .usage()
                .is_some_and(|usage| usage.rss > MAX_IDLE_MEMORY || usage.cpu > usage::life(self.config.budget) / 2)
    }
}

/// Reads and checks an answer.
async fn read_answer<T: Task>(payload: BytesMut, task: Arc<T>, body_len: u64) -> Result<T::Answer, Death> {
    let len = payload.len();
    let read = move || {
        let answer = T::read(&payload).ok_or(Death::Unreadable)?;
        task.check(&answer, body_len)?;
        Ok(answer)
    };
    if len <= LONG_ANSWER { read() } else { tokio::task::spawn_blocking(read).await.map_err(|_| Death::Unreadable)? }
}
