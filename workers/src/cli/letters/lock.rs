//! The lock that keeps two passes from hiding letters from each other.
//!
//! It lies in the state, which may be away: then a pass goes on without it, and says so. No letter is lost or sent
//! twice by that, since each is received by one pass alone; but of two passes at once each sees a part only.

use std::{sync::Once, time::Duration};

use shared::state::{State, StateError};

use crate::cli::output;

/// The lock's key.
const KEY: &str = "dlq-pass";

/// What a pass has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// The lock, under this name.
    Held(String),
    /// Nobody knows: the state does not answer.
    Stateless,
}

impl Lock {
    /// Takes the lock for so long. `None`: somebody else has it.
    pub(super) async fn take(state: &dyn State, hold: Duration) -> Option<Self> {
        let owner = uuid::Uuid::now_v7().to_string();
        match state.compare_and_set(KEY, None, Some(owner.as_bytes()), hold).await {
            Ok(true) => Some(Self::Held(owner)),
            Ok(false) => None,
            Err(error) => {
                stateless(&error);
                Some(Self::Stateless)
            }
        }
    }

    /// Frees it. One that cannot be freed ends by itself.
    pub(super) async fn free(self, state: &dyn State, hold: Duration) {
        if let Self::Held(owner) = self
            && let Err(error) = state.compare_and_set(KEY, Some(owner.as_bytes()), None, hold).await
        {
            output::note(format_args!("{error}: other `mailtri dlq` commands wait for up to {} s", hold.as_secs()));
        }
    }
}

/// Says that the desk goes on without the state, once.
pub(super) fn stateless(error: &StateError) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        output::note(format_args!(
            "{error}: going on without the lock and the index of the dead letters; run no other `mailtri dlq` beside this"
        ));
    });
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use shared::{clock::Clock, state::sqlite::SqliteState};

    use super::*;

    const HOLD: Duration = Duration::from_secs(60);

    /// A state that is away.
    #[derive(Debug)]
    struct Away;

    #[async_trait]
    impl State for Away {
        async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StateError> {
            Err(StateError("away".to_owned()))
        }

        async fn set(&self, _: &str, _: &[u8], _: Duration) -> Result<(), StateError> {
            Err(StateError("away".to_owned()))
        }

        async fn compare_and_set(
            &self,
            _: &str,
            _: Option<&[u8]>,
            _: Option<&[u8]>,
            _: Duration,
        ) -> Result<bool, StateError> {
            Err(StateError("away".to_owned()))
        }
    }

    #[tokio::test]
    async fn one_has_it_at_a_time_and_a_state_that_is_away_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let state = SqliteState::open(dir.path(), Clock::system()).unwrap();
        let first = Lock::take(&state, HOLD).await.unwrap();
        assert!(matches!(first, Lock::Held(_)));
        assert_eq!(Lock::take(&state, HOLD).await, None);
        first.free(&state, HOLD).await;
        assert!(Lock::take(&state, HOLD).await.is_some());
        assert_eq!(Lock::take(&Away, HOLD).await, Some(Lock::Stateless));
        Lock::Stateless.free(&Away, HOLD).await;
    }
}
