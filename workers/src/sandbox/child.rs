//! The child: does what it is asked until its input ends. No runtime, no threads, no logs.
//!
//! A panic ends the process, and is meant to: the parent starts another.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use thiserror::Error;

use super::buffer::Buffer;
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
    let said = hello(&mut Output, &Lockdown::apply());
    match said.and_then(|()| serve(&mut io::stdin().lock(), &mut Output, Request::answer)) {
        Ok(()) => ExitCode::SUCCESS,
        // The parent is gone or speaks another version: nobody is there to be told more.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Standard output as it is. The library's own cuts at line ends what is written, and each piece would wake the parent.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    Ok(frame::write(output, Kind::Hello, serde_json::to_vec(lockdown)?)?)
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
    let (mut request, mut body) = (Buffer::default(), Buffer::default());
    while let Some(request) = frame::read(input, Kind::Request, MAX_REQUEST, &mut request)? {
        let request: Request = serde_json::from_slice(request)?;
        let bytes = frame::read(input, Kind::Body, request.max_body(), &mut body)?.ok_or(FrameError::Truncated)?;
        frame::write(output, Kind::Answer, answer(&request, bytes)?)?;
        body.trim();
    }
    Ok(())
}
