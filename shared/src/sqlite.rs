//! One SQLite file that several processes share: commands in, one transaction for all that wait, answers out.
//!
//! At most one transaction of this process runs at a time, on tokio's blocking pool, and takes with it every
//! command that waits (group commit: one fsync for many commands). A command is answered only after the commit, and
//! one that fails is rolled back alone. Processes take turns by a lock file, in which the kernel queues and wakes
//! them, rather than by SQLite's sleep-and-retry.

mod job;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use self::job::{Call, Job};

/// Most commands in one transaction, so that the first of them does not wait for ever.
const MAX_GROUP: usize = 64;
/// How long to wait for a foreign program, such as the `sqlite3` shell, that holds the file without our lock.
const FOREIGN_LOCK: Duration = Duration::from_secs(10);

/// Why a command failed. The text names no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DatabaseError(String);

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What a file holds and how carefully.
pub(crate) struct Schema {
    /// The file's name in its folder.
    pub(crate) file: &'static str,
    /// Its `user_version`; a file with a higher one is refused.
    pub(crate) version: i64,
    /// The statements that create it, and what is new in it for a file with a lower one.
    pub(crate) create: &'static str,
    /// `PRAGMA synchronous`: `FULL` survives a power cut, `NORMAL` may lose the last commits in one.
    pub(crate) synchronous: &'static str,
}

/// An open file. Dropping it loses nothing that was answered.
pub(crate) struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Mutex<Jobs>,
    connection: Mutex<Connection>,
    turns: File,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Box<dyn Job>>,
    running: bool,
}

impl Database {
    /// Opens the file in `dir`, creating both (readable by this user only) if need be.
    pub(crate) fn open(dir: &Path, schema: &Schema) -> Result<Self, DatabaseError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let turns =
            File::options().create(true).truncate(false).write(true).open(dir.join(format!("{}.lock", schema.file)))?;
        let connection = {
            let _turn = Turn::take(&turns)?;
            connect(&dir.join(schema.file), schema)?
        };
        Ok(Self { inner: Arc::new(Inner { jobs: Mutex::default(), connection: Mutex::new(connection), turns }) })
    }

    /// Runs `work` in a transaction and answers after its commit; `committed` runs just before that.
    ///
    /// A call that is dropped before its turn does nothing; later, its work is done and the answer lost.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Box::new(Call::new(work, committed, answer)));
        answered.await.unwrap_or_else(|_| Err(DatabaseError("the transaction was abandoned".into())))
    }

    fn submit(&self, job: Box<dyn Job>) {
        let mut jobs = self.inner.jobs();
        jobs.waiting.push_back(job);
        if !jobs.running {
            jobs.running = true;
            let drain = Drain { inner: Arc::clone(&self.inner), finished: false };
            tokio::task::spawn_blocking(move || drain.run());
        }
    }
}

fn connect(path: &Path, schema: &Schema) -> Result<Connection, DatabaseError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(FOREIGN_LOCK)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", schema.synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > schema.version {
        let Schema { file, version: known, .. } = schema;
        return Err(DatabaseError(format!(
            "{file} has format {version} and this program knows {known}: use the program that wrote it, or a newer one"
        )));
    }
    if version < schema.version {
        transaction.execute_batch(schema.create)?;
        transaction.pragma_update(None, "user_version", schema.version)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// Runs jobs until none waits. If the runtime ends before it starts, the jobs are answered by being dropped.
struct Drain {
    inner: Arc<Inner>,
    finished: bool,
}

impl Drain {
    fn run(mut self) {
        while let Some(group) = self.inner.next_group() {
            // A command that panics takes its group's transaction along; the next group has a new one.
            if panic::catch_unwind(AssertUnwindSafe(|| self.inner.execute(group))).is_err() {
                tracing::error!("a database command panicked");
            }
        }
        self.finished = true;
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if !self.finished {
            *self.inner.jobs() = Jobs::default();
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits, at most [`MAX_GROUP`]; `None`, and no longer running, when nothing does.
    fn next_group(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut jobs = self.jobs();
        let count = jobs.waiting.len().min(MAX_GROUP);
        jobs.running = count > 0;
        jobs.running.then(|| jobs.waiting.drain(..count).collect())
    }

    fn execute(&self, mut group: Vec<Box<dyn Job>>) {
        let committed = self.transact(&mut group);
        for job in group {
            job.finish(committed.as_ref().err());
        }
    }

    fn transact(&self, group: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = Turn::take(&self.turns)?;
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in group {
            let failed = job.run(&mut transaction);
            // A full disk rolls everything back at once: what follows must not run outside a transaction.
            if transaction.is_autocommit() {
                return Err(failed.unwrap_or_else(|| DatabaseError("the transaction was rolled back".into())));
            }
        }
        Ok(transaction.commit()?)
    }
}

/// This process's turn at the file. The kernel ends it too when the process dies.
struct Turn<'a>(&'a File);

impl<'a> Turn<'a> {
    fn take(file: &'a File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::error!(%error, "the database's lock file cannot be unlocked");
        }
    }
}
