//! The embedded queue: SQS semantics on one SQLite file, shared by several processes.
//!
//! An answered send is on the disk. A poll waits without polling: it is woken by this process, by another one's bell,
//! or at the time when the next message of its queue becomes visible.

mod bell;
mod schema;
mod store;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    bell::{Bell, Bells},
    store::{Store, Taken},
};
use super::{
    Depth, Outgoing, Queue, QueueError, Receipt, Received,
    check::{self, Tally},
};
use crate::{
    clock::Clock,
    sqlite::{Database, DatabaseError},
};

/// Where a message goes that is received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// How often a message may be received, at least 1; it is moved when it would be received once more.
    pub max_receives: u32,
    /// The dead-letter queue. The body is unchanged there, and its receives are counted anew.
    pub dead_letter: String,
}

/// The queues of one folder.
pub struct SqliteQueues {
    database: Database,
    bells: Bells,
    clock: Clock,
}

impl fmt::Debug for SqliteQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueues").finish_non_exhaustive()
    }
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl SqliteQueues {
    /// Opens `queue.db` in `dir`, creating both if need be. Blocks.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] when the file cannot be opened, was written by a newer version, or its folder
    /// cannot be watched.
    pub fn open(dir: &Path, clock: Clock) -> Result<Arc<Self>, QueueError> {
        let database = Database::open(dir, &schema::SCHEMA)?;
        let bells = Bells::open(&dir.join("bells")).map_err(|error| unavailable("bells", &error))?;
        Ok(Arc::new(Self { database, bells, clock }))
    }

    /// The queue of that name, which exists as soon as it is asked for. Blocks briefly.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a name that SQS would refuse or a redrive that cannot work;
    /// [`QueueError::Unavailable`] when its bell cannot be opened.
    pub fn queue(self: &Arc<Self>, name: &str, redrive: Option<Redrive>) -> Result<Arc<dyn Queue>, QueueError> {
        let bell = self.bell(name)?;
        let redrive = redrive.map(|redrive| self.checked(name, redrive)).transpose()?;
        Ok(Arc::new(SqliteQueue { queues: Arc::clone(self), name: name.into(), bell, redrive }))
    }

    fn checked(&self, name: &str, redrive: Redrive) -> Result<(Redrive, Arc<Bell>), QueueError> {
        if redrive.max_receives == 0 {
            return Err(QueueError::Invalid("max_receives is 0"));
        }
        if redrive.dead_letter == name {
            return Err(QueueError::Invalid("a queue is its own dead-letter queue"));
        }
        let bell = self.bell(&redrive.dead_letter)?;
        Ok((redrive, bell))
    }

    fn bell(&self, name: &str) -> Result<Arc<Bell>, QueueError> {
        check::name(name)?;
        self.bells.get(name).map_err(|error| unavailable("bells", &error))
    }
}

fn unavailable(what: &str, error: &dyn fmt::Display) -> QueueError {
    QueueError::Unavailable(format!("{what}: {error}"))
}

struct SqliteQueue {
    queues: Arc<SqliteQueues>,
    name: Arc<str>,
    bell: Arc<Bell>,
    redrive: Option<(Redrive, Arc<Bell>)>,
}

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SqliteQueue {
    /// Runs `work` on this queue's messages; `committed` learns of its result when it is durable.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store<'_>) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, QueueError> {
        let (name, clock) = (Arc::clone(&self.name), self.queues.clock.clone());
        let work = move |connection: &Connection| {
            let began = Instant::now();
            work(&Store { connection, queue: &name, now: clock.now().as_millisecond(), began })
        };
        Ok(self.queues.database.call(work, committed).await?)
    }

    async fn take(&self, max: usize, visibility: Duration) -> Result<Taken, QueueError> {
        let (redrive, dead_letter) = self.redrive.clone().unzip();
        let ring = move |taken: &Taken| {
            if let Some(bell) = dead_letter.filter(|_| taken.moved > 0) {
                bell.ring();
            }
        };
        self.call(move |store| store.receive(max, visibility, redrive.as_ref()), ring).await
    }

    /// How long to sleep after an empty answer, unless the bell rings.
    fn pause(&self, taken: &Taken) -> Option<Duration> {
        let now = self.queues.clock.now().as_millisecond();
        taken.next.map(|next| Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)))
    }

    /// Runs `work` over the entries that passed their checks and puts its results among the refusals.
    async fn entries<T: Send + 'static>(
        &self,
        tally: Tally<T>,
        work: impl FnOnce(&Store<'_>, &[T]) -> rusqlite::Result<Vec<Result<Changed, QueueError>>> + Send + 'static,
    ) -> Vec<Result<(), QueueError>> {
        let Tally { accepted, verdicts } = tally;
        if accepted.is_empty() {
            return verdicts;
        }
        let bell = Arc::clone(&self.bell);
        let ring = move |results: &Vec<Result<Changed, QueueError>>| {
            if results.contains(&Ok(Changed::Sooner)) {
                bell.ring();
            }
        };
        let results = self.call(move |store| work(store, &accepted), ring).await;
        check::merge(verdicts, results.map(|results| results.into_iter().map(|result| result.map(drop)).collect()))
    }
}

/// What a change means to those who wait for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    /// A message is or will be visible sooner than they know.
    Sooner,
    /// Nothing new.
    Quietly,
}

#[async_trait]
impl Queue for SqliteQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        self.entries(check::outgoing(batch), |store, batch| store.send(batch)).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
        stop: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        check::receive(max, wait, visibility)?;
        let end = Instant::now() + wait;
        while !stop.is_cancelled() {
            // Listen before looking, or what is sent in between would go unheard.
            let rung = self.bell.rung();
            let taken = self.take(max, visibility).await?;
            if !taken.messages.is_empty() || Instant::now() >= end {
                return Ok(taken.messages);
            }
            let wake = self.pause(&taken).map_or(end, |pause| end.min(Instant::now() + pause));
            tokio::select! {
                () = stop.cancelled() => {}
                () = rung => {}
                () = sleep_until(wake) => {}
            }
        }
        Ok(Vec::new())
    }

    async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>> {
        self.entries(check::receipts(batch), |store, batch| store.delete(batch)).await
    }

    async fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        self.entries(check::changes(batch), |store, batch| store.change_visibility(batch)).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.call(|store| store.depth(), |_| ()).await
    }
}
