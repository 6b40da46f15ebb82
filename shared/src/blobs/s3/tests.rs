//! The port on a real emulator, directly and through a proxy that breaks things.

mod faults;
mod measure;
mod proxy;
mod requests;
mod writes;

use std::collections::BTreeMap;

use aws_sdk_s3::{
    Client,
    types::{BucketVersioningStatus, VersioningConfiguration},
};
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    super::{
        BlobError, Blobs, Condition, ETag, Put,
        conformance::{self, noise},
        read,
    },
    S3Blobs, S3Buckets, S3Options,
};
use crate::{
    aws::s3_client,
    testing::ministack::{Ministack, sdk_config},
};

const BUCKET: &str = "mail";

/// An emulator with one bucket.
struct Rig {
    ministack: Ministack,
    client: Client,
}

impl Rig {
    async fn start() -> Self {
        let ministack = Ministack::start().await.unwrap();
        let client = s3_client(&ministack.sdk_config());
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self { ministack, client }
    }

    async fn versioned() -> Self {
        let rig = Self::start().await;
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = rig.client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(versioning);
        put.send().await.unwrap();
        rig
    }

    fn blobs(&self) -> S3Blobs {
        S3Blobs::new(self.client.clone(), BUCKET, S3Options::default())
    }

    /// The versions and delete markers of all keys that begin with `prefix`, first page.
    async fn versions(&self, prefix: &str) -> Vec<String> {
        let page = self.client.list_object_versions().bucket(BUCKET).prefix(prefix).send().await.unwrap();
        let versions = page.versions().iter().filter_map(|version| version.key.clone());
        versions.chain(page.delete_markers().iter().filter_map(|marker| marker.key.clone())).collect()
    }
}

/// The same bucket through a proxy.
fn through(proxy: &proxy::Proxy) -> S3Blobs {
    S3Blobs::new(s3_client(&sdk_config(&proxy.endpoint())), BUCKET, S3Options::default())
}

async fn stored(blobs: &dyn Blobs, key: &str, content: &Bytes) -> ETag {
    match blobs.put(key, content.clone().into(), Condition::Always).await.unwrap() {
        Put::Stored(meta) => meta.etag,
        Put::Exists => panic!("an unconditional put answered Exists"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_without_versions() {
    let rig = Rig::start().await;
    conformance::all(&rig.blobs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_with_versions() {
    let rig = Rig::versioned().await;
    conformance::all(&rig.blobs()).await;
    let meta = match rig.blobs().put("versioned", noise(1, 9).into(), Condition::Always).await.unwrap() {
        Put::Stored(meta) => meta,
        Put::Exists => panic!("an unconditional put answered Exists"),
    };
    assert!(meta.version.is_some());
    assert_eq!(rig.blobs().head("versioned").await.unwrap(), Some(meta));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_every_version_and_marker_of_one_key() {
    let rig = Rig::versioned().await;
    let blobs = rig.blobs();
    let neighbours = ["a/key-", "a/key/x", "a/key0", "a/ke"];
    for key in neighbours {
        stored(&blobs, key, &noise(1, 5)).await;
    }
    // More than S3 lists at once.
    let puts = (0..1003).map(|n| {
        let blobs = blobs.clone();
        async move { stored(&blobs, "a/key", &noise(n, 3)).await }
    });
    assert_eq!(stream::iter(puts).buffer_unordered(8).count().await, 1003);
    rig.client.delete_object().bucket(BUCKET).key("a/key").send().await.unwrap();
    stored(&blobs, "a/key", &noise(7, 3)).await;
    rig.client.delete_object().bucket(BUCKET).key("a/key").send().await.unwrap();
    blobs.delete("a/key").await.unwrap();
    let mut left = rig.versions("a/").await;
    left.sort();
    assert_eq!(left, ["a/ke", "a/key-", "a/key/x", "a/key0"]);
}

#[tokio::test]
async fn only_allowed_buckets_are_reached() {
    let rig = Rig::start().await;
    rig.client.create_bucket().bucket("other").send().await.unwrap();
    let buckets = S3Buckets::new(&rig.client, BTreeMap::from([(BUCKET.to_owned(), S3Options::default())]));
    stored(&*buckets.get(BUCKET).unwrap(), "k", &noise(1, 1)).await;
    for foreign in ["other", "", "mail/", "MAIL", "mail "] {
        assert_eq!(buckets.get(foreign).unwrap_err(), BlobError::ForeignBucket, "{foreign:?}");
    }
}

#[tokio::test]
async fn client_side_encryption_is_told() {
    let rig = Rig::start().await;
    for name in ["x-amz-key-v2", "x-amz-key"] {
        let put = rig.client.put_object().bucket(BUCKET).key("sealed").metadata(name, "AAAA");
        put.metadata("x-amz-iv", "AAAA").body(noise(1, 100).into()).send().await.unwrap();
        let blobs = rig.blobs();
        for range in [None, Some(0..10), Some(5..5)] {
            let error = blobs.get("sealed", range.clone(), None).await.unwrap_err();
            assert_eq!(error, BlobError::ClientEncrypted, "{name} {range:?}");
            assert!(!error.is_retryable());
            assert!(error.to_string().contains("remove the key (KmsKeyArn) from the action"), "{error}");
        }
        assert_eq!(blobs.head("sealed").await.unwrap().unwrap().len, 100);
    }
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_object() {
    let rig = Rig::start().await;
    let blobs = S3Blobs::new(rig.client.clone(), "nowhere", S3Options::default());
    let missing = BlobError::Unavailable("there is no such bucket".to_owned());
    assert_eq!(read(&blobs, "k", None, 1).await.unwrap_err(), missing);
    assert_eq!(blobs.put("k", noise(1, 1).into(), Condition::Always).await.unwrap_err(), missing);
    assert_eq!(blobs.list("", None, 1).await.unwrap_err(), missing);
    assert_eq!(blobs.delete("k").await.unwrap_err(), missing);
}
