//! Several clamds as one scanner: each admitted by a test, the least laden first, one that fails put out.
//!
//! Nothing is sent to an endpoint that has not proven, in its present version, that it finds EICAR, lets a harmless
//! file pass, says so when it did not look at everything, and has signatures of an age within bounds. A scan that met
//! no connection goes to the next endpoint; one whose connection broke does not, since its content may have been why. A
//! clean verdict counts only when the endpoint is found, after it, to be what was tested.

pub(super) mod addresses;
pub(super) mod admission;
mod member;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

pub use addresses::{Resolve, SystemResolver};
pub use admission::IDLE;
pub use member::EndpointStatus;

use self::member::{Member, Standing};
use super::{Content, EngineVersion, Scan, ScanError, Scanner, Verdict, clamd::Deadlines, endpoint::Endpoint};
use crate::clock::Clock;

/// How a pool is made.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Where clamds listen. A host name stands for every address that it has.
    pub endpoints: Vec<Endpoint>,
    /// How names are resolved.
    pub resolver: Arc<dyn Resolve>,
    /// How often they are.
    pub refresh: Duration,
    /// What each endpoint is held to.
    pub terms: Terms,
}

/// What an endpoint is held to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long its steps may take.
    pub deadlines: Deadlines,
    /// Streams at once: below clamd's `MaxThreads`, or they wait in there, on their deadline.
    pub concurrency: NonZeroUsize,
    /// How old its signatures may be; `None` for any age, and for databases without a date.
    pub max_age: Option<Duration>,
    /// The longest content that it has to take, in bytes.
    pub longest: u64,
    /// How soon it is tested again after it was put out, first and at most.
    pub retry: (Duration, Duration),
    /// Tells how old signatures are.
    pub clock: Clock,
}

impl PoolConfig {
    /// The endpoints, held to the defaults and to taking contents of `longest` bytes.
    pub fn new(endpoints: Vec<Endpoint>, longest: u64) -> Self {
        let terms = Terms {
            deadlines: Deadlines::default(),
            concurrency: NonZeroUsize::MIN.saturating_add(7),
            max_age: Some(Duration::from_secs(7 * 86_400)),
            longest,
            retry: (Duration::from_millis(200), Duration::from_secs(5)),
            clock: Clock::system(),
        };
        Self { endpoints, resolver: Arc::new(SystemResolver), refresh: Duration::from_secs(30), terms }
    }
}

/// A pool of clamds. Dropping it ends its tests, not the scans that run.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What the pool and its tasks share.
#[derive(Debug)]
struct Shared {
    terms: Terms,
    members: Mutex<Members>,
    /// A slot was given back, or an endpoint's standing changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Members {
    all: Vec<Arc<Member>>,
    /// Whether the names were resolved for the first time.
    known: bool,
    /// Why a name has no address.
    unresolved: Option<String>,
}

/// A slot of an endpoint; given back when dropped.
struct Lease {
    member: Arc<Member>,
    shared: Arc<Shared>,
    engine: EngineVersion,
    len: u64,
}

enum Choice {
    Taken(Lease),
    Wait,
    Nobody(ScanError),
}

impl Pool {
    /// Starts testing the endpoints. Needs a `tokio` runtime.
    pub fn start(config: PoolConfig) -> Self {
        let PoolConfig { endpoints, resolver, refresh, terms } = config;
        let shared = Arc::new(Shared { terms, members: Mutex::default(), changed: Notify::new() });
        let mut tasks = JoinSet::new();
        tasks.spawn(addresses::follow(Arc::clone(&shared), endpoints, resolver, refresh));
        Self { shared, _tasks: tasks }
    }

    /// Every endpoint as it stands now.
    pub fn status(&self) -> Vec<EndpointStatus> {
        self.shared.members().all.iter().map(|member| member.status()).collect()
    }

    /// A slot of the endpoint with the fewest bytes before it, as soon as there is one.
    async fn lease(&self, len: u64) -> Result<Lease, ScanError> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.shared.choose(len) {
                Choice::Taken(lease) => return Ok(lease),
                Choice::Nobody(error) => return Err(error),
                Choice::Wait => changed.await,
            }
        }
    }
}

#[async_trait]
impl Scanner for Pool {
    async fn scan(&self, content: Content<'_>) -> Result<Scan, ScanError> {
        let deadlines = self.shared.terms.deadlines;
        let (lease, connected) = loop {
            let lease = self.lease(content.len).await?;
            if !lease.member.is_as_admitted(&self.shared).await {
                continue;
            }
            match lease.member.clamd.connect().await {
                Ok(connected) => break (lease, connected),
                Err(error) => lease.member.put_out(error, &self.shared),
            }
        };
        let verdict = match timeout(deadlines.scan, connected.scan(content)).await {
            Ok(Ok(verdict)) => {
                // It may have loaded others that find nothing since it was looked at.
                if verdict == Verdict::Clean {
                    lease.member.vouch(&self.shared).await?;
                }
                return Ok(Scan { verdict, engine: lease.engine.clone() });
            }
            Ok(Err(error)) => error,
            // Whose doing is it? That of the content only if the endpoint is well.
            Err(_) => lease.member.failed_test(&self.shared).await.unwrap_or(ScanError::Deadline),
        };
        if matches!(verdict, ScanError::Unavailable(_) | ScanError::Garbled | ScanError::Scanner(_)) {
            lease.member.suspect(&self.shared);
        }
        Err(verdict)
    }

    async fn engine(&self) -> Result<EngineVersion, ScanError> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let newest =
                self.shared.members().all.iter().filter_map(|member| member.admitted()).max_by_key(EngineVersion::age);
            match newest {
                Some(engine) => return Ok(engine),
                None => match self.shared.nobody() {
                    Some(error) => return Err(error),
                    None => changed.await,
                },
            }
        }
    }
}

impl Shared {
    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(self: &Arc<Self>, len: u64) -> Choice {
        let members = self.members().all.clone();
        let free = members.iter().filter_map(|member| Some((member.load(self.terms.concurrency)?, member)));
        let mut by_load: Vec<_> = free.collect();
        by_load.sort_by_key(|(load, _)| *load);
        for (_, member) in by_load {
            if let Some(engine) = member.take(len, self.terms.concurrency) {
                return Choice::Taken(Lease { member: Arc::clone(member), shared: Arc::clone(self), engine, len });
            }
        }
        self.nobody().map_or(Choice::Wait, Choice::Nobody)
    }

    /// Why no endpoint will have a slot soon; `None` where one is admitted or under test.
    fn nobody(&self) -> Option<ScanError> {
        let members = self.members();
        let standings: Vec<Standing> = members.all.iter().map(|member| member.standing()).collect();
        if !members.known || standings.iter().any(|standing| !matches!(standing, Standing::Out(_))) {
            return None;
        }
        let why = standings.into_iter().find_map(|standing| match standing {
            // It says nothing about the next content.
            Standing::Out(unfit @ ScanError::Unfit(_)) => Some(unfit),
            Standing::Out(error) => Some(error.as_unreachable()),
            Standing::Testing | Standing::Admitted(_) => None,
        });
        let unresolved = || members.unresolved.clone().unwrap_or_else(|| "no clamd is configured".to_owned());
        Some(why.unwrap_or_else(|| ScanError::Unreachable(unresolved())))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.give_back(self.len);
        self.shared.changed.notify_one();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("member", &self.member).field("len", &self.len).finish_non_exhaustive()
    }
}
