//! The parent's side: a pool of warm children, each with one mail at a time.
//!
//! A child that dies, exceeds the wall limit or answers what cannot be true costs its mail one attempt. The second
//! is on a fresh child that serves nothing else; after that the mail is [`SandboxError::Poisoned`]. The mails beside
//! it are on other children and never notice.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::{pii::Pii, telemetry::metric};
use thiserror::Error;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::check::{Untrue, check};
use super::frame::{self, FrameError, Kind};
use super::message::{Answer, MAX_ANSWER, MAX_REQUEST, Request};
use crate::mail::limits::Limits;

/// The subcommand that makes the program a child.
pub const SUBCOMMAND: &str = "sandbox";
/// How long a child whose pipe broke gets to exit, so that its status can be told.
const EXIT_GRACE: Duration = Duration::from_secs(5);
/// Answers longer than this are read off the runtime's threads, in bytes.
const LONG_ANSWER: usize = 256 * 1024;

/// How the pool is made.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// What is started, with [`SUBCOMMAND`] as its only argument.
    pub program: PathBuf,
    /// How many children there are at most.
    pub processes: NonZeroUsize,
    /// How long one attempt at a mail may take, from its first byte to the answer.
    pub wall_limit: Duration,
    /// After how many mails a child is replaced.
    pub recycle_after: NonZeroU32,
    /// The limits of the parse.
    pub limits: Limits,
}

impl SandboxConfig {
    /// One child a core, 30 seconds a mail, a fresh child after 1,000 mails.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            processes: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            wall_limit: Duration::from_secs(30),
            recycle_after: NonZeroU32::MIN.saturating_add(999),
            limits: Limits::default(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// A child could not be started: our failure, not the mail's.
    #[error("the sandbox's child could not be started: {0}")]
    Spawn(#[source] std::io::Error),
    /// The request could not be written.
    #[error("the request could not be written")]
    Request(#[from] serde_json::Error),
    /// The request itself is longer than a child reads: the recipients are too many.
    #[error("a request of {0} bytes: too many recipients")]
    RequestTooLong(usize),
    /// The mail cost two children their life.
    #[error("the mail ended its sandbox twice: first {first}, then {second}")]
    Poisoned {
        /// How the first attempt ended.
        first: Death,
        /// How the second attempt ended.
        second: Death,
    },
}

/// How an attempt ended without an answer.
#[derive(Debug, Error)]
pub enum Death {
    /// It took longer than the wall limit, and the child was killed.
    #[error("past the wall limit")]
    WallLimit,
    /// The child ended by itself or by a signal.
    #[error("the child ended ({})", .0.map_or_else(|| "it does not say how".to_owned(), |status| status.to_string()))]
    Ended(Option<ExitStatus>),
    /// The child sent something that is no answer.
    #[error("no answer: {0}")]
    Garbage(#[source] FrameError),
    /// The child sent a frame that holds no answer.
    #[error("an answer that cannot be read")]
    Unreadable,
    /// The answer cannot be true.
    #[error(transparent)]
    Untrue(#[from] Untrue),
}

impl Death {
    /// The kind of death: a metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WallLimit => "wall_limit",
            Self::Ended(_) => "ended",
            Self::Garbage(_) | Self::Unreadable | Self::Untrue(_) => "bad_answer",
        }
    }
}

/// The pool. Dropping it ends the children.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    served: u32,
}

impl Sandbox {
    /// Makes the pool and starts its first child. Needs a `tokio` runtime.
    ///
    /// # Errors
    /// [`SandboxError::Spawn`].
    pub fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let first = Worker::spawn(&config)?;
        Ok(Self { slots: Semaphore::new(config.processes.get()), idle: Mutex::new(vec![first]), config })
    }

    /// The limits that mails are parsed under.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Parses a mail in a child. Waits for a free one; dropping the future kills the child that has the mail.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn parse(&self, raw: Bytes, recipients: Vec<Pii<String>>) -> Result<Answer, SandboxError> {
        let request = Request { limits: self.config.limits.clone(), recipients };
        let request = serde_json::to_vec(&request)?;
        if request.len() as u64 > MAX_REQUEST {
            return Err(SandboxError::RequestTooLong(request.len()));
        }
        // The semaphore is never closed: without a permit there is only more waiting.
        let _slot = self.slots.acquire().await;
        let worker = self.warm()?;
        let first = match self.attempt(worker, &request, &raw).await {
            Ok((answer, worker)) => {
                self.keep(worker);
                return Ok(answer);
            }
            Err(death) => death,
        };
        let alone = Worker::spawn(&self.config)?;
        match self.attempt(alone, &request, &raw).await {
            Ok((answer, _)) => Ok(answer),
            Err(second) => Err(SandboxError::Poisoned { first, second }),
        }
    }

    /// A child that waits, or a new one.
    fn warm(&self) -> Result<Worker, SandboxError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut worker) = idle else { return Worker::spawn(&self.config) };
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Ok(worker);
            }
        }
    }

    fn keep(&self, mut worker: Worker) {
        worker.served += 1;
        if worker.served < self.config.recycle_after.get() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }

    async fn attempt(&self, mut worker: Worker, request: &[u8], raw: &[u8]) -> Result<(Answer, Worker), Death> {
        let limits = self.config.limits.clone();
        let exchange = async {
            let payload = worker.exchange(request, raw).await?;
            read_answer(payload, raw.len(), limits).await
        };
        match timeout(self.config.wall_limit, exchange).await {
            Ok(Ok(answer)) => Ok((answer, worker)),
            Ok(Err(death)) => Err(worker.bury(death).await),
            Err(_) => Err(worker.bury(Death::WallLimit).await),
        }
        .inspect_err(|death| metric::sandbox_kill(death.name()))
    }
}

/// Reads and checks an answer.
async fn read_answer(payload: Vec<u8>, raw_len: usize, limits: Limits) -> Result<Answer, Death> {
    let len = payload.len();
    let read = move || {
        let answer = serde_json::from_slice(&payload).map_err(|_| Death::Unreadable)?;
        check(&answer, raw_len, &limits)?;
        Ok(answer)
    };
    if len <= LONG_ANSWER { read() } else { tokio::task::spawn_blocking(read).await.map_err(|_| Death::Unreadable)? }
}

impl Worker {
    fn spawn(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let mut command = Command::new(&config.program);
        command.arg(SUBCOMMAND).env_clear().current_dir("/").kill_on_drop(true);
        // A group of its own: Ctrl-C at the terminal is for the parent, which lets the child finish.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(SandboxError::Spawn)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| SandboxError::Spawn(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, stdin, stdout, served: 0 })
    }

    /// Sends a request and reads what comes back. A child reads all of a request before it answers, so the two
    /// cannot wait for each other; one that does not is ended by the wall limit.
    async fn exchange(&mut self, request: &[u8], raw: &[u8]) -> Result<Vec<u8>, Death> {
        frame::write_async(&mut self.stdin, Kind::Request, request).await.map_err(of_pipe)?;
        frame::write_async(&mut self.stdin, Kind::Raw, raw).await.map_err(of_pipe)?;
        let answer = frame::read_async(&mut self.stdout, Kind::Answer, MAX_ANSWER).await.map_err(of_pipe)?;
        answer.ok_or(Death::Ended(None))
    }

    /// Ends the child, and adds how it ended where that is the reason.
    async fn bury(mut self, death: Death) -> Death {
        if !matches!(death, Death::Ended(_)) {
            return match self.child.kill().await {
                Ok(()) => death,
                // It is gone already: that, then, is how it ended.
                Err(_) => Death::Ended(None),
            };
        }
        drop((self.stdin, self.stdout));
        match timeout(EXIT_GRACE, self.child.wait()).await {
            Ok(status) => Death::Ended(status.ok()),
            Err(_) => Death::Ended(None),
        }
    }
}

/// A pipe that broke means that the child ended; anything else is what it sent.
fn of_pipe(error: FrameError) -> Death {
    match error {
        FrameError::Io(_) | FrameError::Truncated => Death::Ended(None),
        other => Death::Garbage(other),
    }
}
