//! The child: does what it is asked until its input ends. No runtime, no threads, no logs.
//!
//! A panic ends the process, and is meant to: the parent starts another.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use thiserror::Error;

use super::frame::{self, FrameError, Kind};
use super::lockdown::Lockdown;
use super::task::{MAX_REQUEST, Request};
use crate::auth::verify;

/// What `mailtri sandbox` runs: requests from standard input, answers to standard output.
///
/// The process locks itself down first: here the first byte of a mail has not been read, and there is one thread.
pub fn child_main() -> ExitCode {
    // Reads the certificate authorities, which a resolver cannot be made without, while files are in reach.
    verify::prepare();
    let said = hello(&mut io::stdout().lock(), &Lockdown::apply());
    match said.and_then(|()| serve(&mut io::stdin().lock(), &mut io::stdout().lock(), Request::answer)) {
        Ok(()) => ExitCode::SUCCESS,
        // The parent is gone or speaks another version: nobody is there to be told more.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why a child stopped serving.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A frame could not be read or written.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A request or an answer is not what it should be.
    #[error("a request or an answer is malformed")]
    Json(#[from] serde_json::Error),
}

/// Tells the parent what is in force.
///
/// # Errors
/// When that cannot be written.
pub fn hello(output: &mut impl Write, lockdown: &Lockdown) -> Result<(), ServeError> {
    Ok(frame::write(output, Kind::Hello, &serde_json::to_vec(lockdown)?)?)
}

/// Answers requests until the input ends.
///
/// # Errors
/// The first request that cannot be read, or answer that cannot be written.
pub fn serve(
    input: &mut impl Read,
    output: &mut impl Write,
    answer: impl Fn(&Request, &[u8]) -> serde_json::Result<Vec<u8>>,
) -> Result<(), ServeError> {
    while let Some(request) = frame::read(input, Kind::Request, MAX_REQUEST)? {
        let request: Request = serde_json::from_slice(&request)?;
        let body = frame::read(input, Kind::Body, request.max_body())?.ok_or(FrameError::Truncated)?;
        frame::write(output, Kind::Answer, &answer(&request, &body)?)?;
    }
    Ok(())
}
