//! What was decided about each mail, as far as `State` remembers it.
//!
//! A decision says where a mail goes and what of it may be delivered, so it is sealed: one that we did not make about that
//! very mail is none.

use std::{sync::Arc, time::Duration};

use shared::{audit::AuditKey, ids::WorkId, state::State};

use crate::sealed;

/// How long a decision is remembered: longer than a job can come back.
const REMEMBER: Duration = Duration::from_secs(2 * 86_400);
const PURPOSE: &str = "routing decision";

/// Remembers decisions.
#[derive(Debug)]
pub struct Decisions {
    state: Arc<dyn State>,
    key: AuditKey,
}

impl Decisions {
    /// Keeps them in `state`, under `key`.
    #[must_use]
    pub fn new(state: Arc<dyn State>, key: AuditKey) -> Self {
        Self { state, key }
    }

    /// The decision that was made before, if one is remembered; else it remembers this one.
    pub(super) async fn before(&self, work: &WorkId, decision: &[u8]) -> Option<Vec<u8>> {
        let name = name(work);
        let sealed = sealed::seal(&self.key, PURPOSE, &name, decision);
        let known = match self.state.compare_and_set(&name, None, Some(&sealed), REMEMBER).await {
            Ok(true) => return None,
            Ok(false) => self.state.get(&name).await,
            Err(error) => Err(error),
        };
        let known = known
            .inspect_err(|error| tracing::warn!(%error, "an earlier decision cannot be looked up"))
            .ok()
            .flatten()?;
        let decision = sealed::open(&self.key, PURPOSE, &name, &known).map(<[u8]>::to_vec);
        if decision.is_none() {
            tracing::warn!("an earlier decision is none of ours and does not count: who else writes to the state?");
        }
        decision
    }
}

fn name(work: &WorkId) -> String {
    format!("decision:{work}")
}

#[cfg(test)]
mod tests {
    use shared::{clock::Clock, state::sqlite::SqliteState};

    use super::*;

    #[tokio::test]
    async fn who_can_write_to_the_state_sends_no_mail_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let state: Arc<dyn State> = Arc::new(SqliteState::open(dir.path(), Clock::system()).unwrap());
        let key = AuditKey::new(vec![1; 32]);
        let decisions = Decisions::new(Arc::clone(&state), key.clone());
        let (one, two) = (WorkId::new("1").unwrap(), WorkId::new("2").unwrap());
        assert_eq!(decisions.before(&one, b"first").await, None);
        assert_eq!(decisions.before(&one, b"second").await.as_deref(), Some(&b"first"[..]));
        assert_eq!(decisions.before(&two, b"of another").await, None);
        let of_another = state.get(&name(&two)).await.unwrap().unwrap();
        let foreign = sealed::seal(&AuditKey::new(vec![2; 32]), PURPOSE, &name(&one), b"forged");
        let elsewhere = sealed::seal(&key, "another purpose", &name(&one), b"forged");
        for forged in [&b"forged"[..], b"", &of_another, &foreign, &elsewhere] {
            state.set(&name(&one), forged, REMEMBER).await.unwrap();
            assert_eq!(decisions.before(&one, b"second").await, None);
        }
    }
}
