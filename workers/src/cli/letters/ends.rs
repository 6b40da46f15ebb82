//! What the store says about how a letter's branch ended, kept in step with what the desk does.

use jiff::Timestamp;
use shared::{
    blobs::{self, Blobs, Condition, Put},
    settle::{EndRecord, REQUEUED, end_key},
};

use super::{super::error::CommandError, Letter};

/// The longest end record.
const LONGEST: u64 = 4 << 20;

/// Notes that the letter is on its way again. Before it is sent: its next end takes the note's place.
pub(in crate::cli) async fn reopened(blobs: &dyn Blobs, letter: &Letter, now: Timestamp) -> Result<(), CommandError> {
    let Some(envelope) = letter.envelope() else { return Ok(()) };
    let record = EndRecord::of_requeue(envelope, letter.stage, now);
    put(blobs, letter, &record, Condition::Always).await.map(drop)
}

/// Sees to it that an end is on record before the letter is deleted. One that is there already stays.
pub(in crate::cli) async fn closed(blobs: &dyn Blobs, letter: &Letter, now: Timestamp) -> Result<(), CommandError> {
    let Some(envelope) = letter.envelope() else { return Ok(()) };
    let (class, reason) = (&letter.summary.class, &letter.summary.reason);
    let record = EndRecord::of_dead(envelope, letter.stage, class, reason, letter.summary.at.unwrap_or(now));
    let open = put(blobs, letter, &record, Condition::IfAbsent).await? == Put::Exists && {
        let (_, bytes) = blobs::read(blobs, &key(letter), None, LONGEST).await.map_err(CommandError::failed)?;
        serde_json::from_slice::<EndRecord>(&bytes).is_ok_and(|record| record.end == REQUEUED)
    };
    if open {
        put(blobs, letter, &record, Condition::Always).await?;
    }
    Ok(())
}

async fn put(
    blobs: &dyn Blobs,
    letter: &Letter,
    record: &EndRecord,
    condition: Condition,
) -> Result<Put, CommandError> {
    let body = serde_json::to_vec(record).map_err(CommandError::failed)?;
    blobs.put(&key(letter), body.into(), condition).await.map_err(CommandError::failed)
}

fn key(letter: &Letter) -> String {
    letter.envelope().map(|e| end_key(&e.work, letter.stage, &e.branch)).unwrap_or_default()
}
