//! The bytes of a raw mail and of its parts, as streams of constant memory.
//!
//! What the scan sees is what the parse saw and what is stored: the same decoder, the same SHA-256. A stream that
//! turns out otherwise ends with an error.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};
use sha2::{Digest as _, Sha256};
use shared::blobs::{BlobError, Blobs, ByteStream};

use crate::{
    jobs::Source,
    mail::{
        decode::PartReader,
        model::{Digest, Part},
    },
};

/// A raw mail, wherever it is.
#[derive(Debug, Clone)]
pub enum RawMail {
    /// It came with the job.
    Inline(Bytes),
    /// It is in the store.
    Stored(Arc<dyn Blobs>, Source),
}

/// Why a stream of content ends with an error when it is not what the parse saw: no other try helps.
pub const NOT_AS_PARSED: &str = "not the bytes that were parsed";

/// Chunks that an inline mail is streamed in.
const CHUNK: usize = 64 * 1024;

impl RawMail {
    /// All of it, checked against what the parse saw.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn whole(&self, digest: Digest) -> Result<ByteStream, BlobError> {
        Ok(verified(self.range(None).await?, digest))
    }

    /// A part, decoded, checked against what the parse saw.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn part(&self, part: &Part) -> Result<ByteStream, BlobError> {
        let reader = PartReader::new(&part.address);
        let range = part.address.outer_range();
        Ok(verified(decoded(self.range(Some(range)).await?, reader), part.content))
    }

    async fn range(&self, range: Option<Range<u64>>) -> Result<ByteStream, BlobError> {
        match self {
            Self::Inline(bytes) => slice(bytes, range),
            Self::Stored(blobs, source) => Ok(blobs.get(&source.key, range, Some(&source.etag)).await?.body),
        }
    }
}

fn slice(bytes: &Bytes, range: Option<Range<u64>>) -> Result<ByteStream, BlobError> {
    let mut rest = match range {
        None => bytes.clone(),
        Some(range) => {
            let bound = |at: u64| usize::try_from(at).ok().filter(|at| *at <= bytes.len()).ok_or(BlobError::Range);
            let (start, end) = (bound(range.start)?, bound(range.end)?);
            if start > end {
                return Err(BlobError::Range);
            }
            bytes.slice(start..end)
        }
    };
    Ok(stream::iter(std::iter::from_fn(move || (!rest.is_empty()).then(|| Ok(rest.split_to(CHUNK.min(rest.len()))))))
        .boxed())
}

/// Decodes a part out of the bytes of its outermost range.
fn decoded(raw: ByteStream, reader: PartReader) -> ByteStream {
    stream::unfold(Some((raw, reader)), async |state| {
        let (mut raw, mut reader) = state?;
        loop {
            let mut out = Vec::new();
            match raw.next().await {
                Some(Ok(chunk)) => reader.push(&chunk, &mut out),
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    // Damage was noted by the parse, which read the same bytes.
                    let _damage = reader.finish(&mut out);
                    return Some((Ok(Bytes::from(out)), None));
                }
            }
            if !out.is_empty() {
                return Some((Ok(Bytes::from(out)), Some((raw, reader))));
            }
        }
    })
    .boxed()
}

/// Passes bytes through, and ends with an error if they are not the expected ones.
pub(crate) fn verified(bytes: ByteStream, expected: Digest) -> ByteStream {
    stream::unfold(Some((bytes, Sha256::new(), 0_u64)), move |state| async move {
        let (mut bytes, mut hash, mut len) = state?;
        match bytes.next().await {
            Some(Ok(chunk)) => {
                hash.update(&chunk);
                len += chunk.len() as u64;
                Some((Ok(chunk), Some((bytes, hash, len))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if len == expected.len && hash.finalize().as_slice() == expected.sha256 => None,
            None => Some((Err(BlobError::Damaged(NOT_AS_PARSED)), None)),
        }
    })
    .boxed()
}
