//! `parse`: fetches the raw mail, has it parsed in the sandbox, and lets in what the policy lets in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use shared::{
    audit::Note,
    blobs::{self, BlobError, Blobs, Condition, ETag},
    claim::Claim,
    envelope::{Envelope, Origin},
    outcome::{End, Event, Failure, Outcome, Reason},
    stage::{Context, Stage},
    telemetry::metric,
};

use super::{INLINE, claim_failure, claim_parsed, outage, source_bucket, store_failure};
use crate::{
    admission::{Admission, Arrival, Entry, Stop},
    announce::{self, Announcement},
    auth::Gate,
    jobs::{Announced, NextJob, ParseJob, ScanJob, Source, mail_id},
    limiting::{Limiting, Pass, Place, Subjects},
    mail::model::{Finding, ParsedMail},
    pipeline,
    plane::Sources,
    sandbox::{Sandbox, SandboxError},
    settings::Tenants,
};

/// How soon to ask DNS again, first and at most: a domain of the sender's own may make mails wait, so they wait long.
const DNS_WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(900));

/// The stage.
#[derive(Debug)]
pub struct Parse {
    /// Where the fleet's own objects go.
    pub blobs: Arc<dyn Blobs>,
    /// The name of its bucket.
    pub bucket: String,
    /// Where the raw mails are.
    pub sources: Sources,
    /// Whose mail it is.
    pub tenants: Tenants,
    /// Who and what is let in.
    pub admission: Arc<Admission>,
    /// Where untrusted bytes are looked at.
    pub sandbox: Arc<Sandbox>,
    /// Where senders are authenticated.
    pub gate: Gate,
    /// Longest mail, in bytes; a longer one is quarantined unread.
    pub max_mail: u64,
    /// The limits by sender, recipient, client and tenant.
    pub limiting: Arc<Limiting>,
}

#[async_trait]
impl Stage for Parse {
    type Job = ParseJob;

    fn name(&self) -> pipeline::StageName {
        pipeline::PARSE
    }

    fn adopt(&self, body: &str, now: Timestamp) -> Option<Result<Vec<Envelope>, Reason>> {
        let announced = announce::read(body).map_err(|error| Reason::from(error.to_string()));
        Some(announced.and_then(|all| adopted(all, &self.tenants, now)))
    }

    /// The raw mail here and in the child, and about as much again for what comes back.
    fn bytes(&self, job: &ParseJob) -> u64 {
        job.mail.size().unwrap_or(self.max_mail).min(self.max_mail) * 3
    }

    async fn run(&self, job: ParseJob, ctx: &Context) -> Result<Outcome, Failure> {
        let arrival = self.admission.arrive(ctx.tenant.as_str(), job.envelope, job.receipt);
        if let Some(stop) = &arrival.refused {
            note_findings(&arrival.findings);
            return Ok(stopped(stop));
        }
        let too_large = || quarantine("too_large", format!("the mail is larger than {} bytes", self.max_mail));
        if job.mail.size().is_some_and(|size| size > self.max_mail) {
            return Ok(too_large());
        }
        let mut pass = Pass::of(Subjects::of_envelope(&arrival.envelope, ctx.tenant.as_str(), job.mail.size()));
        if let Some(stopped) = self.limiting.stop(Place::Parse, &mut pass, ctx).await {
            return stopped;
        }
        match self.fetch(job.mail, ctx).await {
            Ok((source, raw)) => {
                let mail = source.mail_id();
                Ok(self.look_at(source, arrival, raw, &mut pass, ctx).await?.identified_as(mail))
            }
            Err(Unfetched::TooLarge) => Ok(too_large()),
            Err(Unfetched::Failed(failure)) => Err(failure),
        }
    }
}

/// The jobs that announcements ask for.
fn adopted(all: Vec<Announcement>, tenants: &Tenants, now: Timestamp) -> Result<Vec<Envelope>, Reason> {
    let mut jobs: Vec<Envelope> = Vec::new();
    for announcement in all {
        let (mail, envelope, receipt) = match announcement {
            Announcement::Stored(stored) => {
                let (bucket, etag) = (stored.bucket.as_str().to_owned(), stored.etag.map(ETag));
                let identity = stored.version.clone().or_else(|| etag.as_ref().map(|etag| etag.0.clone()));
                let work = mail_id(&bucket, &stored.key, &identity.unwrap_or_default());
                let mail = Announced::Stored { bucket, key: stored.key, etag, size: stored.size };
                ((mail, work), stored.envelope, stored.ses)
            }
            Announcement::Inline(inline) => {
                let key = inline.message.key();
                let work = mail_id("", &key, "");
                let mail = Announced::Inline { key, raw: Claim::inline(inline.raw.expose()) };
                ((mail, work), inline.envelope, Some(inline.ses))
            }
            Announcement::Ignored { why } => {
                tracing::info!(why = why.name(), "an announcement that asks for nothing");
                continue;
            }
        };
        let (mail, work) = mail;
        let origin = Origin { work, tenant: tenants.of(&envelope), first_seen: now };
        let job = serde_json::value::to_raw_value(&ParseJob { mail, envelope, receipt });
        let job = job.map_err(|_| Reason::from("the announcement cannot be written as a job"))?;
        let first = Envelope::first(origin, pipeline::PARSE, job);
        // A body may name one object twice.
        if jobs.iter().all(|job| job.id != first.id) {
            jobs.push(first);
        }
    }
    Ok(jobs)
}

/// Why there is no raw mail.
enum Unfetched {
    TooLarge,
    Failed(Failure),
}

impl Parse {
    /// The raw mail, and where it is for good.
    async fn fetch(&self, mail: Announced, ctx: &Context) -> Result<(Source, Bytes), Unfetched> {
        let failed = |error: &BlobError| match error {
            BlobError::TooLong => Unfetched::TooLarge,
            error => Unfetched::Failed(store_failure(error, ctx)),
        };
        let (bucket, key, etag) = match mail {
            Announced::Stored { bucket, key, etag, .. } => (bucket, key, etag),
            Announced::Inline { key, raw } => {
                let raw = raw.load(&*self.blobs, self.max_mail).await;
                let raw = raw.map_err(|error| Unfetched::Failed(claim_failure(&error, ctx)))?;
                self.blobs.put(&key, raw.into(), Condition::IfAbsent).await.map_err(|e| failed(&e))?;
                (self.bucket.clone(), key, None)
            }
        };
        let blobs = source_bucket(&self.sources, &bucket).map_err(Unfetched::Failed)?;
        let (meta, raw) = blobs::read(&**blobs, &key, etag.as_ref(), self.max_mail).await.map_err(|e| failed(&e))?;
        Ok((Source { bucket, key, etag: meta.etag, version: meta.version, size: meta.len }, raw))
    }

    async fn look_at(
        &self,
        source: Source,
        arrival: Arrival,
        raw: Bytes,
        pass: &mut Pass,
        ctx: &Context,
    ) -> Result<Outcome, Failure> {
        ctx.progress();
        abort_for_tests(&raw);
        let parsing = self.sandbox.parse(raw.clone(), arrival.envelope.to.clone());
        let mut parsed = match ctx.opaque(ctx.remaining(), parsing).await {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(refusal)) => return Ok(stopped(&Stop::refused(&refusal))),
            Err(error) => return unanswered(&error, ctx),
        };
        pass.learn(&parsed);
        if let Some(stopped) = self.limiting.stop(Place::Parse, pass, ctx).await {
            return stopped;
        }
        let entering =
            self.admission.enter(ctx.tenant.as_str(), &arrival, (&raw, &mut parsed), &self.gate, &self.sandbox);
        let outcome = match ctx.opaque(ctx.remaining(), entering).await {
            Ok(Entry::Admitted) => self.hand_on(source, arrival, raw, &parsed, ctx).await,
            Ok(Entry::Stopped(stop)) => Ok(stopped(&stop).with_note(note(&parsed, &arrival))),
            Ok(Entry::Deferred) => {
                let again = ctx.look_again(DNS_WAIT.0, DNS_WAIT.1);
                Err(Failure::defer("dns_unavailable", "DNS does not tell who the sender is", again))
            }
            Err(error) => unanswered(&error, ctx),
        };
        // A mail that comes back is counted then.
        if outcome.is_ok() {
            note_findings(&parsed.findings);
        }
        outcome
    }

    async fn hand_on(
        &self,
        source: Source,
        arrival: Arrival,
        raw: Bytes,
        parsed: &ParsedMail,
        ctx: &Context,
    ) -> Result<Outcome, Failure> {
        let note = note(parsed, &arrival);
        let parsed = claim_parsed(parsed, &*self.blobs, ctx).await?;
        let raw = (raw.len() <= INLINE).then(|| Claim::inline(&raw));
        Ok(Outcome::hop(ScanJob { source, envelope: arrival.envelope, raw, parsed }.hop("")?).with_note(note))
    }
}

/// What it means when the sandbox has no answer.
fn unanswered(error: &SandboxError, ctx: &Context) -> Result<Outcome, Failure> {
    match Stop::poisoned(error) {
        Some(stop) => Ok(stopped(&stop)),
        None if matches!(error, SandboxError::Spawn(_)) => Err(outage("sandbox_unavailable", error, ctx)),
        None => Err(Failure::permanent("sandbox", error.to_string())),
    }
}

/// The outcome of a mail that goes no further.
pub(super) fn stopped(stop: &Stop) -> Outcome {
    match stop {
        Stop::Quarantine { class, reason } => quarantine(class, reason.clone()),
        Stop::Reject { reason } => {
            let event = Event { name: "mail.rejected", detail: [("class", "finding".to_owned())].into() };
            Outcome::end(End::Rejected { reason: reason.clone().into() }).with_event(event)
        }
    }
}

pub(super) fn note_findings(findings: &[Finding]) {
    findings.iter().for_each(|finding| metric::finding(finding.code.name()));
}

/// What the trail keeps of a parse.
fn note(parsed: &ParsedMail, arrival: &Arrival) -> Note {
    let tags: Vec<String> = parsed.tags.iter().map(|code| code.name()).collect();
    Note::new("parsed")
        .with("bytes", parsed.raw.len)
        .with("parts", parsed.parts.len())
        .with("findings", parsed.findings.len())
        .with("tags", tags.join(" "))
        .with("recipients_left_out", arrival.left_out)
}

/// A quarantine with its event.
pub(super) fn quarantine(class: &'static str, reason: String) -> Outcome {
    let event = Event { name: "mail.quarantined", detail: [("class", class.to_owned())].into() };
    Outcome::end(End::Quarantined { reason: format!("{class}: {reason}").into() }).with_event(event)
}

/// The fault tests' mail that takes its worker down: `FAILPOINTS=parse::abort=return(NEEDLE)`.
fn abort_for_tests(raw: &[u8]) {
    fail::fail_point!("parse::abort", |needle| {
        let needle = needle.unwrap_or_default();
        if !needle.is_empty() && raw.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            std::process::abort();
        }
    });
    let _ = raw;
}
