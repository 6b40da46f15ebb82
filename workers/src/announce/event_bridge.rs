//! S3's events as EventBridge sends them (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>).

use super::{
    Announcement, Why,
    error::AnnounceError,
    field::Field,
    place,
    s3::{self, Names},
};

pub(super) fn read(event: &Field<'_>) -> Result<Announcement, AnnounceError> {
    event.need("source")?.must_be("aws.s3")?;
    if event.need("detail-type")?.text()? != "Object Created" {
        return Ok(Announcement::Ignored { why: Why::NotCreated });
    }
    let detail = event.need("detail")?;
    let object = detail.need("object")?;
    // Unlike in an S3 event, the key is not encoded.
    let key = place::plain_key(&object.need("key")?)?;
    s3::of_object(&detail, &object, key, Names { etag: "etag", version: "version-id" })
}
