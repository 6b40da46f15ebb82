//! One command on its way through a transaction: run in a savepoint, answered after the commit.

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use super::DatabaseError;

/// A command whose types are forgotten, so that many kinds share one transaction.
pub(super) trait Job: Send {
    /// Does the work in a savepoint, unless nobody waits for it any more. Says why it failed.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Option<DatabaseError>;

    /// Answers; `failed` is why the transaction as a whole failed.
    fn finish(self: Box<Self>, failed: Option<&DatabaseError>);
}

/// A [`Job`] made of two closures.
pub(super) struct Call<T, W, C> {
    work: Option<W>,
    outcome: Option<Result<T, DatabaseError>>,
    committed: C,
    answer: oneshot::Sender<Result<T, DatabaseError>>,
}

impl<T, W, C> Call<T, W, C> {
    pub(super) const fn new(work: W, committed: C, answer: oneshot::Sender<Result<T, DatabaseError>>) -> Self {
        Self { work: Some(work), outcome: None, committed, answer }
    }
}

impl<T, W, C> Job for Call<T, W, C>
where
    T: Send,
    W: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    C: FnOnce(&T) + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Option<DatabaseError> {
        if !self.answer.is_closed() {
            self.outcome = self.work.take().map(|work| attempt(transaction, work).map_err(DatabaseError::from));
        }
        self.outcome.as_ref()?.as_ref().err().cloned()
    }

    fn finish(self: Box<Self>, failed: Option<&DatabaseError>) {
        let outcome = match (failed, self.outcome) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(outcome)) => outcome,
            // The caller left before the work was done, so nobody listens.
            (None, None) => return,
        };
        if let Ok(value) = &outcome {
            (self.committed)(value);
        }
        // The caller may leave at any moment; the work is done all the same.
        drop(self.answer.send(outcome));
    }
}

fn attempt<T>(
    transaction: &mut Transaction<'_>,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let savepoint = transaction.savepoint()?;
    let value = work(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}
