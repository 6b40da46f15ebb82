//! How many bytes of work a process holds at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: u64 = 1024;

/// A budget of bytes. Jobs are admitted in order; one larger than the whole budget is admitted alone.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// Bytes admitted; given back when dropped.
#[derive(Debug)]
pub struct Admitted(#[expect(dead_code, reason = "held for its Drop")] Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` can be admitted.
    pub async fn admit(&self, bytes: u64) -> Admitted {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.total);
        // The semaphore is never closed, so this does not fail.
        Admitted(Arc::clone(&self.units).acquire_many_owned(units).await.ok())
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        (self.total as usize).saturating_sub(self.units.available_permits()) as u64 * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_over_the_whole_budget_is_admitted_alone() {
        let budget = Budget::new(10 * UNIT);
        let small = budget.admit(UNIT).await;
        let huge = tokio::spawn({
            let budget = budget.clone();
            async move { budget.admit(u64::MAX).await }
        });
        tokio::task::yield_now().await;
        assert!(!huge.is_finished());
        drop(small);
        let held = huge.await.unwrap();
        assert_eq!(budget.held(), 10 * UNIT);
        drop(held);
        assert_eq!(budget.held(), 0);
    }
}
