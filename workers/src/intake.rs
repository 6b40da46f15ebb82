//! Takes a mail in: the raw bytes to the store, then the job that announces them.
//!
//! A mail that was taken in is durable. The same key with the same content is the same mail, so that a
//! repeated intake makes no second one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use shared::{
    blobs::{BlobError, Blobs, Condition, Meta, Put},
    clock::{Clock, until},
    envelope::{Envelope, Origin},
    ids::{TenantId, WorkId},
    queue::{MAX_DELAY, Outgoing, QueueError, batch::Batcher},
};

use crate::{
    jobs::{Announced, ParseJob, SmtpEnvelope, Source},
    limiting::{Ingress, Limiting, Subjects},
    names::ClientName,
    pipeline,
    plane::Plane,
    settings::Tenants,
};

/// The longest wait for a turn that is reserved for a mail on its way in; one that would wait longer is not taken.
const LONGEST_TURN: Duration = Duration::from_secs(86_400);
/// How many turns are kept for repeats of mails that could not be taken in.
const MOST_KEPT: usize = 1000;
/// The longest wait for it where whoever hands the mail in has to wait.
const LONGEST_STAY: Duration = Duration::from_secs(60);

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
    limiting: Option<(Arc<Limiting>, &'static str)>,
    kept: Kept,
}

/// Turns that mails have had whose taking in failed afterwards, by their keys: a repeat is not charged again.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<HashMap<String, Option<Timestamp>>>>);

impl Kept {
    fn take(&self, key: &str) -> Option<Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// Keys that never come back must not add up.
    fn keep(&self, key: &str, turn: Option<Timestamp>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            kept.insert(key.to_owned(), turn);
        }
    }
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
    /// A limit at the way in says no.
    #[error("limit {limit}: no more is taken in before {at}")]
    OverLimit {
        /// Its name.
        limit: String,
        /// When to try again.
        at: Timestamp,
    },
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
            limiting: None,
            kept: Kept::default(),
        })
    }

    /// The same, under the limits of a way in, which is called `door`.
    #[must_use]
    pub fn limited(self, limiting: Arc<Limiting>, door: &'static str) -> Self {
        Self { limiting: Some((limiting, door)), ..self }
    }

    /// Takes one mail in, under a key that is unique to this submission. `client` is who hands it in, as far as that has a
    /// name.
    ///
    /// # Errors
    /// When it is none, a limit says no, or the plane fails; it is then not taken in.
    pub async fn accept(
        &self,
        key: &str,
        raw: Bytes,
        envelope: SmtpEnvelope,
        client: Option<&ClientName>,
    ) -> Result<WorkId, IntakeError> {
        check(&raw, self.max_mail)?;
        let size = raw.len() as u64;
        let tenant = self.tenants.of(&envelope);
        let turn = match self.kept.take(key) {
            Some(turn) => turn,
            None => self.turn(&tenant, client, size).await?,
        };
        let taken = self.take_in(key, raw, envelope, (tenant, turn)).await;
        if taken.is_err() {
            self.kept.keep(key, turn);
        }
        taken
    }

    async fn take_in(
        &self,
        key: &str,
        raw: Bytes,
        envelope: SmtpEnvelope,
        (tenant, turn): (TenantId, Option<Timestamp>),
    ) -> Result<WorkId, IntakeError> {
        let size = raw.len() as u64;
        let Meta { etag, version, .. } = self.store(key, raw).await?;
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        let source = Source { bucket, key, etag, version, size };
        let work = source.mail_id();
        let Source { bucket, key, etag, .. } = source;
        if self.announces {
            return Ok(work);
        }
        let mail = Announced::Stored { bucket, key, etag: Some(etag), size: Some(size) };
        self.announce(&work, tenant, turn, &ParseJob { mail, envelope, receipt: None }).await?;
        Ok(work)
    }

    /// The turn of a mail that has to wait for one, reserved. Where the bucket announces mails nobody else can wait, so it
    /// is waited for here.
    async fn turn(
        &self,
        tenant: &TenantId,
        client: Option<&ClientName>,
        size: u64,
    ) -> Result<Option<Timestamp>, IntakeError> {
        let Some((limiting, door)) = &self.limiting else { return Ok(None) };
        let longest = if self.announces { LONGEST_STAY } else { LONGEST_TURN };
        let subjects = Subjects::of_intake(door, client, size);
        match limiting.admit(&subjects, tenant.as_str(), longest).await {
            Ingress::Now => Ok(None),
            Ingress::At(at) if self.announces => {
                tokio::time::sleep(until(self.clock.now(), at)).await;
                Ok(None)
            }
            Ingress::At(at) => Ok(Some(at)),
            Ingress::Later { limit, at } => Err(IntakeError::OverLimit { limit, at }),
        }
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

    async fn announce(
        &self,
        work: &WorkId,
        tenant: TenantId,
        turn: Option<Timestamp>,
        job: &ParseJob,
    ) -> Result<(), IntakeError> {
        let encoding = |_| QueueError::Invalid("the job cannot be written as JSON");
        let now = self.clock.now();
        let origin = Origin { work: work.clone(), tenant: tenant.clone(), first_seen: now };
        let job = serde_json::value::to_raw_value(job).map_err(encoding)?;
        let mut first = Envelope::first(origin, pipeline::PARSE, job);
        let mut delay = Duration::ZERO;
        if let Some(turn) = turn {
            (first.not_before, first.stage_since) = (Some(turn), turn);
            delay = until(now, turn).min(MAX_DELAY);
        }
        let body = first.encode().map_err(encoding)?;
        let message = Outgoing { body, delay, group: tenant.as_str().to_owned() };
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        limiting::{Scope, SubjectKey},
        settings::Settings,
    };

    #[tokio::test]
    async fn a_mail_is_charged_once_however_often_the_store_fails() {
        let (dir, config) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::write(config.path(), "[limit.doors]\nby = \"ingress\"\nrate = \"1/hour burst 2\"\n").unwrap();
        let (settings, _) = Settings::load(Some(config.path()), std::iter::empty()).unwrap();
        let plane = Plane::open(dir.path(), Clock::system()).unwrap();
        let key = SubjectKey::new(vec![1; 32]);
        let limiting = Limiting::new(settings.declared_limits, Arc::clone(&plane.limiter), key, plane.clock.clone());
        let limiting = Arc::new(limiting);
        let intake = Intake::new(&plane, settings.tenants, 1000).unwrap().limited(Arc::clone(&limiting), "incoming");
        let accept = |key: &'static str| {
            intake.accept(key, Bytes::from_static(b"From: a@x.example\r\n\r\nx\r\n"), SmtpEnvelope::default(), None)
        };
        let turn = async || {
            let looks = limiting.look(Scope::Ingress, "default", "incoming", 1).await.unwrap();
            looks[0].answer.as_ref().unwrap().waits[0]
        };
        // A store that is broken by a file where its objects should be.
        let (objects, aside) = (dir.path().join("blobs/objects"), dir.path().join("blobs/aside"));
        fs::rename(&objects, &aside).unwrap();
        fs::write(&objects, "x").unwrap();
        for _ in 0..5 {
            assert!(matches!(accept("raw/a").await, Err(IntakeError::Store(_))));
            assert!(turn().await.is_zero(), "one of two is left");
        }
        fs::remove_file(&objects).unwrap();
        fs::rename(&aside, &objects).unwrap();
        accept("raw/a").await.unwrap();
        assert!(turn().await.is_zero());
        accept("raw/b").await.unwrap();
        assert!(!turn().await.is_zero(), "another mail is charged");
    }
}
