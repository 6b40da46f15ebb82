//! One clamd: the command, and the wait for what comes of it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{ReloadError, number};
use crate::clamav::{
    EngineVersion, ScanError,
    clamd::Clamd,
    pool::{Terms, admission},
};

/// Between two questions.
const POLL: Duration = Duration::from_millis(200);

/// A deadline for what is asked again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Instant);

impl Patience {
    pub(super) fn of(deadline: Duration) -> Self {
        Self(Instant::now() + deadline)
    }

    /// Waits for the next try; false if there is none.
    async fn again(self) -> bool {
        let has_time = Instant::now() + POLL < self.0;
        if has_time {
            sleep(POLL).await;
        }
        has_time
    }

    /// The test of the pool, repeated while the clamd does not answer: it may stand still, or start.
    pub(super) async fn admission(self, clamd: &Clamd, terms: &Terms) -> Result<EngineVersion, ScanError> {
        loop {
            match admission::admission(clamd, terms, &mut None).await {
                Err(ScanError::Unreachable(_) | ScanError::Unavailable(_) | ScanError::Deadline)
                    if self.again().await => {}
                other => return other,
            }
        }
    }
}

/// Has it load its signatures, waits until its version is another or the deadline over, and tests it. One whose version
/// stays has loaded the same again, if that is as new as `wanted`.
pub(super) async fn reload(
    clamd: &Clamd,
    terms: &Terms,
    deadline: Duration,
    wanted: Option<u64>,
) -> Result<EngineVersion, ReloadError> {
    let endpoint = || clamd.endpoint().clone();
    let refused = |error| ReloadError::Refused { endpoint: endpoint(), error };
    let before = clamd.version().await.map_err(refused)?;
    clamd.reload().await.map_err(refused)?;
    let patience = Patience::of(deadline);
    // While it loads it answers with the old version, or not at all: only another version says that it is done.
    while !clamd.version().await.is_ok_and(|engine| engine != before) && patience.again().await {}
    let tested = patience.admission(clamd, terms).await;
    let engine = tested.map_err(|error| ReloadError::Unfit { endpoint: endpoint(), error })?;
    match wanted {
        Some(wanted) if number(&engine).is_none_or(|has| has < wanted) => {
            let has = engine.database.unwrap_or_else(|| "without a version".to_owned());
            Err(ReloadError::Kept { endpoint: endpoint(), has, wanted })
        }
        _ => Ok(engine),
    }
}
