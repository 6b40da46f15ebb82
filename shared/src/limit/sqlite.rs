//! The limiter of one machine: exact GCRA and slots in one SQLite file, shared by several processes.
//!
//! It lives by the wall clock, as the embedded queue does, since processes have no other in common. A power cut may lose
//! the last charges, as the port allows; the file itself stays sound. Keys whose time has come are removed, a few more at
//! each request than it may add: the file holds only keys charged within their last period, and slots used lately.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Answer, Charge, Holder, LimitError, Limiter, Request, Slot, Turn,
    gcra::{Seen, Tat, Weighed},
    line::Line,
};
use crate::{
    clock::Clock,
    sqlite::{Database, DatabaseError, Schema},
};

const SCHEMA: Schema = Schema {
    file: "limits.db",
    version: 2,
    synchronous: "NORMAL",
    create: "
        CREATE TABLE IF NOT EXISTS tat (key TEXT PRIMARY KEY, scaled BLOB NOT NULL, count INTEGER NOT NULL,
            expires_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS tat_expiry ON tat (expires_at);
        CREATE TABLE IF NOT EXISTS slot (key TEXT NOT NULL, holder TEXT NOT NULL, expires_at INTEGER NOT NULL,
            PRIMARY KEY (key, holder)) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS slot_expiry ON slot (expires_at);
        CREATE TABLE IF NOT EXISTS line (key TEXT PRIMARY KEY, tail INTEGER NOT NULL, hold INTEGER NOT NULL,
            moved INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS line_expiry ON line (expires_at);",
};

const READ: &str = "SELECT scaled, count FROM tat WHERE key = ?1";
const WRITE: &str = "INSERT INTO tat VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET scaled = excluded.scaled, count = excluded.count, expires_at = excluded.expires_at";
const OTHERS: &str = "SELECT COUNT(*) FROM slot WHERE key = ?1 AND holder <> ?2 AND expires_at > ?3";
const TAKE: &str = "INSERT INTO slot VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at";
const GIVE: &str = "DELETE FROM slot WHERE key = ?1 AND holder = ?2";
/// Twice as many at each request as it may add, so that the file shrinks and no request pays for all.
const PURGE: [&str; 3] = [
    "DELETE FROM tat WHERE key IN (SELECT key FROM tat WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM slot WHERE (key, holder) IN (SELECT key, holder FROM slot WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM line WHERE key IN (SELECT key FROM line WHERE expires_at <= ?1 LIMIT ?2)",
];
const LEAST_PURGED: i64 = 20;
const FORGET: [&str; 3] =
    ["DELETE FROM tat WHERE key = ?1", "DELETE FROM slot WHERE key = ?1", "DELETE FROM line WHERE key = ?1"];
const READ_LINE: &str = "SELECT tail, hold, moved FROM line WHERE key = ?1";
const WRITE_LINE: &str = "INSERT OR REPLACE INTO line VALUES (?1, ?2, ?3, ?4, ?5)";

const NANOS_PER_MILLI: u128 = 1_000_000;
const MICROS_PER_MILLI: u64 = 1000;

/// A limiter on one SQLite file. Clones are the same limiter.
#[derive(Clone)]
pub struct SqliteLimiter {
    database: Arc<Database>,
    clock: Clock,
}

impl fmt::Debug for SqliteLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLimiter").finish_non_exhaustive()
    }
}

impl From<DatabaseError> for LimitError {
    fn from(error: DatabaseError) -> Self {
        Self(error.to_string())
    }
}

impl SqliteLimiter {
    /// Opens `limits.db` in `dir`, creating both if need be. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened or was written by a newer version.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, LimitError> {
        Ok(Self { database: Arc::new(Database::open(dir, &SCHEMA)?), clock })
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LimitError> {
        let clock = self.clock.clone();
        Ok(self.database.call(move |connection| work(connection, millis(clock.now())), |_| ()).await?)
    }
}

#[async_trait]
impl Limiter for SqliteLimiter {
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LimitError> {
        if request.charges.is_empty() && request.slots.is_empty() {
            return Ok(Answer { turn: Turn::Now, waits: Vec::new(), full: Vec::new() });
        }
        let (charges, slots, holder) = (request.charges.to_vec(), request.slots.to_vec(), request.holder.clone());
        let (longest, trial, clock) = (request.longest, request.trial, self.clock.clone());
        self.call(move |connection, now| {
            let request = Request { charges: &charges, slots: &slots, holder: &holder, longest, trial };
            ask(connection, &request, now, &clock)
        })
        .await
    }

    async fn renew(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        let (slots, holder) = (slots.to_vec(), holder.clone());
        self.call(move |connection, now| slots.iter().try_for_each(|key| take(connection, key, &holder, now))).await
    }

    async fn release(&self, slots: &[String], holder: &Holder, held: Duration) -> Result<(), LimitError> {
        let (slots, holder) = (slots.to_vec(), holder.id.clone());
        self.call(move |connection, now| {
            slots.iter().try_for_each(|key| {
                if connection.prepare_cached(GIVE)?.execute([key, &holder])? == 0 {
                    return Ok(());
                }
                let mut line = line(connection, key)?;
                line.given_back(held, micros(now));
                write_line(connection, key, line)
            })
        })
        .await
    }

    async fn forget(&self, keys: &[String]) -> Result<(), LimitError> {
        let keys = keys.to_vec();
        self.call(move |connection, _| {
            let forget = |key: &String| FORGET.iter().try_for_each(|sql| connection.execute(sql, [key]).map(drop));
            keys.iter().try_for_each(forget)
        })
        .await
    }
}

fn ask(connection: &Connection, request: &Request<'_>, now: i64, clock: &Clock) -> rusqlite::Result<Answer> {
    let stored = stored(connection, request.charges)?;
    let seen = request.slots.iter().map(|slot| seen(connection, slot, request.holder, now));
    let seen = seen.collect::<rusqlite::Result<Vec<_>>>()?;
    let nanos = u128::try_from(now).unwrap_or_default() * NANOS_PER_MILLI;
    let weighed = Weighed::new(request, |key| stored.get(key).copied(), &seen, nanos);
    if weighed.charges(request) {
        let mut write = connection.prepare_cached(WRITE)?;
        for (key, tat) in &weighed.after {
            let expires_at = i64::try_from(tat.millis()).unwrap_or(i64::MAX);
            write.execute(params![key, tat.scaled.to_be_bytes(), tat.count, expires_at])?;
        }
    }
    for key in weighed.takes(request) {
        take(connection, key, request.holder, now)?;
    }
    if weighed.moves(request) {
        weighed.lines.iter().try_for_each(|(key, line)| write_line(connection, key, *line))?;
    }
    let parts = request.charges.len() + request.slots.len();
    let most = i64::try_from(parts * 2).unwrap_or(i64::MAX).max(LEAST_PURGED);
    for sql in PURGE {
        connection.prepare_cached(sql)?.execute([now, most])?;
    }
    Ok(weighed.answer(clock))
}

fn stored(connection: &Connection, charges: &[Charge]) -> rusqlite::Result<HashMap<String, Tat>> {
    let mut read = connection.prepare_cached(READ)?;
    let mut stored = HashMap::with_capacity(charges.len());
    for charge in charges {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?));
        if let Some((scaled, count)) = read.query_row([&charge.key], row).optional()? {
            stored.insert(charge.key.clone(), Tat { scaled: u128::from_be_bytes(scaled), count });
        }
    }
    Ok(stored)
}

fn seen(connection: &Connection, slot: &Slot, holder: &Holder, now: i64) -> rusqlite::Result<Seen> {
    let others: i64 =
        connection.prepare_cached(OTHERS)?.query_row(params![slot.key, holder.id, now], |row| row.get(0))?;
    Ok(Seen { full: others >= i64::from(slot.limit.get()), line: line(connection, &slot.key)? })
}

fn line(connection: &Connection, key: &str) -> rusqlite::Result<Line> {
    let number = |row: &rusqlite::Row<'_>, at| row.get(at).map(|number: i64| u64::try_from(number).unwrap_or_default());
    let row =
        |row: &rusqlite::Row<'_>| Ok(Line { tail: number(row, 0)?, hold: number(row, 1)?, moved: number(row, 2)? });
    Ok(connection.prepare_cached(READ_LINE)?.query_row([key], row).optional()?.unwrap_or_default())
}

fn write_line(connection: &Connection, key: &str, line: Line) -> rusqlite::Result<()> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let [tail, hold, moved] = [line.tail, line.hold, line.moved].map(number);
    let expires_at = number(line.forgotten_at() / MICROS_PER_MILLI);
    connection.prepare_cached(WRITE_LINE)?.execute(params![key, tail, hold, moved, expires_at])?;
    Ok(())
}

fn take(connection: &Connection, key: &str, holder: &Holder, now: i64) -> rusqlite::Result<()> {
    let lease = i64::try_from(holder.lease.as_millis()).unwrap_or(i64::MAX);
    connection.prepare_cached(TAKE)?.execute(params![key, holder.id, now.saturating_add(lease)])?;
    Ok(())
}

fn micros(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or_default().saturating_mul(MICROS_PER_MILLI)
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}
