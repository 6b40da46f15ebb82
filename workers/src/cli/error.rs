//! How a command fails: a line on standard error that says what to do, and an exit code of sysexits(3).

use std::{fmt, io::Write, process::ExitCode};

/// Something failed.
const FAILED: u8 = 1;
/// The arguments do not fit together.
const USAGE: u8 = 2;
/// The input is not what it should be (EX_DATAERR).
const DATA: u8 = 65;
/// The input is missing or cannot be read (EX_NOINPUT).
const NO_INPUT: u8 = 66;
/// It may work later (EX_TEMPFAIL).
const TRY_AGAIN: u8 = 75;
/// The configuration is wrong (EX_CONFIG).
const CONFIG: u8 = 78;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct CommandError {
    code: u8,
    message: String,
}

impl CommandError {
    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self { code: FAILED, message: message.to_string() }
    }

    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    pub(super) fn data(message: impl fmt::Display) -> Self {
        Self { code: DATA, message: message.to_string() }
    }

    pub(super) fn no_input(message: impl fmt::Display) -> Self {
        Self { code: NO_INPUT, message: message.to_string() }
    }

    pub(super) fn try_again(message: impl fmt::Display) -> Self {
        Self { code: TRY_AGAIN, message: message.to_string() }
    }

    pub(super) fn config(message: impl fmt::Display) -> Self {
        Self { code: CONFIG, message: message.to_string() }
    }

    /// Ends quietly: what was to be said was said.
    pub(super) const fn said(code: u8) -> Self {
        Self { code, message: String::new() }
    }

    pub(super) const fn code(&self) -> u8 {
        self.code
    }

    pub(super) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            // There is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "mailtri: {}", self.message);
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
