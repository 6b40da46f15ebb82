//! The blob port on one Amazon S3 bucket.
//!
//! Every call carries the bucket's expected owner where it is known. Nothing is buffered whole but small bodies; what
//! was stored or read has the length and the checksum that were declared, or the call fails.
//!
//! The role needs `s3:ListBucket`: without it S3 answers 403 instead of 404 for a missing key.

mod buckets;
mod delete;
mod error;
mod read;
mod upload;
mod write;

use std::{fmt, ops::Range};

use async_trait::async_trait;
use aws_sdk_s3::Client;

pub use self::buckets::S3Buckets;
use self::error::translate;
use super::{BlobError, Blobs, Body, Condition, ETag, Meta, Object, Page, Put, check_foreign_key, check_key};

/// Most keys in a page of a listing, and most versions in a batch of deletes (S3's limits).
const PAGE: i32 = 1000;

/// What is known of a bucket beyond its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The account that must own it (`x-amz-expected-bucket-owner`): S3 refuses the call if another one does.
    pub expected_owner: Option<String>,
    /// The KMS key (id or ARN) for what is put. Without it the bucket's default encryption applies.
    pub kms_key: Option<String>,
}

/// A store of objects in one bucket.
#[derive(Clone)]
pub struct S3Blobs {
    client: Client,
    bucket: String,
    options: S3Options,
}

impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Blobs").field("bucket", &self.bucket).field("options", &self.options).finish_non_exhaustive()
    }
}

impl S3Blobs {
    /// The store in `bucket`; nothing is asked of it yet. `client` is best made by [`crate::aws::s3_client`].
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>, options: S3Options) -> Self {
        Self { client, bucket: bucket.into(), options }
    }

    fn owner(&self) -> Option<String> {
        self.options.expected_owner.clone()
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    /// Also answers [`Put::Exists`] when an attempt of this very call stored the object and its answer was lost.
    async fn put(&self, key: &str, body: Body, condition: Condition) -> Result<Put, BlobError> {
        check_key(key)?;
        self.write(key, body, condition).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>, if_match: Option<&ETag>) -> Result<Object, BlobError> {
        check_foreign_key(key)?;
        match range {
            None => self.read_whole(key, if_match).await,
            Some(range) => self.read_range(key, range, if_match).await,
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Meta>, BlobError> {
        check_foreign_key(key)?;
        match self.describe(key, None).await {
            Ok(description) => Ok(Some(description.meta)),
            Err(BlobError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        check_key(key)?;
        self.delete_versions(key).await
    }

    /// A page holds at most 1,000 keys, whatever `limit` says.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, BlobError> {
        if limit == 0 {
            return Ok(Page::default());
        }
        let list = self.client.list_objects_v2().bucket(&self.bucket).set_expected_bucket_owner(self.owner());
        let list = list.prefix(prefix).set_start_after(after.map(str::to_owned));
        let limit = i32::try_from(limit).unwrap_or(PAGE).min(PAGE);
        let answer = list.max_keys(limit).send().await.map_err(translate)?;
        let truncated = answer.is_truncated().unwrap_or(false);
        let keys: Vec<String> = answer.contents.into_iter().flatten().filter_map(|object| object.key).collect();
        let next = if truncated { keys.last().cloned() } else { None };
        Ok(Page { keys, next })
    }
}

#[cfg(test)]
mod tests;
