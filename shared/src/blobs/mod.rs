//! The blob port: what Amazon S3 does, and nothing that it cannot.
//!
//! Durable facts are objects. A put is all or nothing; a read either returns every byte or fails, never a
//! short object. One conformance suite (`conformance`) runs over every implementation.

#[cfg(test)]
pub mod conformance;
pub mod dir;
pub mod s3;

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};

/// A stream of an object's bytes.
pub type ByteStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// Longest key, in bytes (S3's limit).
pub const MAX_KEY: usize = 1024;
/// Longest segment of a key, in bytes: a file name less the one byte by which a directory store marks objects.
pub const MAX_SEGMENT: usize = 254;

/// What names one version of an object's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(pub String);

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its length in bytes.
    pub len: u64,
    /// Changes whenever the content does.
    pub etag: ETag,
    /// The store's version id, where it keeps versions.
    pub version: Option<String>,
}

/// An object being read.
pub struct Object {
    /// Describes the whole object, also for a ranged read.
    pub meta: Meta,
    /// The bytes asked for. Ends with an error if it cannot deliver them all.
    pub body: ByteStream,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// What to store. The length is always known before the first byte.
pub enum Body {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A stream of exactly `len` bytes with this SHA-256; anything else fails the put and stores nothing.
    Stream {
        /// Its exact length.
        len: u64,
        /// The SHA-256 of all its bytes.
        sha256: [u8; 32],
        /// The bytes.
        stream: ByteStream,
    },
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Stream { len, .. } => write!(f, "Stream({len} bytes)"),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// When a put may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Whether or not the key exists.
    Always,
    /// Only if the key does not exist (`If-None-Match: *`).
    IfAbsent,
}

/// What a put did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The object is stored, durably.
    Stored(Meta),
    /// The key existed and [`Condition::IfAbsent`] was asked for; nothing changed.
    Exists,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Keys in lexicographic order.
    pub keys: Vec<String>,
    /// Pass it as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

/// Why a blob operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// The object is not the version that was asked for.
    #[error("the object changed")]
    Changed,
    /// The range does not lie within the object.
    #[error("the range is outside the object")]
    Range,
    /// The object is longer than its reader allows.
    #[error("the object is longer than allowed")]
    TooLong,
    /// The key is empty, too long, or not one that every store takes.
    #[error("invalid key: {0}")]
    InvalidKey(&'static str),
    /// Length or checksum is not what was declared or recorded.
    #[error("content damaged: {0}")]
    Damaged(&'static str),
    /// The object was encrypted by its writer: the store has only ciphertext, whatever its reader may do.
    #[error(
        "the object is client-side encrypted, as the S3 action of an SES receipt rule does when it names a KMS key: \
         remove the key (KmsKeyArn) from the action and let the bucket encrypt (default SSE-KMS)"
    )]
    ClientEncrypted,
    /// The bucket is not one that this process may use.
    #[error("the bucket is not on the allow-list")]
    ForeignBucket,
    /// The store did not answer now; it may at another try.
    #[error("store unavailable: {0}")]
    Unavailable(String),
}

impl BlobError {
    /// Whether the same call can succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Damaged(_))
    }
}

/// One store of objects (one bucket).
///
/// Keys are `/`-separated segments of ASCII letters, digits, `.`, `_`, `-`, `=` and `+`; no segment is empty, `.`
/// or `..`, and none starts with `.`. See [`check_key`].
#[async_trait]
pub trait Blobs: Send + Sync + fmt::Debug {
    /// Stores an object. When it returns, the object is durable and readable; on an error nothing is visible.
    async fn put(&self, key: &str, body: Body, condition: Condition) -> Result<Put, BlobError>;

    /// Opens an object, or `range` of its bytes, for reading; with `if_match` only that version
    /// ([`BlobError::Changed`] otherwise).
    async fn get(&self, key: &str, range: Option<Range<u64>>, if_match: Option<&ETag>) -> Result<Object, BlobError>;

    /// Describes an object; `None` if there is none.
    async fn head(&self, key: &str) -> Result<Option<Meta>, BlobError>;

    /// Deletes an object in all its versions. A missing object is no error.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Lists at most `limit` keys that start with `prefix`, in lexicographic order, after the key `after`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, BlobError>;
}

/// Checks a key that somebody else may have chosen: anything that S3 takes can be read.
///
/// # Errors
/// [`BlobError::InvalidKey`] when it is empty or too long.
pub fn check_foreign_key(key: &str) -> Result<(), BlobError> {
    if key.is_empty() || key.len() > MAX_KEY { Err(BlobError::InvalidKey("length")) } else { Ok(()) }
}

/// Checks a key against the rules that every store shares.
///
/// # Errors
/// [`BlobError::InvalidKey`] with the rule that it breaks.
pub fn check_key(key: &str) -> Result<(), BlobError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(BlobError::InvalidKey("length"));
    }
    for segment in key.split('/') {
        if segment.is_empty() || segment.starts_with('.') || segment.len() > MAX_SEGMENT {
            return Err(BlobError::InvalidKey("segment"));
        }
        if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-=+".contains(&b)) {
            return Err(BlobError::InvalidKey("character"));
        }
    }
    Ok(())
}

/// Reads a whole object of at most `limit` bytes into memory.
///
/// # Errors
/// What the store answers; [`BlobError::TooLong`] for an object that is longer.
pub async fn read(
    blobs: &dyn Blobs,
    key: &str,
    if_match: Option<&ETag>,
    limit: u64,
) -> Result<(Meta, Bytes), BlobError> {
    let object = blobs.get(key, None, if_match).await?;
    if object.meta.len > limit {
        return Err(BlobError::TooLong);
    }
    let bytes = collect(object.body, usize::try_from(object.meta.len).unwrap_or(0)).await?;
    Ok((object.meta, bytes))
}

async fn collect(mut body: ByteStream, capacity: usize) -> Result<Bytes, BlobError> {
    let mut bytes = BytesMut::with_capacity(capacity);
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.freeze())
}
