//! S3 event notifications (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).

use super::{
    Announcement, Stored, Why,
    error::{AnnounceError, Problem},
    field::Field,
    place::{self, Bucket},
};
use crate::jobs::SmtpEnvelope;

pub(super) fn read(event: &Field<'_>) -> Result<Vec<Announcement>, AnnounceError> {
    event.need("Records")?.items()?.iter().map(read_record).collect()
}

fn read_record(record: &Field<'_>) -> Result<Announcement, AnnounceError> {
    record.need("eventSource")?.must_be("aws:s3")?;
    check_version(&record.need("eventVersion")?)?;
    if !record.need("eventName")?.text()?.starts_with("ObjectCreated:") {
        return Ok(Announcement::Ignored { why: Why::NotCreated });
    }
    let s3 = record.need("s3")?;
    let object = s3.need("object")?;
    let key = place::encoded_key(&object.need("key")?)?;
    of_object(&s3, &object, key, Names { etag: "eTag", version: "versionId" })
}

/// Minor versions only add fields.
fn check_version(version: &Field<'_>) -> Result<(), AnnounceError> {
    match version.text()?.split('.').next() {
        Some("2") => Ok(()),
        _ => Err(version.wrong(Problem::Form("a version 2"))),
    }
}

/// What the two kinds of event call the same things.
pub(super) struct Names {
    pub(super) etag: &'static str,
    pub(super) version: &'static str,
}

/// The announcement of an object, described as `{bucket{name}, object{size, …}}`.
pub(super) fn of_object(
    holder: &Field<'_>,
    object: &Field<'_>,
    key: String,
    names: Names,
) -> Result<Announcement, AnnounceError> {
    let bucket = Bucket::of(&holder.need("bucket")?.need("name")?)?;
    if place::is_setup(&key) {
        return Ok(Announcement::Ignored { why: Why::SetupNotification });
    }
    let token = |name| object.get(name).map(|field| field.token(1024)).transpose();
    Ok(Announcement::Stored(Stored {
        bucket,
        key,
        size: object.get("size").map(|size| size.length()).transpose()?,
        etag: token(names.etag)?.map(|etag| etag.trim_matches('"').to_owned()),
        version: token(names.version)?,
        sequencer: token("sequencer")?,
        envelope: SmtpEnvelope::default(),
        ses: None,
    }))
}
