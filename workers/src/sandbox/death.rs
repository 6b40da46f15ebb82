//! How an attempt at a task can end without an answer.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;
use thiserror::Error;

use super::check::Untrue;
use super::frame::FrameError;

/// How an attempt ended without an answer.
#[derive(Debug, Error)]
pub enum Death {
    /// It took longer than its wall limit, and the child was killed.
    #[error("past the wall limit")]
    WallLimit,
    /// It used more CPU time than its limit, and the child was killed.
    #[error("past the CPU limit")]
    CpuLimit,
    /// It used more memory than its limit, and the child was killed.
    #[error("past the memory limit")]
    MemoryLimit,
    /// The child aborted itself: the kernel refused it memory, most likely.
    #[error("the child aborted, for want of memory most likely")]
    Aborted,
    /// The child made a system call that it has no use for, and the kernel killed it.
    #[error("a forbidden system call")]
    Forbidden,
    /// The child ended in another way.
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
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WallLimit => "wall_limit",
            Self::CpuLimit => "cpu_limit",
            Self::MemoryLimit => "memory_limit",
            Self::Aborted => "aborted",
            Self::Forbidden => "forbidden",
            Self::Ended(_) => "ended",
            Self::Garbage(_) | Self::Unreadable | Self::Untrue(_) => "bad_answer",
        }
    }

    /// What a child died of that ended by itself.
    pub(super) fn of(status: Option<ExitStatus>) -> Self {
        match status.and_then(|status| status.signal()).and_then(Signal::from_named_raw) {
            Some(Signal::SYS) => Self::Forbidden,
            Some(Signal::ABORT) => Self::Aborted,
            Some(Signal::XCPU) => Self::CpuLimit,
            _ => Self::Ended(status),
        }
    }

    /// A pipe that broke means that the child ended; anything else is what it sent.
    pub(super) fn of_pipe(error: FrameError) -> Self {
        match error {
            FrameError::Io(_) | FrameError::Truncated => Self::Ended(None),
            other => Self::Garbage(other),
        }
    }
}
