//! How much processor time the HTML of one mail may take.
//!
//! The thread's own time is read, so that a busy machine refuses nothing that an idle one would take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::HtmlRefused;

/// The share of a budget that is kept back for what is under way when it is asked, and for taking down what was made.
const RESERVE: u32 = 8;

/// Processor time that runs out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    start: Duration,
    end: Duration,
}

impl Budget {
    /// Begins now.
    pub(super) fn start(limit: Duration) -> Self {
        let start = used();
        Self { start, end: start.saturating_add(limit - limit / RESERVE) }
    }

    /// Never runs out.
    #[cfg(test)]
    pub(super) fn unlimited() -> Self {
        Self { start: Duration::ZERO, end: Duration::MAX }
    }

    /// As much of what is left as may be used now when what follows costs what was used so far, and `times` what is used
    /// now.
    pub(super) fn ahead_of(self, times: u32) -> Self {
        let now = used();
        let so_far = now.saturating_sub(self.start);
        let left = self.end.saturating_sub(now).saturating_sub(so_far);
        Self { start: now, end: now + left / (1 + times) }
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
