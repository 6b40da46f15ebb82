//! How much processor time the HTML of one mail may take.
//!
//! The thread's own time is read, so that a busy machine refuses nothing that an idle one would take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::HtmlRefused;

/// Processor time that runs out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    end: Duration,
}

impl Budget {
    /// Begins now.
    pub(super) fn start(limit: Duration) -> Self {
        Self { end: used().saturating_add(limit) }
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(self) -> bool {
        used() >= self.end
    }

    /// # Errors
    /// Where nothing is left.
    pub(super) fn check(self) -> Result<(), HtmlRefused> {
        if self.is_spent() { Err(HtmlRefused::OverBudget) } else { Ok(()) }
    }
}

/// The processor time that this thread has used.
pub(super) fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
