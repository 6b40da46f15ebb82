//! What announces a mail on the `parse` queue, recognised by its shape and validated.
//!
//! S3 events, EventBridge events and SES receipts, bare or within one SNS envelope. Pure: nothing is fetched, and
//! nothing here decides whether a bucket is allowed. A body is taken as a whole or refused as a whole, by an error
//! that names a field and never its value.

mod error;
mod event_bridge;
mod field;
mod place;
mod s3;
mod ses;
#[cfg(test)]
mod tests;
mod verdicts;

use bytes::Bytes;
use serde_json::Value;
use shared::queue::MAX_BODY;

use self::field::Field;
pub use self::{
    error::{AnnounceError, Problem},
    place::{Bucket, SesMessageId},
    verdicts::{DmarcPolicy, SesVerdicts, Status},
};
use crate::jobs::SmtpEnvelope;

/// The object and the message id of the note by which SES shows that a new rule can write.
pub const SETUP_NOTIFICATION: &str = "AMAZON_SES_SETUP_NOTIFICATION";

/// One thing that a body announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// A mail that is an object.
    Stored(Stored),
    /// A mail that came with its announcement.
    Inline(Inline),
    /// Nothing to do: acknowledge and count it.
    Ignored {
        /// Why.
        why: Why,
    },
}

/// A mail that is an object. Only a GET tells its identity: an SES receipt has neither version nor `ETag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The bucket. Whether it is an allowed one is for the caller to say.
    pub bucket: Bucket,
    /// The key, decoded: any text of 1 to 1024 bytes, as S3 takes it.
    pub key: String,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its `ETag`, without quotation marks.
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// Orders the events of one key; compares as hexadecimal, padded on the right.
    pub sequencer: Option<String>,
    /// The SMTP envelope; empty unless SES told it.
    pub envelope: SmtpEnvelope,
    /// What SES found; `None` if the announcement is not SES's.
    pub ses: Option<SesVerdicts>,
}

/// A mail that came with its announcement (SES's SNS action, at most 150 KB).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// SES's id of the mail: the same for every announcement of it.
    pub message: SesMessageId,
    /// The raw mail.
    pub raw: shared::pii::Pii<Bytes>,
    /// The SMTP envelope.
    pub envelope: SmtpEnvelope,
    /// What SES found.
    pub ses: SesVerdicts,
}

/// Why an announcement asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// S3's test of a new notification.
    TestEvent,
    /// SES's test of a new rule.
    SetupNotification,
    /// An event about an object that is not its creation.
    NotCreated,
    /// A receipt of an SES action that hands no mail over, such as `Lambda` or `Bounce`.
    NoMail,
}

impl Why {
    /// The label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TestEvent => "test_event",
            Self::SetupNotification => "setup_notification",
            Self::NotCreated => "not_created",
            Self::NoMail => "no_mail",
        }
    }
}

/// Reads a message of the `parse` queue that is no job of our own.
///
/// # Errors
/// When the body has none of the known shapes, or a field of it is missing or wrong.
pub fn read(body: &str) -> Result<Vec<Announcement>, AnnounceError> {
    let outer = json(body, "$")?;
    let outer = Field::root(&outer, "$");
    if !outer.has("Type") {
        return dispatch(&outer);
    }
    // One envelope and no more: an envelope within it has none of the shapes below.
    let inner = json(sns_message(&outer)?, "$.Message")?;
    dispatch(&Field::root(&inner, "$.Message"))
}

fn json(text: &str, path: &str) -> Result<Value, AnnounceError> {
    if text.len() > MAX_BODY {
        return Err(AnnounceError::new(path, Problem::TooLong));
    }
    serde_json::from_str(text).map_err(|_| AnnounceError::new(path, Problem::NotJson))
}

/// What an SNS envelope carries (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>).
fn sns_message<'a>(envelope: &Field<'a>) -> Result<&'a str, AnnounceError> {
    envelope.need("Type")?.must_be("Notification")?;
    envelope.need("TopicArn")?.text()?;
    envelope.need("Message")?.text()
}

fn dispatch(event: &Field<'_>) -> Result<Vec<Announcement>, AnnounceError> {
    if event.has("Records") {
        s3::read(event)
    } else if event.has("Event") {
        event.need("Event")?.must_be("s3:TestEvent")?;
        Ok(vec![Announcement::Ignored { why: Why::TestEvent }])
    } else if event.has("detail-type") {
        event_bridge::read(event).map(|one| vec![one])
    } else if event.has("notificationType") {
        ses::read(event).map(|one| vec![one])
    } else {
        Err(event.wrong(Problem::UnknownShape))
    }
}
