//! Has clamds load their signatures anew, one after the other: the next one is told to only when the one before it
//! answers with the new signatures and passes the test of the pool.
//!
//! It ends at the first clamd that does not. All the others then go on with the signatures that they have, so that
//! signatures which do not load, or find nothing, reach one clamd and not the fleet. No pool can order this: a clamd
//! whose signatures have changed has changed already, and is not used before its test.

mod database;
mod one;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, io, path::PathBuf, time::Duration};

use tokio::time::sleep;

pub use database::version_in;

use super::{
    EngineVersion, ScanError,
    clamd::Clamd,
    endpoint::Endpoint,
    pool::{PoolConfig, addresses},
};
use one::Patience;

/// How a reload goes about it.
#[derive(Debug, Clone)]
pub struct Order {
    /// How long each clamd may take, from the command to its passed test.
    pub deadline: Duration,
    /// How long to wait before the next one: a pool that does not scan looks at its clamds every
    /// [`super::pool::IDLE`], and has tested the last one by then.
    pub pause: Duration,
    /// The signatures' version that each of them has to come to, where it is known. A clamd that has it already is left
    /// alone. Without it the end of a load can only be seen where the version changes.
    pub wanted: Option<u64>,
}

/// What became of a clamd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// What it had; `None` if it was not fit for use, or did not say.
    pub before: Option<EngineVersion>,
    /// What it has; the same as before if there was nothing new.
    pub engine: EngineVersion,
}

impl Reloaded {
    /// Whether it has other signatures now.
    pub fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.engine)
    }
}

/// Why a reload ended before its end. All clamds that come later have the signatures that they had.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A name stands for no address. Nothing was reloaded.
    #[error("nothing was reloaded: {0}")]
    Unresolved(String),
    /// One does not answer before it begins: a fleet that lacks one is not made smaller. Nothing was reloaded.
    #[error("nothing was reloaded: clamd {endpoint} does not answer: {error}")]
    Absent {
        /// Which.
        endpoint: Endpoint,
        /// What it said last.
        error: ScanError,
    },
    /// One does not take the command.
    #[error("clamd {endpoint} does not take RELOAD: {error}")]
    Refused {
        /// Which.
        endpoint: Endpoint,
        /// What it said.
        error: ScanError,
    },
    /// One fails the test of the pool with its new signatures, or does not answer any more.
    #[error("clamd {endpoint} is not used with what it loaded: {error}")]
    Unfit {
        /// Which.
        endpoint: Endpoint,
        /// Why.
        error: ScanError,
    },
    /// One has older signatures than it should by the deadline: those on its disk do not load, or are not there.
    #[error("clamd {endpoint} still has signatures {has} and not {wanted}: its log says why they do not load")]
    Kept {
        /// Which.
        endpoint: Endpoint,
        /// The version that it has.
        has: String,
        /// The version that it should have.
        wanted: u64,
    },
    /// The signatures on disk cannot be read.
    #[error("{}: {error}", path.display())]
    Database {
        /// Where they are.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Reloads all clamds of a pool in turn, those first that are not fit for use anyway; `told` hears of each as it is done.
///
/// # Errors
/// [`ReloadError`], at the first clamd that is not well afterwards.
pub async fn reload(config: &PoolConfig, order: &Order, mut told: impl FnMut(&Reloaded)) -> Result<(), ReloadError> {
    let mut clamds = present(config, order).await?;
    clamds.sort_by_key(|(_, known)| known.is_some());
    let newest = clamds.iter().filter_map(|(_, known)| number(known.as_ref()?)).max();
    let mut wanted = order.wanted.max(newest);
    let mut is_first = true;
    for (clamd, before) in clamds {
        let is_current = |engine: &EngineVersion| order.wanted.is_some() && number(engine) >= order.wanted;
        let engine = match before.clone().filter(is_current) {
            Some(engine) => engine,
            None => {
                if !std::mem::take(&mut is_first) {
                    sleep(order.pause).await;
                }
                one::reload(&clamd, &config.terms, order.deadline, wanted).await?
            }
        };
        wanted = wanted.max(number(&engine));
        told(&Reloaded { endpoint: clamd.endpoint().clone(), before, engine });
    }
    Ok(())
}

/// Every clamd with the version in which it is fit for use, once all of them answer.
async fn present(config: &PoolConfig, order: &Order) -> Result<Vec<(Clamd, Option<EngineVersion>)>, ReloadError> {
    let (endpoints, unresolved): (BTreeSet<Endpoint>, _) = addresses::all(&config.endpoints, &config.resolver).await;
    if let Some(why) = unresolved {
        return Err(ReloadError::Unresolved(why));
    }
    let mut present = Vec::new();
    for endpoint in endpoints {
        let clamd = Clamd::new(endpoint, config.terms.deadlines);
        let known = match Patience::of(order.deadline).admission(&clamd, &config.terms).await {
            Ok(engine) => Some(engine),
            Err(ScanError::Unfit(_)) => None,
            Err(error) => return Err(ReloadError::Absent { endpoint: clamd.endpoint().clone(), error }),
        };
        present.push((clamd, known));
    }
    Ok(present)
}

/// The version of the signatures, where they have one.
fn number(engine: &EngineVersion) -> Option<u64> {
    engine.database.as_ref()?.parse().ok()
}
