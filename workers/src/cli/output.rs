//! Standard output, where a closed pipe ends the command quietly.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::error::CommandError;
use crate::mail::names::is_hidden;

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

/// Writes a value as one line of JSON. What controls a terminal, or turns the direction of writing, is escaped: a person
/// may look at it, and to whoever parses it it is the same.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    line(escaped(&serde_json::to_string(value).map_err(CommandError::failed)?))
}

/// JSON with its hidden characters as escapes (RFC 8259 §7): they stand in strings alone.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_hidden) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// Says something beside the output, on standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "mailtri: {text}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_controls_no_terminal_and_says_the_same() {
        let value = json!({ "a\u{9b}2J": "b\u{1b}[2J\u{202e}c \u{e0041} Grüße 日本" });
        let written = serde_json::to_string(&value).unwrap();
        let shown = escaped(&written);
        assert!(!shown.chars().any(is_hidden) && shown.contains("Grüße 日本"), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        assert!(matches!(escaped("{\"a\":1}"), Cow::Borrowed(_)));
    }
}
