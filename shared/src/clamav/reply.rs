//! clamd's replies, read exactly.
//!
//! Each function takes all that clamd sent until it closed the connection. A verdict needs the exact bytes of a
//! known reply with its terminating NUL; a truncated, longer, joined or unknown one is an error. See clamd(8),
//! and `clamd/session.c` and `clamd/scanner.c` of ClamAV for the replies that it does not list.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{EngineVersion, ScanError, Verdict};

/// Longest reply that is read, in bytes. clamd's own are far shorter.
pub const MAX_REPLY: usize = 4096;

/// Longest signature name or error text that is passed on, in bytes: they go into records.
const MAX_TEXT: usize = 256;

const SIZE_LIMIT: &str = "INSTREAM size limit exceeded";
const READ_TIMEOUT: &str = "COMMAND READ TIMED OUT";

/// Reads the reply to a whole stream.
///
/// # Errors
/// [`ScanError::Scanner`] for an error that clamd reports, [`ScanError::Garbled`] for anything else.
pub fn verdict(reply: &[u8]) -> Result<Verdict, ScanError> {
    if reply == b"stream: OK\0" {
        return Ok(Verdict::Clean);
    }
    // The only reply that ends in a newline whatever the command's prefix was.
    if reply.strip_suffix(b"\n") == Some(READ_TIMEOUT.as_bytes()) {
        return Err(ScanError::Scanner(READ_TIMEOUT.to_owned()));
    }
    let text = text(reply)?;
    match text.strip_prefix("stream: ").and_then(|rest| rest.strip_suffix(" FOUND")) {
        Some(name) => found(printable(name)?),
        None => failure(text),
    }
}

/// Reads the reply to a stream that could not be sent to its end: it can be an error or an exceeded limit, but
/// nothing that presumes that the content was scanned.
///
/// # Errors
/// As [`verdict`].
pub fn refusal(reply: &[u8]) -> Result<Verdict, ScanError> {
    match verdict(reply)? {
        limits @ Verdict::LimitsExceeded { .. } => Ok(limits),
        _ => Err(ScanError::Garbled),
    }
}

/// Reads the reply to `VERSION`: `ClamAV ENGINE/DATABASE/DATE`, or `ClamAV ENGINE` where no database has a version.
///
/// # Errors
/// [`ScanError::Garbled`] for anything else.
pub fn version(reply: &[u8]) -> Result<EngineVersion, ScanError> {
    let text = printable(text(reply)?)?;
    let parts: Vec<&str> = text.split('/').collect();
    let (engine, database, built) = match parts.as_slice() {
        [engine] => (*engine, None, None),
        [engine, database, date] => (*engine, Some((*database).to_owned()), Some(built(date)?)),
        _ => return Err(ScanError::Garbled),
    };
    let numbered = database.iter().all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if !numbered || engine.strip_prefix("ClamAV ").is_none_or(str::is_empty) {
        return Err(ScanError::Garbled);
    }
    Ok(EngineVersion { engine: engine.to_owned(), database, built })
}

/// Reads `MaxThreads` in the reply to `STATS`: `THREADS: live 1  idle 0 max 12 idle-timeout 30`.
pub fn max_threads(reply: &[u8]) -> Option<usize> {
    let text = str::from_utf8(reply).ok()?;
    let threads = text.lines().find_map(|line| line.strip_prefix("THREADS: "))?;
    let mut words = threads.split_ascii_whitespace();
    words.find(|word| *word == "max")?;
    words.next()?.parse().ok()
}

/// The date of the database as `ctime(3)` writes it. It is in clamd's own time zone, which it does not name: taken as
/// UTC it is off by less than a day, and it is compared with days.
fn built(date: &str) -> Result<Timestamp, ScanError> {
    let read = || -> Option<Timestamp> {
        let [_weekday, month, day, time, year] = date.split_ascii_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let civil = DateTime::strptime("%b %d %H:%M:%S %Y", format!("{month} {day} {time} {year}")).ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    };
    read().ok_or(ScanError::Garbled)
}

/// The text of a reply to a `z` command: ASCII, one NUL at its end.
fn text(reply: &[u8]) -> Result<&str, ScanError> {
    let text = reply.strip_suffix(b"\0").ok_or(ScanError::Garbled)?;
    str::from_utf8(text).map_err(|_| ScanError::Garbled)
}

fn printable(text: &str) -> Result<&str, ScanError> {
    let fits = !text.is_empty() && text.len() <= MAX_TEXT && text.trim() == text;
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits && plain { Ok(text) } else { Err(ScanError::Garbled) }
}

fn found(name: &str) -> Result<Verdict, ScanError> {
    let name_of = name.to_owned();
    Ok(if name.starts_with("Heuristics.Limits.Exceeded") {
        Verdict::LimitsExceeded { reason: name_of }
    } else if name.starts_with("Heuristics.Encrypted") {
        Verdict::Encrypted { reason: name_of }
    } else {
        Verdict::Infected { signature: name_of }
    })
}

fn failure(text: &str) -> Result<Verdict, ScanError> {
    if text == "UNKNOWN COMMAND" {
        return Err(ScanError::Scanner(text.to_owned()));
    }
    let error = text.strip_suffix(" ERROR").ok_or(ScanError::Garbled)?;
    match printable(error)?.trim_end_matches('.') {
        SIZE_LIMIT => Ok(Verdict::LimitsExceeded { reason: SIZE_LIMIT.to_owned() }),
        other => Err(ScanError::Scanner(other.to_owned())),
    }
}

#[cfg(test)]
mod tests;
