//! How long a job may wait, in all, for something that it can do without and that does not answer.
//!
//! The limiter and the state are such things: a job asks them several times, and each call has a time limit of its own.
//! What failed calls have cost is taken off one allowance, so that together they cost a job no more than that; once it is
//! spent, nothing more is waited for. Calls that are answered cost nothing of it.

use std::{cell::Cell, future::Future, time::Duration};

/// What a Redis that hangs may add to a job.
pub const ALLOWANCE: Duration = Duration::from_millis(50);

tokio::task_local! {
    static LEFT: Cell<Duration>;
}

/// Runs what may wait so long in all. What it spawns has no part in it.
pub async fn limited<T>(work: impl Future<Output = T>) -> T {
    LEFT.scope(Cell::new(ALLOWANCE), work).await
}

/// What is left to wait for; outside of [`limited`] that has no bound.
pub(crate) fn left() -> Duration {
    LEFT.try_with(Cell::get).unwrap_or(Duration::MAX)
}

/// Takes off what a call without an answer has cost.
pub(crate) fn spend(waited: Duration) {
    // Outside there is nothing to take it off.
    let _outside = LEFT.try_with(|left| left.set(left.get().saturating_sub(waited)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_failed_calls_cost_adds_up() {
        limited(async {
            assert_eq!(left(), ALLOWANCE);
            spend(Duration::from_millis(20));
            assert_eq!(left(), Duration::from_millis(30));
            spend(Duration::from_secs(1));
            assert_eq!(left(), Duration::ZERO);
            limited(async { assert_eq!(left(), ALLOWANCE, "another job's is its own") }).await;
            assert_eq!(left(), Duration::ZERO);
        })
        .await;
        spend(ALLOWANCE);
        assert_eq!(left(), Duration::MAX);
    }
}
