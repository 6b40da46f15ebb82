//! What one attempt at a task may cost the child, as the parent counts it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::death::Death;
use super::usage::MOST_CPU;

/// What one attempt may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How long the child may take to read the request and to answer it. Waiting for the bytes to come from
    /// elsewhere does not count.
    pub wall: Duration,
    /// How much CPU time the child may use. Kept to about a tenth of a second.
    pub cpu: Duration,
}

impl Budget {
    /// This budget, within what any child may use.
    pub(super) fn within(self, usual: Self) -> Self {
        Self { cpu: self.cpu.min(usual.cpu * MOST_CPU), ..self }
    }
}

/// What is left of a [`Budget`].
#[derive(Debug)]
pub(super) struct Left(Duration);

impl Left {
    pub(super) fn of(budget: Budget) -> Self {
        Self(budget.wall)
    }

    /// Waits for the child, on its time.
    pub(super) async fn child<T>(&mut self, step: impl Future<Output = Result<T, Death>>) -> Result<T, Death> {
        let start = Instant::now();
        let done = timeout(self.0, step).await.map_err(|_| Death::WallLimit)?;
        self.0 = self.0.saturating_sub(start.elapsed());
        done
    }
}
