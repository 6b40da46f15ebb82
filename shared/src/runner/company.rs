//! How many jobs of a stage are yet to be settled: whether it pays to wait for company.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The jobs that were received and are not being settled yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Company(Arc<AtomicUsize>);

/// One of them, until it leaves or is dropped.
#[derive(Debug)]
pub(super) struct Member(Arc<AtomicUsize>);

impl Company {
    pub(super) fn join(&self) -> Member {
        self.0.fetch_add(1, Ordering::AcqRel);
        Member(Arc::clone(&self.0))
    }
}

impl Member {
    /// Leaves. Says whether others remain.
    pub(super) fn leave(self) -> bool {
        // This one is counted until it is dropped, at the end of this call.
        self.0.load(Ordering::Acquire) > 1
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
