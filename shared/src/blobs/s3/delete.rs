//! Deleting a key in all its versions, delete markers included.

use aws_sdk_s3::{
    operation::list_object_versions::ListObjectVersionsOutput,
    types::{Delete, ObjectIdentifier},
};

use super::{
    super::BlobError,
    PAGE, S3Blobs,
    error::{shown, translate},
};

impl S3Blobs {
    /// Lists from the beginning after each batch: a listing that goes on after a version that is gone by then finds what
    /// the store likes.
    pub(super) async fn delete_versions(&self, key: &str) -> Result<(), BlobError> {
        let mut more = true;
        while more {
            let page = self.list_versions(key).await?;
            // A key comes before the longer ones that begin with it.
            more = page.is_truncated().unwrap_or(false) && page.next_key_marker() == Some(key);
            let versions = of_key(key, page)?;
            if versions.is_empty() {
                break;
            }
            self.delete_batch(versions).await?;
        }
        Ok(())
    }

    async fn list_versions(&self, key: &str) -> Result<ListObjectVersionsOutput, BlobError> {
        let list = self.client.list_object_versions().bucket(&self.bucket).set_expected_bucket_owner(self.owner());
        list.prefix(key).max_keys(PAGE).send().await.map_err(translate)
    }

    async fn delete_batch(&self, versions: Vec<ObjectIdentifier>) -> Result<(), BlobError> {
        let unmade = |_| BlobError::Unavailable("the request could not be made".to_owned());
        let batch = Delete::builder().set_objects(Some(versions)).quiet(true).build().map_err(unmade)?;
        let delete = self.client.delete_objects().bucket(&self.bucket).set_expected_bucket_owner(self.owner());
        let answer = delete.delete(batch).send().await.map_err(translate)?;
        match answer.errors().first() {
            None => Ok(()),
            Some(error) => Err(BlobError::Unavailable(format!("not deleted: {}", shown(error.code().unwrap_or(""))))),
        }
    }
}

fn of_key(key: &str, page: ListObjectVersionsOutput) -> Result<Vec<ObjectIdentifier>, BlobError> {
    let versions = page.versions.into_iter().flatten().map(|version| (version.key, version.version_id));
    let markers = page.delete_markers.into_iter().flatten().map(|marker| (marker.key, marker.version_id));
    versions
        .chain(markers)
        .filter(|(name, _)| name.as_deref() == Some(key))
        // A delete without a version would only add a delete marker.
        .map(|(_, version)| version.ok_or(BlobError::Damaged("a listed version has no id")))
        .map(|version| {
            let object = ObjectIdentifier::builder().key(key).version_id(version?);
            object.build().map_err(|_| BlobError::Unavailable("the request could not be made".to_owned()))
        })
        .collect()
}
