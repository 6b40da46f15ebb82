//! The embedded state: one SQLite file, shared by several processes.
//!
//! A power cut may lose the last changes, as the port allows; the file itself stays sound.

#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{State, StateError};
use crate::{
    clock::Clock,
    sqlite::{Database, DatabaseError, Schema},
};

const SCHEMA: Schema = Schema {
    file: "state.db",
    version: 1,
    synchronous: "NORMAL",
    create: "
        CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX entry_expiry ON entry (expires_at);",
};

const READ: &str = "SELECT value FROM entry WHERE key = ?1 AND expires_at > ?2";
const WRITE: &str = "INSERT INTO entry VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at";
/// A few at each write, so that the file stays small and no write pays for all.
const PURGE: &str = "DELETE FROM entry WHERE key IN (SELECT key FROM entry WHERE expires_at <= ?1 LIMIT 20)";

/// State on one SQLite file.
#[derive(Clone)]
pub struct SqliteState {
    database: Arc<Database>,
    clock: Clock,
}

impl fmt::Debug for SqliteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteState").finish_non_exhaustive()
    }
}

impl From<DatabaseError> for StateError {
    fn from(error: DatabaseError) -> Self {
        Self(error.to_string())
    }
}

impl SqliteState {
    /// Opens `state.db` in `dir`, creating both if need be. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened or was written by a newer version.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, StateError> {
        Ok(Self { database: Arc::new(Database::open(dir, &SCHEMA)?), clock })
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let clock = self.clock.clone();
        Ok(self.database.call(move |connection| work(connection, clock.now().as_millisecond()), |_| ()).await?)
    }
}

#[async_trait]
impl State for SqliteState {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let key = key.to_owned();
        self.call(move |connection, now| read(connection, &key, now)).await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StateError> {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.call(move |connection, now| write(connection, &key, Some(&value), ttl, now)).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl: Duration,
    ) -> Result<bool, StateError> {
        let (key, expected, value) = (key.to_owned(), expected.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        self.call(move |connection, now| {
            let same = read(connection, &key, now)? == expected;
            if same {
                write(connection, &key, value.as_deref(), ttl, now)?;
            }
            Ok(same)
        })
        .await
    }
}

fn read(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(READ)?.query_row(params![key, now], |row| row.get(0)).optional()
}

fn write(connection: &Connection, key: &str, value: Option<&[u8]>, ttl: Duration, now: i64) -> rusqlite::Result<()> {
    let expires_at = now.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
    match value {
        Some(value) => connection.prepare_cached(WRITE)?.execute(params![key, value, expires_at])?,
        None => connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key])?,
    };
    connection.prepare_cached(PURGE)?.execute([now])?;
    Ok(())
}
