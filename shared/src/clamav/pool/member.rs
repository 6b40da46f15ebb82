//! One endpoint of a pool: how it stands, and what is with it.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{Shared, admission};
use crate::clamav::{EngineVersion, ScanError, clamd::Clamd, endpoint::Endpoint};

/// How long an endpoint is taken for what it was, without a look at its version. A clamd that has loaded other signatures
/// is tested again before its next scan, but for those of this moment. Restarts are noticed by its session.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Whether an endpoint may be sent to.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// It is being tested.
    Testing,
    /// It passed its test, in this version.
    Admitted(EngineVersion),
    /// It did not, or does not answer.
    Out(ScanError),
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Where it listens.
    pub endpoint: String,
    /// What scans there, if it is admitted.
    pub engine: Option<EngineVersion>,
    /// Why it is not; `None` also while it is being tested.
    pub why: Option<String>,
    /// Streams that are with it.
    pub scans: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// For people: the endpoint and its versions, or why it is not used.
impl fmt::Display for EndpointStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.engine, &self.why) {
            (Some(engine), _) => {
                let database = engine.database.as_deref().unwrap_or("without a version");
                write!(f, "clamd {}: {}, signatures {database}", self.endpoint, engine.engine)
            }
            (None, Some(why)) => write!(f, "clamd {}: not used: {why}", self.endpoint),
            (None, None) => write!(f, "clamd {}: being tested", self.endpoint),
        }
    }
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) clamd: Clamd,
    state: Mutex<State>,
    /// Its standing is no longer that of an admitted one.
    fallen: Notify,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    seen: Instant,
    scans: usize,
    bytes: u64,
    /// When it was last taken: between equals the turn goes round.
    used: Instant,
}

impl Member {
    pub(super) fn new(clamd: Clamd) -> Self {
        let now = Instant::now();
        let state = State { standing: Standing::Testing, seen: now, scans: 0, bytes: 0, used: now };
        Self { clamd, state: Mutex::new(state), fallen: Notify::new(), looking: tokio::sync::Mutex::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.clamd.endpoint()
    }

    pub(super) fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    pub(super) fn admitted(&self) -> Option<EngineVersion> {
        match &self.state().standing {
            Standing::Admitted(engine) => Some(engine.clone()),
            Standing::Testing | Standing::Out(_) => None,
        }
    }

    pub(super) fn status(&self) -> EndpointStatus {
        let state = self.state();
        let (engine, why) = match &state.standing {
            Standing::Testing => (None, None),
            Standing::Admitted(engine) => (Some(engine.clone()), None),
            Standing::Out(error) => (None, Some(error.to_string())),
        };
        EndpointStatus { endpoint: self.endpoint().to_string(), engine, why, scans: state.scans, bytes: state.bytes }
    }

    /// Bytes and scans that are with it, and when it was last used, if it is admitted and has room: the least is next.
    pub(super) fn load(&self, most: NonZeroUsize) -> Option<(u64, usize, Instant)> {
        let state = self.state();
        let free = matches!(state.standing, Standing::Admitted(_)) && state.scans < most.get();
        free.then_some((state.bytes, state.scans, state.used))
    }

    /// Takes a slot, if there still is one.
    pub(super) fn take(&self, len: u64, most: NonZeroUsize) -> Option<EngineVersion> {
        let mut state = self.state();
        let Standing::Admitted(engine) = &state.standing else { return None };
        let engine = engine.clone();
        if state.scans >= most.get() {
            return None;
        }
        state.scans += 1;
        state.used = Instant::now();
        state.bytes = state.bytes.saturating_add(len);
        Some(engine)
    }

    pub(super) fn give_back(&self, len: u64) {
        let mut state = self.state();
        state.scans = state.scans.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(len);
    }

    /// Whether it still is what was admitted. If not, it is put out or tested.
    pub(super) async fn is_as_admitted(&self, shared: &Shared) -> bool {
        let _one = match self.is_fresh() {
            Some(fresh) => return fresh,
            None => self.looking.lock().await,
        };
        // Whoever was before us has looked.
        if let Some(fresh) = self.is_fresh() {
            return fresh;
        }
        let seen = Instant::now();
        match self.clamd.version().await.and_then(|engine| shared.terms.recent(engine)) {
            Ok(engine) => {
                let same = self.admitted().is_some_and(|admitted| admitted == engine);
                if same {
                    self.state().seen = seen;
                } else {
                    self.suspect(shared);
                }
                same
            }
            Err(error) => {
                self.put_out(error, shared);
                false
            }
        }
    }

    /// `Some(true)` for a look that is recent enough, `Some(false)` for an endpoint that is not admitted.
    fn is_fresh(&self) -> Option<bool> {
        let state = self.state();
        match state.standing {
            Standing::Admitted(_) => (state.seen.elapsed() < LOOK_AFTER).then_some(true),
            Standing::Testing | Standing::Out(_) => Some(false),
        }
    }

    /// Tests it now, and puts it out if it fails: then it is no content's fault.
    pub(super) async fn failed_test(&self, shared: &Shared) -> Option<ScanError> {
        let error = admission::self_test(&self.clamd).await.err()?;
        self.put_out(error.clone(), shared);
        Some(error.as_unreachable())
    }

    pub(super) fn admit(&self, engine: EngineVersion, shared: &Shared) {
        tracing::info!(endpoint = %self.endpoint(), engine = engine.engine, database = engine.database, "clamd admitted");
        let mut state = self.state();
        (state.standing, state.seen) = (Standing::Admitted(engine), Instant::now());
        drop(state);
        shared.changed.notify_waiters();
    }

    /// Nothing more is sent to it until it has passed another test.
    pub(super) fn suspect(&self, shared: &Shared) {
        self.fall(Standing::Testing, shared);
    }

    /// Nothing more is sent to it until it has passed another test, and nobody waits for that.
    pub(super) fn put_out(&self, error: ScanError, shared: &Shared) {
        let said = match self.standing() {
            Standing::Out(before) => before == error,
            Standing::Testing | Standing::Admitted(_) => false,
        };
        if !said {
            tracing::warn!(endpoint = %self.endpoint(), %error, "clamd is not used");
        }
        self.fall(Standing::Out(error), shared);
    }

    /// Waits until it is not admitted.
    pub(super) async fn fallen(&self) {
        while matches!(self.standing(), Standing::Admitted(_)) {
            self.fallen.notified().await;
        }
    }

    fn fall(&self, standing: Standing, shared: &Shared) {
        self.state().standing = standing;
        self.fallen.notify_one();
        shared.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
