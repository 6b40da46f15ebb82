//! What parent and child say to each other.

use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use crate::mail::limits::Limits;
use crate::mail::model::ParsedMail;
use crate::mail::parse::Refusal;

/// The longest request without its mail, in bytes.
pub const MAX_REQUEST: u64 = 4 * 1024 * 1024;
/// The longest answer, in bytes.
pub const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// A request; the raw mail follows it in a frame of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The limits of the parse.
    pub limits: Limits,
    /// The envelope's recipients.
    pub recipients: Vec<Pii<String>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The mail.
    Parsed(Box<ParsedMail>),
    /// There is no mail in the bytes.
    Refused(Refusal),
}

impl From<Result<ParsedMail, Refusal>> for Answer {
    fn from(result: Result<ParsedMail, Refusal>) -> Self {
        match result {
            Ok(mail) => Self::Parsed(Box::new(mail)),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}
