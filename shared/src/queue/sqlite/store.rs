//! What each queue operation does to the file, within the transaction it is given.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::time::Instant;

use super::{
    super::{Depth, MAX_VISIBILITY, Outgoing, QueueError, Receipt, Received},
    Changed, Redrive, schema,
};

/// Most messages that one receive moves to the dead-letter queue.
const MAX_MOVES: usize = 100;

type Results = rusqlite::Result<Vec<Result<Changed, QueueError>>>;

/// One queue's messages at one time.
pub(super) struct Store<'a> {
    /// In a transaction.
    pub(super) connection: &'a Connection,
    /// The queue's name.
    pub(super) queue: &'a str,
    /// Unix milliseconds.
    pub(super) now: i64,
    /// The same time, or a little before.
    pub(super) began: Instant,
}

/// What a receive brings.
pub(super) struct Taken {
    /// The messages, leased.
    pub(super) messages: Vec<Received>,
    /// How many went to the dead-letter queue instead.
    pub(super) moved: usize,
    /// If there are no messages: when to look again even if nothing happens, in Unix milliseconds.
    pub(super) next: Option<i64>,
}

/// A message about to be leased or moved.
struct Candidate {
    id: i64,
    receive_count: u32,
    group: String,
}

impl Store<'_> {
    /// Adds messages.
    pub(super) fn send(&self, batch: &[Outgoing]) -> Results {
        batch.iter().map(|entry| self.send_one(entry).map(|()| Ok(Changed::Sooner))).collect()
    }

    fn send_one(&self, entry: &Outgoing) -> rusqlite::Result<()> {
        let group = self.group_id(self.queue, &entry.group)?;
        let delay = millis(entry.delay);
        let state = if delay == 0 { schema::READY } else { schema::DELAYED };
        self.run(schema::ADD_MESSAGE, params![self.queue, group, state, self.now.saturating_add(delay)])?;
        self.run(schema::ADD_BODY, params![self.connection.last_insert_rowid(), entry.body])?;
        Ok(())
    }

    fn group_id(&self, queue: &str, group: &str) -> rusqlite::Result<i64> {
        let found = self.connection.prepare_cached(schema::FIND_GROUP)?.query_row([queue, group], |row| row.get(0));
        match found.optional()? {
            Some(group) => Ok(group),
            None => self.connection.prepare_cached(schema::ADD_GROUP)?.insert([queue, group]),
        }
    }

    /// Leases up to `max` messages; moves on those that were received too often.
    pub(super) fn receive(
        &self,
        max: usize,
        visibility: Duration,
        redrive: Option<&Redrive>,
    ) -> rusqlite::Result<Taken> {
        self.run(schema::WAKE, params![self.queue, self.now])?;
        let mut taken = Taken { messages: Vec::with_capacity(max), moved: 0, next: None };
        while taken.messages.len() < max && taken.moved < MAX_MOVES {
            let Some(candidate) = self.candidate()? else { break };
            match redrive.filter(|redrive| candidate.receive_count >= redrive.max_receives) {
                Some(redrive) => {
                    self.move_to(&redrive.dead_letter, &candidate)?;
                    taken.moved += 1;
                }
                None => taken.messages.push(self.lease(candidate, visibility)?),
            }
        }
        if taken.messages.is_empty() {
            taken.next = if taken.moved == MAX_MOVES { Some(self.now) } else { self.next_time()? };
        }
        Ok(taken)
    }

    fn candidate(&self) -> rusqlite::Result<Option<Candidate>> {
        let group: Option<i64> =
            self.connection.prepare_cached(schema::NEXT_GROUP)?.query_row([self.queue], |row| row.get(0)).optional()?;
        let Some(group) = group else { return Ok(None) };
        self.run(schema::SERVED, params![self.queue, group])?;
        let candidate = self.connection.prepare_cached(schema::NEXT_MESSAGE)?.query_row([group], |row| {
            Ok(Candidate { id: row.get(0)?, receive_count: row.get(1)?, group: row.get(2)? })
        })?;
        Ok(Some(candidate))
    }

    fn lease(&self, candidate: Candidate, visibility: Duration) -> rusqlite::Result<Received> {
        let Candidate { id, receive_count, .. } = candidate;
        let receive_count = receive_count.saturating_add(1);
        let token: u128 = rand::random();
        let until = self.now.saturating_add(millis(visibility));
        self.run(schema::LEASE, params![id, until, self.now, receive_count, token.to_be_bytes()])?;
        let body = self.connection.prepare_cached(schema::READ_BODY)?.query_row([id], |row| row.get(0))?;
        let receipt = Receipt(format!("{id}-{token:032x}"));
        Ok(Received { id: id.to_string(), receipt, body, receive_count, leased_at: self.began })
    }

    fn move_to(&self, dead_letter: &str, candidate: &Candidate) -> rusqlite::Result<()> {
        let group = self.group_id(dead_letter, &candidate.group)?;
        self.run(schema::MOVE, params![candidate.id, dead_letter, group, self.now])?;
        Ok(())
    }

    fn next_time(&self) -> rusqlite::Result<Option<i64>> {
        self.connection.prepare_cached(schema::NEXT_TIME)?.query_row([self.queue], |row| row.get(0))
    }

    /// Deletes by receipt. An expired one still works as long as the message was not received again, as on SQS.
    pub(super) fn delete(&self, batch: &[Receipt]) -> Results {
        let delete = |receipt| match parse(receipt) {
            Some((id, token)) => self.run(schema::DELETE, params![id, self.queue, token]),
            None => Ok(0),
        };
        let verdict = |deleted| if deleted == 0 { Err(QueueError::ReceiptExpired) } else { Ok(Changed::Quietly) };
        batch.iter().map(|receipt| delete(receipt).map(verdict)).collect()
    }

    /// Changes visibility timeouts of leased messages.
    pub(super) fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Results {
        batch.iter().map(|(receipt, visibility)| self.change_one(receipt, millis(*visibility))).collect()
    }

    fn change_one(&self, receipt: &Receipt, visibility: i64) -> rusqlite::Result<Result<Changed, QueueError>> {
        let Some((id, token)) = parse(receipt) else { return Ok(Err(QueueError::ReceiptExpired)) };
        let lease = self
            .connection
            .prepare_cached(schema::FIND_LEASE)?
            .query_row(params![id, self.queue, token, self.now], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((received_at, visible_at)): Option<(i64, i64)> = lease.optional()? else {
            return Ok(Err(QueueError::ReceiptExpired));
        };
        let until = self.now.saturating_add(visibility);
        if until.saturating_sub(received_at) > millis(MAX_VISIBILITY) {
            return Ok(Err(QueueError::Invalid("visibility over 12 hours since the receive")));
        }
        let state = if visibility == 0 { schema::READY } else { schema::LEASED };
        self.run(schema::SET_VISIBILITY, params![id, state, until])?;
        Ok(Ok(if until < visible_at { Changed::Sooner } else { Changed::Quietly }))
    }

    /// Counts the messages.
    pub(super) fn depth(&self) -> rusqlite::Result<Depth> {
        let (ready, delayed, leased) = self
            .connection
            .prepare_cached(schema::COUNT)?
            .query_row([self.queue], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?)))?;
        let (due_delayed, due_leased) = self
            .connection
            .prepare_cached(schema::COUNT_DUE)?
            .query_row(params![self.queue, self.now], |row| Ok((count(row, 0)?, count(row, 1)?)))?;
        Ok(Depth {
            visible: ready + due_delayed + due_leased,
            in_flight: leased - due_leased,
            delayed: delayed - due_delayed,
        })
    }

    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(parameters)
    }
}

/// A sum over no rows is NULL.
fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|sum| u64::try_from(sum).ok()).unwrap_or(0))
}

fn parse(receipt: &Receipt) -> Option<(i64, [u8; 16])> {
    let (id, token) = receipt.0.split_once('-')?;
    Some((id.parse().ok()?, u128::from_str_radix(token, 16).ok()?.to_be_bytes()))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
