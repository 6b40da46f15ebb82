//! Standard output, where a closed pipe ends the command quietly.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::error::CommandError;

/// Writes bytes.
pub(super) fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CommandError::said(0)),
        Err(error) => Err(CommandError::failed(format!("standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes a line.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), CommandError> {
    write(format!("{text}\n").as_bytes())
}

/// Writes a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    line(serde_json::to_string(value).map_err(CommandError::failed)?)
}

/// Says something beside the output, on standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "mailtri: {text}");
}
