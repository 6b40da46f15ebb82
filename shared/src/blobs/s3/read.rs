//! Reading: every byte that was asked for, of one version, or an error.
//!
//! S3 states a length before the first byte; a body that ends earlier is an error, whatever the transport thinks of it.
//! For whole objects the SDK checks the checksum that is recorded with the object and fails the end of the body.

use std::{collections::HashMap, ops::Range};

use aws_sdk_s3::{operation::get_object::builders::GetObjectFluentBuilder, primitives, types::ChecksumMode};
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    super::{BlobError, ByteStream, ETag, Meta, Object},
    S3Blobs,
    error::translate,
};

/// What the encryption client of the AWS SDKs, and so SES, leaves in the metadata of what it encrypted.
const CLIENT_KEYS: [&str; 2] = ["x-amz-key-v2", "x-amz-key"];

/// What a HEAD answers.
pub(super) struct Description {
    pub(super) meta: Meta,
    client_encrypted: bool,
}

impl S3Blobs {
    pub(super) async fn read_whole(&self, key: &str, if_match: Option<&ETag>) -> Result<Object, BlobError> {
        let get = self.get_request(key, if_match).checksum_mode(ChecksumMode::Enabled);
        let answer = get.send().await.map_err(translate)?;
        refuse_ciphertext(is_client_encrypted(answer.metadata.as_ref()))?;
        let meta = meta(answer.content_length, answer.e_tag, answer.version_id)?;
        let body = exactly(meta.len, answer.body);
        Ok(Object { meta, body })
    }

    pub(super) async fn read_range(
        &self,
        key: &str,
        range: Range<u64>,
        if_match: Option<&ETag>,
    ) -> Result<Object, BlobError> {
        if range.start >= range.end {
            return self.read_nothing(key, range, if_match).await;
        }
        // Every server can parse a position below 2^63, and no object is that long.
        let last = (range.end - 1).min(i64::MAX.unsigned_abs());
        let get = self.get_request(key, if_match).range(format!("bytes={}-{last}", range.start));
        let answer = get.send().await.map_err(translate)?;
        refuse_ciphertext(is_client_encrypted(answer.metadata.as_ref()))?;
        let part = answer.content_range.as_deref().and_then(Part::parse);
        let part = part.ok_or(BlobError::Damaged("the answer is not the range that was asked for"))?;
        if part.total < range.end {
            return Err(BlobError::Range);
        }
        if (part.first, part.last) != (range.start, last) {
            return Err(BlobError::Damaged("the answer is another range"));
        }
        let meta = Meta { len: part.total, ..meta(answer.content_length, answer.e_tag, answer.version_id)? };
        Ok(Object { meta, body: exactly(range.end - range.start, answer.body) })
    }

    /// HTTP has no empty range: the object is described, and nothing of it read.
    async fn read_nothing(&self, key: &str, range: Range<u64>, if_match: Option<&ETag>) -> Result<Object, BlobError> {
        let Description { meta, client_encrypted } = self.describe(key, if_match).await?;
        refuse_ciphertext(client_encrypted)?;
        if range.start > range.end || range.end > meta.len {
            return Err(BlobError::Range);
        }
        Ok(Object { meta, body: stream::empty().boxed() })
    }

    pub(super) async fn describe(&self, key: &str, if_match: Option<&ETag>) -> Result<Description, BlobError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).set_expected_bucket_owner(self.owner());
        let answer = head.set_if_match(if_match.map(quoted)).send().await.map_err(translate)?;
        let client_encrypted = is_client_encrypted(answer.metadata.as_ref());
        Ok(Description { meta: meta(answer.content_length, answer.e_tag, answer.version_id)?, client_encrypted })
    }

    fn get_request(&self, key: &str, if_match: Option<&ETag>) -> GetObjectFluentBuilder {
        let get = self.client.get_object().bucket(&self.bucket).key(key).set_expected_bucket_owner(self.owner());
        get.set_if_match(if_match.map(quoted))
    }
}

/// Passes on exactly `len` bytes, or ends with an error.
fn exactly(len: u64, body: primitives::ByteStream) -> ByteStream {
    stream::try_unfold((body, len), async |(mut body, left)| match body.next().await {
        Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
            Some(left) => Ok(Some((piece, (body, left)))),
            None => Err(BlobError::Damaged("the body is longer than announced")),
        },
        // All bytes came: what failed is the check of the whole.
        Some(Err(_)) if left == 0 => Err(BlobError::Damaged("the recorded checksum is another one")),
        Some(Err(_)) => Err(broke_off()),
        None if left > 0 => Err(broke_off()),
        None => Ok::<Option<(Bytes, _)>, _>(None),
    })
    .boxed()
}

fn broke_off() -> BlobError {
    BlobError::Unavailable("the body broke off or stood still".to_owned())
}

/// The three numbers of a `Content-Range` (RFC 9110 §14.4).
struct Part {
    first: u64,
    last: u64,
    total: u64,
}

impl Part {
    fn parse(header: &str) -> Option<Self> {
        let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, total: total.parse().ok()? })
    }
}

fn meta(len: Option<i64>, etag: Option<String>, version: Option<String>) -> Result<Meta, BlobError> {
    let len = len.and_then(|len| u64::try_from(len).ok()).ok_or(BlobError::Damaged("the answer states no length"))?;
    let etag = etag.ok_or(BlobError::Damaged("the answer states no ETag"))?;
    Ok(Meta { len, etag: unquoted(&etag), version: version.filter(|version| version != "null") })
}

/// As S3's notifications write it.
pub(super) fn unquoted(etag: &str) -> ETag {
    ETag(etag.trim_matches('"').to_owned())
}

/// As HTTP writes it (RFC 9110 §8.8.3).
fn quoted(etag: &ETag) -> String {
    format!("\"{}\"", etag.0.trim_matches('"'))
}

fn is_client_encrypted(metadata: Option<&HashMap<String, String>>) -> bool {
    metadata.is_some_and(|metadata| CLIENT_KEYS.iter().any(|key| metadata.contains_key(*key)))
}

fn refuse_ciphertext(client_encrypted: bool) -> Result<(), BlobError> {
    if client_encrypted { Err(BlobError::ClientEncrypted) } else { Ok(()) }
}
