//! One child as the parent holds it: started, limited, locked down, and given one task after another.

use std::process::Stdio;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use rustix::pipe::fcntl_setpipe_size;
use shared::blobs::BlobError;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::body::Body;
use super::budget::{Budget, Left};
use super::death::Death;
use super::frame::{self, FrameError, Kind};
use super::lockdown::Lockdown;
use super::pool::{SUBCOMMAND, SandboxConfig};
use super::usage::{self, Usage};

/// How long a child whose pipe broke gets to exit, so that its status can be told.
const EXIT_GRACE: Duration = Duration::from_secs(5);
/// How long a child may take to start.
const START_GRACE: Duration = Duration::from_secs(30);
/// How much a pipe to or from a child takes at once, in bytes: what an unprivileged process may ask for (pipe(7)).
const PIPE: usize = 1024 * 1024;
/// The longest greeting, in bytes.
const MAX_HELLO: u64 = 4 * 1024;
/// What a source gives is not what was announced to the child.
const OTHER_LENGTH: BlobError = BlobError::Damaged("of another length than was said");

/// Why there is no child: our failure, not the mail's.
#[derive(Debug, Error)]
pub enum StartError {
    /// It could not be started.
    #[error("{0}")]
    Process(#[from] std::io::Error),
    /// It did not say what is in force.
    #[error("it does not say that it is locked down: {0}")]
    Silent(Death),
    /// Something that is required is not in force.
    #[error("it is not locked down as sandbox.require asks for: the kernel does not give {0}")]
    Unconfined(String),
}

/// Why an attempt ended without an answer.
#[derive(Debug)]
pub(super) enum Ended {
    /// The bytes did not come.
    Source(BlobError),
    /// The child.
    Child(Death),
}

impl From<Death> for Ended {
    fn from(death: Death) -> Self {
        Self::Child(death)
    }
}

/// What one attempt may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) budget: Budget,
    /// Resident memory, in bytes.
    pub(super) memory: u64,
    /// Of the answer, in bytes.
    pub(super) answer: u64,
}

/// A child. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    pid: u32,
    /// What is in force in it.
    pub(super) lockdown: Lockdown,
    /// How many tasks it was given.
    pub(super) served: u32,
    /// How long the latest of them took.
    pub(super) took: Duration,
}

impl Worker {
    /// Starts a child and waits until it is locked down.
    pub(super) async fn spawn(config: &SandboxConfig) -> Result<Self, StartError> {
        let mut command = Command::new(&config.program);
        command.arg(SUBCOMMAND).env_clear().current_dir("/").kill_on_drop(true);
        // A group of its own: Ctrl-C at the terminal is for the parent, which lets the child finish.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.id());
        let ((stdin, mut stdout), pid) = pipes.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        usage::limit(pid, config.memory, config.budget)?;
        if let Err(error) = fcntl_setpipe_size(&stdin, PIPE).and_then(|_| fcntl_setpipe_size(&stdout, PIPE)) {
            tracing::debug!(%error, "the pipes of a child stay as they are: a long mail takes more turns");
        }
        let greeting = timeout(START_GRACE, frame::read_async(&mut stdout, Kind::Hello, MAX_HELLO)).await;
        let greeting = greeting.map_err(|_| StartError::Silent(Death::WallLimit))?;
        let greeting = greeting.map_err(|error| StartError::Silent(Death::of_pipe(error)))?;
        let greeting = greeting.ok_or(StartError::Silent(Death::Ended(None)))?;
        let lockdown = serde_json::from_slice(&greeting).map_err(|_| StartError::Silent(Death::Unreadable))?;
        if !config.require.is_met_by(&lockdown) {
            return Err(StartError::Unconfined(lockdown.missing()));
        }
        Ok(Self { child, stdin, stdout, pid, lockdown, served: 0, took: Duration::ZERO })
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it costs, where that can be seen.
    pub(super) fn usage(&self) -> Option<Usage> {
        Usage::of(self.pid)
    }

    /// Sends a request and reads what comes back, within the budget.
    pub(super) async fn exchange(
        &mut self,
        limits: &Limits,
        request: &[u8],
        body: &dyn Body,
    ) -> Result<BytesMut, Ended> {
        let began = Instant::now();
        self.served += 1;
        let exceeded = usage::exceeded(self.pid, limits.budget, limits.memory);
        let answer = tokio::select! {
            answer = self.talk(limits, request, body) => answer,
            death = exceeded => Err(death.into()),
        };
        self.took = began.elapsed();
        answer
    }

    /// A child reads all of a request before it answers, so the two cannot wait for each other; one that does not is
    /// ended by the wall limit.
    ///
    /// What comes before the bytes goes with the first of them: each write wakes the child, and one that reads while
    /// its parent still writes waits at the pipe's lock with its processor busy.
    async fn talk(&mut self, limits: &Limits, request: &[u8], body: &dyn Body) -> Result<BytesMut, Ended> {
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let mut left = Left::of(limits.budget);
        let mut source = body.open().await.map_err(Ended::Source)?;
        let mut first = Bytes::from(frames(request, body.len()).map_err(Death::of_pipe)?);
        let mut missing = body.len();
        while let Some(chunk) = source.next().await {
            let chunk = chunk.map_err(Ended::Source)?;
            missing = missing.checked_sub(chunk.len() as u64).ok_or(Ended::Source(OTHER_LENGTH))?;
            left.child(send(stdin, std::mem::take(&mut first).chain(chunk))).await?;
        }
        if missing > 0 {
            return Err(Ended::Source(OTHER_LENGTH));
        }
        left.child(send(stdin, first)).await?;
        let answer = async { frame::read_async(stdout, Kind::Answer, limits.answer).await.map_err(Death::of_pipe) };
        Ok(left.child(answer).await?.ok_or(Death::Ended(None))?)
    }

    /// Ends the child, and tells how it ended where that is the reason.
    pub(super) async fn bury(mut self, death: Death) -> Death {
        if !matches!(death, Death::Ended(_)) {
            return match self.child.kill().await {
                Ok(()) => death,
                // It is gone already: that, then, is how it ended.
                Err(_) => Death::Ended(None),
            };
        }
        drop((self.stdin, self.stdout));
        match timeout(EXIT_GRACE, self.child.wait()).await {
            Ok(status) => Death::of(status.ok()),
            Err(_) => Death::Ended(None),
        }
    }
}

/// The frame of a request, and the header of that of its bytes.
fn frames(request: &[u8], body_len: u64) -> Result<Vec<u8>, FrameError> {
    let head = frame::header(Kind::Request, request.len() as u64)?;
    Ok([&head, request, &frame::header(Kind::Body, body_len)?].concat())
}

async fn send(stdin: &mut ChildStdin, mut bytes: impl Buf) -> Result<(), Death> {
    stdin.write_all_buf(&mut bytes).await.map_err(|error| Death::of_pipe(error.into()))
}
