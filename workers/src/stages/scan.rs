//! `scan`: streams the raw mail and every decoded part to the scanner; only what was scanned is stored and handed on.

use std::sync::Arc;

use async_trait::async_trait;
use shared::{
    audit::Note,
    blobs::{BlobError, Blobs, Body, Condition},
    clamav::{ScanError, Verdict},
    ids::hex,
    outcome::{Failure, Outcome},
    stage::{Context, Stage},
};

use super::{claim_failure, outage, parsed, source_bucket, store_failure};
use crate::{
    content::RawMail,
    jobs::{NextJob, RouteJob, ScanJob, ScanReport, StoredPart},
    mail::model::{ParsedMail, Part, PartRole},
    pipeline,
    plane::Sources,
    scanning::{Scanned, Scanning},
};

/// Scans of one content that may run into their deadline: it occupies the scanner, which goes on with it.
const LATE_SCANS: u32 = 2;
/// What a job holds in memory: a few chunks for each stream, and the parsed mail.
const BYTES: u64 = 1 << 20;

/// The stage.
#[derive(Debug)]
pub struct Scan {
    /// Where clean parts go.
    pub blobs: Arc<dyn Blobs>,
    /// Where the raw mails are.
    pub sources: Sources,
    /// What scans.
    pub scanning: Scanning,
}

#[async_trait]
impl Stage for Scan {
    type Job = ScanJob;

    fn name(&self) -> pipeline::StageName {
        pipeline::SCAN
    }

    fn bytes(&self, job: &ScanJob) -> u64 {
        BYTES + job.raw.as_ref().map_or(0, shared::claim::Claim::len) + job.parsed.len() * 2
    }

    async fn run(&self, job: ScanJob, ctx: &Context) -> Result<Outcome, Failure> {
        let mail = parsed(&job.parsed, &*self.blobs, ctx).await?;
        let raw = match &job.raw {
            Some(claim) => {
                RawMail::Inline(claim.load(&*self.blobs, claim.len()).await.map_err(|e| claim_failure(&e, ctx))?)
            }
            None => RawMail::Stored(Arc::clone(source_bucket(&self.sources, &job.source.bucket)?), job.source.clone()),
        };
        let scanned = match ctx.opaque(ctx.remaining(), self.scanning.scan(&raw, &mail)).await {
            Err(ScanError::Deadline) if ctx.attempt + 1 >= LATE_SCANS => self.scanning.gave_up().await,
            other => other,
        };
        let Scanned { engine, verdict, place } = scanned.map_err(|error| failure(&error, ctx))?;
        let stored = if verdict == Verdict::Clean { self.store(&raw, &mail, ctx).await? } else { Vec::new() };
        let note = Note::new("scanned")
            .with("verdict", verdict.name())
            .with("place", &place)
            .with("engine", &engine.engine)
            .with("database", engine.database.as_deref().unwrap_or("unknown"));
        let scan = ScanReport { verdict, place, engine, stored };
        let next = RouteJob { source: job.source, envelope: job.envelope, parsed: job.parsed, scan };
        Ok(Outcome::hop(next.hop("")?).with_note(note))
    }
}

impl Scan {
    /// Stores every attachment and inline part of a clean mail, by a second read.
    async fn store(&self, raw: &RawMail, mail: &ParsedMail, ctx: &Context) -> Result<Vec<StoredPart>, Failure> {
        let wanted = mail.parts.iter().enumerate().filter(|(_, part)| part.role != PartRole::Body);
        let mut stored = Vec::new();
        for (i, part) in wanted {
            let key = format!("attachments/{}/{}", ctx.work, hex(&part.content.sha256));
            self.store_part(raw, part, &key).await.map_err(|e| store_failure(&e, ctx))?;
            ctx.progress();
            stored.push(StoredPart { part: i, key });
        }
        Ok(stored)
    }

    async fn store_part(&self, raw: &RawMail, part: &Part, key: &str) -> Result<(), BlobError> {
        let stream = raw.part(part).await?;
        let body = Body::Stream { len: part.content.len, sha256: part.content.sha256, stream };
        self.blobs.put(key, body, Condition::Always).await.map(drop)
    }
}

/// What a scan without a verdict means: an outage is waited for, anything else may be the content's doing and
/// counts as an attempt.
fn failure(error: &ScanError, ctx: &Context) -> Failure {
    match error {
        ScanError::Source(error) => store_failure(error, ctx),
        ScanError::Unreachable(_) => outage("scanner_unreachable", error, ctx),
        ScanError::Unfit(_) => outage("scanner_unfit", error, ctx),
        ScanError::Unavailable(_) => Failure::retry("scanner_unavailable", error.to_string()),
        ScanError::Deadline => Failure::retry("scan_deadline", error.to_string()),
        ScanError::Garbled | ScanError::Scanner(_) => Failure::retry("scanner_error", error.to_string()),
    }
}
