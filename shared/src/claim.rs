//! Content that travels with a job, or the way to where it is stored.
//!
//! Small content travels inline, compressed where that pays, so that a stage needs no read from the store;
//! large content goes by reference, tied to the exact version and checked when it is read.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    blobs::{self, BlobError, Blobs, ETag},
    ids::hex,
    pii::Pii,
};

/// Below this, compression is not tried.
const COMPRESS_FROM: usize = 1024;

/// A reference to stored content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The object's key.
    pub key: String,
    /// The version that is meant.
    pub etag: ETag,
    /// Its length in bytes.
    pub len: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// Content that travels with a job. `Debug` leaves it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The bytes in Base64.
    Inline(Pii<String>),
    /// The bytes compressed with zstd, in Base64.
    Zstd {
        /// Length before compression, in bytes.
        len: u64,
        /// The compressed bytes.
        data: Pii<String>,
    },
    /// The bytes are an object.
    Stored(BlobRef),
}

/// Why a claim could not be turned into bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The inline bytes do not decode, or are not as long as they say.
    #[error("inline content is damaged")]
    Damaged,
    /// The content is longer than the reader allows.
    #[error("content of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Its length.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The stored object is not what was claimed.
    #[error("stored content is not what was claimed")]
    Mismatch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BlobError),
}

impl Claim {
    /// Takes bytes into the job itself.
    #[must_use]
    pub fn inline(bytes: &[u8]) -> Self {
        if bytes.len() >= COMPRESS_FROM
            && let Ok(packed) = zstd::bulk::compress(bytes, 1)
            && packed.len() < bytes.len() / 4 * 3
        {
            return Self::Zstd { len: bytes.len() as u64, data: STANDARD.encode(packed).into() };
        }
        Self::Inline(STANDARD.encode(bytes).into())
    }

    /// Stores the bytes under `key`, which names them by their content, and refers to them. What an earlier try stored
    /// there stays: a job may refer to it already.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn store(blobs: &dyn Blobs, key: String, bytes: Bytes) -> Result<Self, BlobError> {
        let (len, sha256) = (bytes.len() as u64, hex(&Sha256::digest(&bytes)));
        let meta = match blobs.put(&key, bytes.into(), blobs::Condition::IfAbsent).await? {
            blobs::Put::Stored(meta) => meta,
            blobs::Put::Exists => blobs.head(&key).await?.ok_or(BlobError::NotFound)?,
        };
        Ok(Self::Stored(BlobRef { key, etag: meta.etag, len, sha256 }))
    }

    /// The content's length in bytes (for inline content, at most 2 more).
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(data) => data.expose().len() as u64 / 4 * 3,
            Self::Zstd { len, .. } => *len,
            Self::Stored(blob) => blob.len,
        }
    }

    /// Whether there is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content, of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, damaged, or cannot be read.
    pub async fn load(&self, blobs: &dyn Blobs, limit: u64) -> Result<Bytes, ClaimError> {
        let len = self.len();
        if len > limit.saturating_add(2) {
            return Err(ClaimError::TooLong { len, limit });
        }
        match self {
            Self::Inline(data) => Ok(STANDARD.decode(data.expose()).map_err(|_| ClaimError::Damaged)?.into()),
            Self::Zstd { len, data } => unpack(data.expose(), *len),
            Self::Stored(blob) => {
                let (_, bytes) = blobs::read(blobs, &blob.key, Some(&blob.etag), limit).await?;
                let same = is_what_was_claimed(&bytes, blob.len, &blob.sha256);
                if same { Ok(bytes) } else { Err(ClaimError::Mismatch) }
            }
        }
    }
}

/// Whether the bytes have that length and that SHA-256, in hex.
pub(crate) fn is_what_was_claimed(bytes: &[u8], len: u64, sha256: &str) -> bool {
    bytes.len() as u64 == len && hex(&Sha256::digest(bytes)) == sha256
}

fn unpack(data: &str, len: u64) -> Result<Bytes, ClaimError> {
    let packed = STANDARD.decode(data).map_err(|_| ClaimError::Damaged)?;
    let capacity = usize::try_from(len).map_err(|_| ClaimError::Damaged)?;
    let bytes = zstd::bulk::decompress(&packed, capacity).map_err(|_| ClaimError::Damaged)?;
    if bytes.len() == capacity { Ok(bytes.into()) } else { Err(ClaimError::Damaged) }
}
