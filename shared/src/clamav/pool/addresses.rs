//! From endpoints to addresses: a name stands for every address that it has now, as a headless service's does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{Members, Shared, admission, member::Member};
use crate::clamav::{clamd::Clamd, endpoint::Endpoint};

/// Resolves the names of clamds.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// Every address of `host:port`.
    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host(address).await?.collect())
    }
}

/// Keeps the pool's members at what the endpoints stand for, and tests each of them, until dropped.
pub(super) async fn follow(
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    resolver: Arc<dyn Resolve>,
    refresh: Duration,
) {
    let mut names = Names { resolver, known: BTreeMap::new() };
    let mut keepers = Keepers::default();
    loop {
        let (wanted, unresolved) = names.expand(&endpoints).await;
        let all = keepers.keep(&wanted, &shared);
        *shared.members() = Members { all, known: true, unresolved };
        shared.changed.notify_waiters();
        sleep(refresh).await;
    }
}

/// Every address that the endpoints stand for now, and why a name has none.
pub(in crate::clamav) async fn all(
    endpoints: &[Endpoint],
    resolver: &Arc<dyn Resolve>,
) -> (BTreeSet<Endpoint>, Option<String>) {
    Names { resolver: Arc::clone(resolver), known: BTreeMap::new() }.expand(endpoints).await
}

/// What names stood for when they last had an answer.
struct Names {
    resolver: Arc<dyn Resolve>,
    known: BTreeMap<String, Vec<SocketAddr>>,
}

impl Names {
    /// Every address, and why a name has none. A name that cannot be resolved stands for what it stood for.
    async fn expand(&mut self, endpoints: &[Endpoint]) -> (BTreeSet<Endpoint>, Option<String>) {
        let (mut all, mut unresolved) = (BTreeSet::new(), None);
        for endpoint in endpoints {
            let Some(name) = endpoint.name() else {
                all.insert(endpoint.clone());
                continue;
            };
            match self.resolver.resolve(name).await {
                Ok(addresses) if addresses.is_empty() => unresolved = Some(format!("{endpoint}: no address")),
                Ok(addresses) => drop(self.known.insert(name.to_owned(), addresses)),
                Err(error) => unresolved = Some(format!("{endpoint}: {error}")),
            }
            let addresses = self.known.get(name).into_iter().flatten();
            all.extend(addresses.map(|address| Endpoint::Tcp(address.to_string())));
        }
        (all, unresolved)
    }
}

/// The tasks that test the members; ended when dropped.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<()>,
    members: BTreeMap<Endpoint, (Arc<Member>, AbortHandle)>,
}

impl Keepers {
    /// Begins with members that are new and ends with those that are gone; what runs there may end.
    fn keep(&mut self, wanted: &BTreeSet<Endpoint>, shared: &Arc<Shared>) -> Vec<Arc<Member>> {
        self.members.retain(|endpoint, (member, task)| {
            let stays = wanted.contains(endpoint);
            if !stays {
                task.abort();
                member.retire(shared);
            }
            stays
        });
        for endpoint in wanted {
            if !self.members.contains_key(endpoint) {
                let member = Arc::new(Member::new(Clamd::new(endpoint.clone(), shared.terms.deadlines)));
                let task = self.tasks.spawn(admission::keep(Arc::clone(&member), Arc::clone(shared)));
                self.members.insert(endpoint.clone(), (member, task));
            }
        }
        self.members.values().map(|(member, _)| Arc::clone(member)).collect()
    }
}
