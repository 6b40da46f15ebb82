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

/// How long an endpoint is taken for what it was, without a look at its version before a scan. It spares scans that would
/// not count; whether one counts is asked after it ([`Member::vouch`]). Restarts are noticed by its session.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Why an endpoint is out that was left alone while it was under test.
const RETIRED: &str = "it is no endpoint any more";

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
    /// Its standing is another one.
    turned: Notify,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// When the look, or the test, began that last found it to be what was admitted.
    seen: Instant,
    /// Nobody tests it any more.
    is_retired: bool,
    scans: usize,
    bytes: u64,
    /// When it was last taken: between equals the turn goes round.
    used: Instant,
}

impl Member {
    pub(super) fn new(clamd: Clamd) -> Self {
        let now = Instant::now();
        let state = State { standing: Standing::Testing, seen: now, is_retired: false, scans: 0, bytes: 0, used: now };
        Self {
            clamd,
            state: Mutex::new(state),
            fallen: Notify::new(),
            turned: Notify::new(),
            looking: tokio::sync::Mutex::default(),
        }
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
        let now = Instant::now();
        self.is_admitted_since(now.checked_sub(LOOK_AFTER).unwrap_or(now), shared).await
    }

    /// Waits until it is known whether a verdict that it has just given counts: what scanned is what was admitted, or has
    /// passed its test since. Several scans that end together share a look.
    ///
    /// # Errors
    /// Why it is not used any more. It says nothing about the content.
    pub(super) async fn vouch(&self, shared: &Shared) -> Result<(), ScanError> {
        let ended = Instant::now();
        loop {
            let turned = self.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            match self.standing() {
                Standing::Admitted(_) if self.is_admitted_since(ended, shared).await => return Ok(()),
                Standing::Admitted(_) => {}
                Standing::Testing => turned.await,
                Standing::Out(unfit @ ScanError::Unfit(_)) => return Err(unfit),
                Standing::Out(error) => return Err(error.as_unreachable()),
            }
        }
    }

    /// The same as [`Member::is_as_admitted`], by a look that began at that moment or later.
    async fn is_admitted_since(&self, since: Instant, shared: &Shared) -> bool {
        let _one = match self.is_fresh(since) {
            Some(fresh) => return fresh,
            None => self.looking.lock().await,
        };
        // Whoever was before us has looked.
        if let Some(fresh) = self.is_fresh(since) {
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
    fn is_fresh(&self, since: Instant) -> Option<bool> {
        let state = self.state();
        match state.standing {
            Standing::Admitted(_) => (state.seen >= since).then_some(true),
            Standing::Testing | Standing::Out(_) => Some(false),
        }
    }

    /// Tests it now, and puts it out if it fails: then it is no content's fault.
    pub(super) async fn failed_test(&self, shared: &Shared) -> Option<ScanError> {
        let error = admission::self_test(&self.clamd).await.err()?;
        self.put_out(error.clone(), shared);
        Some(error.as_unreachable())
    }

    /// It has passed the test that began at that moment.
    pub(super) fn admit(&self, engine: EngineVersion, began: Instant, shared: &Shared) {
        tracing::info!(endpoint = %self.endpoint(), engine = engine.engine, database = engine.database, "clamd admitted");
        let mut state = self.state();
        (state.standing, state.seen) = (Standing::Admitted(engine), began);
        drop(state);
        self.turned.notify_waiters();
        shared.changed.notify_waiters();
    }

    /// Nothing more is sent to it until it has passed another test.
    pub(super) fn suspect(&self, shared: &Shared) {
        self.fall(Standing::Testing, shared);
    }

    /// Nobody tests it from now on. What runs there may end, and counts as long as it stays what it was.
    pub(super) fn retire(&self, shared: &Shared) {
        let mut state = self.state();
        state.is_retired = true;
        let is_under_test = matches!(state.standing, Standing::Testing);
        drop(state);
        if is_under_test {
            self.suspect(shared);
        }
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
        let mut state = self.state();
        state.standing = match standing {
            Standing::Testing if state.is_retired => Standing::Out(ScanError::Unreachable(RETIRED.to_owned())),
            other => other,
        };
        drop(state);
        self.fallen.notify_one();
        self.turned.notify_waiters();
        shared.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
