//! The buckets that this process may use.
//!
//! A bucket's name can come from a message that anyone may have written: no other bucket is ever asked for anything.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_s3::Client;

use super::{
    super::{BlobError, Blobs},
    S3Blobs, S3Options,
};

/// An allow-list of buckets.
#[derive(Debug, Clone)]
pub struct S3Buckets {
    allowed: BTreeMap<String, Arc<S3Blobs>>,
}

impl S3Buckets {
    /// The stores of the buckets in `allowed`, each with its options.
    #[must_use]
    pub fn new(client: &Client, allowed: BTreeMap<String, S3Options>) -> Self {
        let store = |(bucket, options): (String, S3Options)| {
            (bucket.clone(), Arc::new(S3Blobs::new(client.clone(), bucket, options)))
        };
        Self { allowed: allowed.into_iter().map(store).collect() }
    }

    /// The store in `bucket`.
    ///
    /// # Errors
    /// [`BlobError::ForeignBucket`] if it is not on the list.
    pub fn get(&self, bucket: &str) -> Result<Arc<dyn Blobs>, BlobError> {
        match self.allowed.get(bucket) {
            Some(store) => Ok(Arc::<S3Blobs>::clone(store)),
            None => Err(BlobError::ForeignBucket),
        }
    }
}
