//! Takes a mail in: the raw bytes to the store, then the job that announces them.
//!
//! A mail that was taken in is durable. The same key with the same content is the same mail, so that a
//! repeated intake makes no second one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use shared::{
    blobs::{BlobError, Blobs, Condition, Meta, Put},
    clock::Clock,
    envelope::{Envelope, Origin},
    ids::{TenantId, WorkId},
    queue::{Outgoing, QueueError, batch::Batcher},
};

use crate::{
    jobs::{Announced, ParseJob, SmtpEnvelope, Source},
    pipeline,
    plane::Plane,
    settings::Tenants,
};

/// Takes mails in.
#[derive(Debug, Clone)]
pub struct Intake {
    bucket: String,
    announces: bool,
    blobs: Arc<dyn Blobs>,
    parse: Batcher,
    clock: Clock,
    tenants: Tenants,
    max_mail: u64,
}

/// Why a mail was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Nothing at all.
    #[error("the mail is empty")]
    Empty,
    /// Longer than the configuration allows.
    #[error("the mail is larger than the {max} bytes that limits.max_mail allows")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Nothing in it looks like a header field.
    #[error("this is not a mail: it does not begin with a header field")]
    NotAMail,
    /// The store failed.
    #[error("the mail could not be stored: {0}")]
    Store(#[from] BlobError),
    /// The queue failed.
    #[error("the mail is stored but could not be announced: {0}")]
    Queue(#[from] QueueError),
    /// The plane has no queue for it.
    #[error("the plane has no parse queue")]
    NoQueue,
}

impl Intake {
    /// An intake onto the plane.
    ///
    /// # Errors
    /// When the plane has no `parse` queue.
    pub fn new(plane: &Plane, tenants: Tenants, max_mail: u64) -> Result<Self, IntakeError> {
        let queues = plane.queues.get(&pipeline::PARSE).ok_or(IntakeError::NoQueue)?;
        let parse = Batcher::new(Arc::clone(&queues.work));
        Ok(Self {
            bucket: plane.bucket.clone(),
            announces: plane.announces,
            blobs: Arc::clone(&plane.blobs),
            parse,
            clock: plane.clock.clone(),
            tenants,
            max_mail,
        })
    }

    /// Takes one mail in, under a key that is unique to this submission.
    ///
    /// # Errors
    /// When it is none, or the plane fails; it is then not taken in.
    pub async fn accept(&self, key: &str, raw: Bytes, envelope: SmtpEnvelope) -> Result<WorkId, IntakeError> {
        check(&raw, self.max_mail)?;
        let size = raw.len() as u64;
        let Meta { etag, version, .. } = self.store(key, raw).await?;
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        let source = Source { bucket, key, etag, version, size };
        let work = source.mail_id();
        let tenant = self.tenants.of(&envelope);
        let Source { bucket, key, etag, .. } = source;
        if self.announces {
            return Ok(work);
        }
        let mail = Announced::Stored { bucket, key, etag: Some(etag), size: Some(size) };
        self.announce(&work, tenant, &ParseJob { mail, envelope, receipt: None }).await?;
        Ok(work)
    }

    /// Whether a mail of that many bytes is taken.
    ///
    /// # Errors
    /// [`IntakeError::TooLarge`].
    pub const fn check_size(&self, len: u64) -> Result<(), IntakeError> {
        check_size(len, self.max_mail)
    }

    async fn store(&self, key: &str, raw: Bytes) -> Result<Meta, IntakeError> {
        match self.blobs.put(key, raw.into(), Condition::IfAbsent).await? {
            Put::Stored(meta) => Ok(meta),
            // A repeat after a crash between the put and the send.
            Put::Exists => Ok(self.blobs.head(key).await?.ok_or(BlobError::NotFound)?),
        }
    }

    async fn announce(&self, work: &WorkId, tenant: TenantId, job: &ParseJob) -> Result<(), IntakeError> {
        let encoding = |_| QueueError::Invalid("the job cannot be written as JSON");
        let origin = Origin { work: work.clone(), tenant: tenant.clone(), first_seen: self.clock.now() };
        let job = serde_json::value::to_raw_value(job).map_err(encoding)?;
        let body = Envelope::first(origin, pipeline::PARSE, job).encode().map_err(encoding)?;
        let message = Outgoing { body, delay: Duration::ZERO, group: tenant.as_str().to_owned() };
        Ok(self.parse.send(message).await?)
    }
}

/// What can be told of a mail of at most `max` bytes before anything is stored.
///
/// # Errors
/// [`IntakeError::Empty`], [`IntakeError::TooLarge`], [`IntakeError::NotAMail`].
pub fn check(raw: &[u8], max: u64) -> Result<(), IntakeError> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(IntakeError::Empty);
    }
    check_size(raw.len() as u64, max)?;
    if begins_like_a_mail(raw) { Ok(()) } else { Err(IntakeError::NotAMail) }
}

const fn check_size(len: u64, max: u64) -> Result<(), IntakeError> {
    if len > max { Err(IntakeError::TooLarge { max }) } else { Ok(()) }
}

/// Whether the first line is a header field (RFC 5322 §2.2), or an mbox separator before one.
#[must_use]
pub fn begins_like_a_mail(raw: &[u8]) -> bool {
    let line = raw.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    if line.starts_with(b"From ") {
        return true;
    }
    match line.iter().position(|b| *b == b':') {
        Some(colon) if colon > 0 => line[..colon].trim_ascii_end().iter().all(|b| b.is_ascii_graphic()),
        _ => false,
    }
}
