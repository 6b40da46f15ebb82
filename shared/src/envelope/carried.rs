//! A job within its envelope: here, or, where it fits no message, as an object that its envelope refers to.
//!
//! The object is named by its content, so that every copy of the job shares it and none can be changed, and is checked
//! when it is read. Everything else of an envelope stays in the message: counting, listing and sending back a job
//! need no read.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Envelope;
use crate::{
    blobs::{self, BlobError, Blobs},
    claim::{ClaimError, is_what_was_claimed},
    ids::hex,
    pii::Pii,
};

/// The longest job that is stored, in bytes.
pub const MAX_JOB: usize = 4 << 20;

/// What the stage is to do, in the stage's own form. It may hold content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// Here.
    Inline(Pii<Box<RawValue>>),
    /// An object.
    Stored(StoredJob),
}

/// A stored job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredJob {
    /// Its SHA-256 in hex, which names it.
    sha256: String,
    /// Its length in bytes.
    len: u64,
}

impl StoredJob {
    /// The object's key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("claims/{}", self.sha256)
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it, which no job is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Carried {
    /// How to store the job, and its text; `None` when it is stored.
    pub(crate) fn to_store(&self) -> Option<(StoredJob, &str)> {
        let Self::Inline(job) = self else { return None };
        let text = job.expose().get();
        Some((StoredJob { sha256: hex(&Sha256::digest(text)), len: text.len() as u64 }, text))
    }
}

impl Envelope {
    /// Takes a stored job into the envelope.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was stored.
    pub async fn load(&mut self, blobs: &dyn Blobs) -> Result<(), ClaimError> {
        let Carried::Stored(stored) = &self.job else { return Ok(()) };
        if stored.len > MAX_JOB as u64 {
            return Err(ClaimError::TooLong { len: stored.len, limit: MAX_JOB as u64 });
        }
        let bytes = match blobs::read(blobs, &stored.key(), None, stored.len).await {
            Ok((_, bytes)) => bytes,
            Err(BlobError::TooLong) => return Err(ClaimError::Mismatch),
            Err(error) => return Err(error.into()),
        };
        if !is_what_was_claimed(&bytes, stored.len, &stored.sha256) {
            return Err(ClaimError::Mismatch);
        }
        let text = String::from_utf8(bytes.into()).map_err(|_| ClaimError::Damaged)?;
        self.job = Carried::Inline(RawValue::from_string(text).map_err(|_| ClaimError::Damaged)?.into());
        Ok(())
    }
}
