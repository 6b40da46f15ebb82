//! Where an announced mail is: buckets, keys, SES's message ids.
//!
//! A bucket's name and a message id are safe in logs and in keys of our own by construction. A key is not: S3
//! takes any text.

use std::fmt;

use percent_encoding::percent_decode;
use shared::blobs::MAX_KEY;

use super::{
    SETUP_NOTIFICATION,
    error::{AnnounceError, Problem},
    field::Field,
};
use crate::prefixes;

/// The name of an S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(String);

impl Bucket {
    /// Takes 3 to 63 lower-case letters, digits, `.` and `-`
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let valid = (3..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        valid.then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(field: &Field<'_>) -> Result<Self, AnnounceError> {
        Self::parse(field.text()?).ok_or_else(|| field.wrong(Problem::Form("the name of a bucket")))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// SES's id of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SesMessageId(String);

impl SesMessageId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that a mail with this id is stored under when it came inline. Not under `raw/`: the bucket would announce
    /// it again, without its SMTP envelope.
    #[must_use]
    pub fn key(&self) -> String {
        format!("inline/{}", self.0)
    }

    pub(super) fn of(field: &Field<'_>) -> Result<Self, AnnounceError> {
        let text = field.token(128)?;
        let valid = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if valid { Ok(Self(text)) } else { Err(field.wrong(Problem::Form("letters, digits, \"-\" and \"_\""))) }
    }
}

/// The key of an S3 event: form-encoded, so `+` is a space, then percent-decoded, once
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).
pub(super) fn encoded_key(field: &Field<'_>) -> Result<String, AnnounceError> {
    let spaced = field.text()?.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| field.wrong(Problem::NotUtf8))?;
    check_key(decoded.into_owned(), field)
}

/// The key of anything else: as it is.
pub(super) fn plain_key(field: &Field<'_>) -> Result<String, AnnounceError> {
    check_key(field.text()?.to_owned(), field)
}

/// A key as S3 takes it, and not one that the fleet wrote: a notification without a filter would otherwise feed the
/// fleet its own records.
pub(super) fn check_key(key: String, field: &Field<'_>) -> Result<String, AnnounceError> {
    match key {
        key if key.len() > MAX_KEY => Err(field.wrong(Problem::TooLong)),
        key if prefixes::is_own(&key) => Err(field.wrong(Problem::OwnObject)),
        key => Ok(key),
    }
}

/// Whether the key is that of the object by which SES tests a new rule.
pub(super) fn is_setup(key: &str) -> bool {
    key.rsplit('/').next() == Some(SETUP_NOTIFICATION)
}
