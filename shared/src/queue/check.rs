//! SQS's limits, checked before an entry reaches a queue.

use std::time::Duration;

use super::{MAX_BATCH, MAX_BODY, MAX_DELAY, MAX_VISIBILITY, MAX_WAIT, Outgoing, QueueError, Receipt};

/// A batch after its checks: what may go on, and one verdict an entry.
pub(super) struct Tally<T> {
    /// The entries that passed, in order.
    pub(super) accepted: Vec<T>,
    /// Why each of the others did not; `Ok` for those in `accepted`.
    pub(super) verdicts: Vec<Result<(), QueueError>>,
}

/// Puts the results of the accepted entries in the place of their verdicts.
pub(super) fn merge(
    verdicts: Vec<Result<(), QueueError>>,
    results: Result<Vec<Result<(), QueueError>>, QueueError>,
) -> Vec<Result<(), QueueError>> {
    let mut results = results.map(Vec::into_iter);
    let mut next = || match &mut results {
        Ok(results) => results.next().unwrap_or_else(|| Err(QueueError::Unavailable("no result".into()))),
        Err(error) => Err(error.clone()),
    };
    verdicts.into_iter().map(|verdict| verdict.and_then(|()| next())).collect()
}

fn tally<T: Clone>(
    batch: &[T],
    whole: Result<(), QueueError>,
    check: impl Fn(&T) -> Result<(), QueueError>,
) -> Tally<T> {
    let whole = if batch.len() > MAX_BATCH { Err(QueueError::Invalid("more than 10 entries")) } else { whole };
    let verdicts: Vec<_> = batch.iter().map(|entry| whole.clone().and_then(|()| check(entry))).collect();
    let accepted = batch.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok()).map(|(entry, _)| entry.clone());
    Tally { accepted: accepted.collect(), verdicts }
}

/// Checks messages to send.
pub(super) fn outgoing(batch: &[Outgoing]) -> Tally<Outgoing> {
    let sum: usize = batch.iter().map(|entry| entry.body.len()).sum();
    let whole = refuse(sum > MAX_BODY, "the bodies together exceed 1 MiB");
    tally(batch, whole, |entry| {
        refuse(entry.body.is_empty(), "empty body")?;
        refuse(entry.delay > MAX_DELAY, "delay over 15 minutes")?;
        refuse(!entry.body.chars().all(is_allowed), "body has characters that SQS refuses")
    })
}

/// Checks receipts to delete by.
pub(super) fn receipts(batch: &[Receipt]) -> Tally<Receipt> {
    tally(batch, Ok(()), |_| Ok(()))
}

/// Checks visibility changes.
pub(super) fn changes(batch: &[(Receipt, Duration)]) -> Tally<(Receipt, Duration)> {
    tally(batch, Ok(()), |(_, visibility)| refuse(*visibility > MAX_VISIBILITY, "visibility over 12 hours"))
}

/// Checks a receive.
pub(super) fn receive(max: usize, wait: Duration, visibility: Duration) -> Result<(), QueueError> {
    refuse(max == 0 || max > MAX_BATCH, "receives take 1 to 10 messages")?;
    refuse(wait > MAX_WAIT, "wait over 20 seconds")?;
    refuse(visibility > MAX_VISIBILITY, "visibility over 12 hours")
}

/// Checks a queue's name: 1 to 80 ASCII letters, digits, `-` and `_`, as SQS has it.
pub(super) fn name(name: &str) -> Result<(), QueueError> {
    let fits = (1..=80).contains(&name.len());
    let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    refuse(!fits || !allowed, "queue names have 1 to 80 letters, digits, - and _")
}

fn refuse(wrong: bool, reason: &'static str) -> Result<(), QueueError> {
    if wrong { Err(QueueError::Invalid(reason)) } else { Ok(()) }
}

/// The characters of XML 1.0, to which SQS confines bodies.
const fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
