//! `scan`: streams the raw mail and every decoded part to the scanner; only what was scanned is stored and handed on.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use rand::RngExt;
use shared::{
    audit::Note,
    blobs::{BlobError, Blobs, Body, ByteStream, Condition},
    clamav::{EngineVersion, ScanError, Scanner, Verdict},
    clock::later,
    outcome::{Failure, Outcome},
    stage::{Context, Stage},
    telemetry::metric,
};

use super::{claim_failure, parsed, store_failure};
use crate::{
    content::{NOT_AS_PARSED, RawMail},
    jobs::{NextJob, RouteJob, ScanJob, ScanReport, StoredPart},
    mail::model::{ParsedMail, Part, PartRole},
    pipeline,
};

/// Streams of one mail that are scanned at once.
const AT_ONCE: usize = 4;
/// How soon to look again, on average, when the scanner is not to be reached.
const OUTAGE_WAIT: Duration = Duration::from_secs(5);
/// What a job holds in memory: a few chunks for each stream, and the parsed mail.
const BYTES: u64 = 1 << 20;

/// The stage.
#[derive(Debug)]
pub struct Scan {
    /// Where the mails are, and where clean parts go.
    pub blobs: Arc<dyn Blobs>,
    /// What scans.
    pub scanning: Scanning,
}

/// A scanner and how long it may take.
#[derive(Debug)]
pub struct Scanning {
    /// The scanner.
    pub scanner: Arc<dyn Scanner>,
    /// For one stream.
    pub deadline: Duration,
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
        let mail = parsed(&job.parsed, &*self.blobs).await?;
        let raw = match &job.raw {
            Some(claim) => RawMail::Inline(claim.load(&*self.blobs, claim.len()).await.map_err(|e| claim_failure(&e))?),
            None => RawMail::Stored(Arc::clone(&self.blobs), job.source.clone()),
        };
        let scanned = ctx.opaque(ctx.remaining(), self.scanning.scan(&raw, &mail)).await;
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

/// What the scanner says of a mail.
#[derive(Debug)]
pub struct Scanned {
    /// Which engine and signatures said so.
    pub engine: EngineVersion,
    /// The worst verdict of the raw mail and all its parts.
    pub verdict: Verdict,
    /// What it is about: `raw` or `part N` (from 0). Empty for a clean mail.
    pub place: String,
}

impl Scanning {
    /// Scans the raw mail and all its parts.
    ///
    /// # Errors
    /// When something of it could not be scanned: there is no verdict then.
    pub async fn scan(&self, raw: &RawMail, mail: &ParsedMail) -> Result<Scanned, ScanError> {
        let engine = self.scanner.version(self.deadline).await?;
        let (verdict, place) = self.verdict(raw, mail).await?;
        Ok(Scanned { engine, verdict, place })
    }

    async fn verdict(&self, raw: &RawMail, mail: &ParsedMail) -> Result<(Verdict, String), ScanError> {
        let whole = self.one("raw", raw.whole(mail.raw).await).await?;
        if matches!(whole, Verdict::Infected { .. }) {
            return Ok((whole, "raw".to_owned()));
        }
        let scans: Vec<BoxFuture<'_, _>> =
            mail.parts.iter().enumerate().map(|(i, part)| self.part(raw, i, part).boxed()).collect();
        let parts: Vec<(Verdict, String)> = stream::iter(scans).buffer_unordered(AT_ONCE).try_collect().await?;
        let worst = parts
            .into_iter()
            .fold((whole, "raw".to_owned()), |worst, next| if rank(&next.0) > rank(&worst.0) { next } else { worst });
        Ok(if worst.0 == Verdict::Clean { (Verdict::Clean, String::new()) } else { worst })
    }

    async fn part(&self, raw: &RawMail, i: usize, part: &Part) -> Result<(Verdict, String), ScanError> {
        Ok((self.one("part", raw.part(part).await).await?, format!("part {i}")))
    }

    async fn one(&self, content: &'static str, bytes: Result<ByteStream, BlobError>) -> Result<Verdict, ScanError> {
        let scanned = match bytes {
            Ok(bytes) => self.scanner.scan(bytes, self.deadline).await,
            Err(error) => Err(error.into()),
        };
        let verdict = match scanned {
            Ok(verdict) => verdict,
            Err(ScanError::Source(BlobError::Damaged(NOT_AS_PARSED))) => {
                Verdict::Unscannable { reason: NOT_AS_PARSED.to_owned() }
            }
            Err(error) => return Err(error),
        };
        metric::scanned(content, verdict.name());
        Ok(verdict)
    }
}

impl Scan {
    /// Stores every attachment and inline part of a clean mail, by a second read.
    async fn store(&self, raw: &RawMail, mail: &ParsedMail, ctx: &Context) -> Result<Vec<StoredPart>, Failure> {
        let wanted = mail.parts.iter().enumerate().filter(|(_, part)| part.role != PartRole::Body);
        let mut stored = Vec::new();
        for (i, part) in wanted {
            let key = format!("attachments/{}/{i}", ctx.work);
            self.store_part(raw, part, &key).await.map_err(|e| store_failure(&e))?;
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

/// Which verdict stands for the mail when its parts differ.
const fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Unscannable { .. } => 1,
        Verdict::Encrypted { .. } => 2,
        Verdict::LimitsExceeded { .. } => 3,
        Verdict::Infected { .. } => 4,
    }
}

/// What a scan without a verdict means: an outage is waited for, anything else may be the content's doing and
/// counts as an attempt.
fn failure(error: &ScanError, ctx: &Context) -> Failure {
    match error {
        ScanError::Source(error) => store_failure(error),
        ScanError::Unreachable(_) => {
            let at = later(ctx.clock.now(), OUTAGE_WAIT.mul_f64(rand::rng().random_range(0.5..1.5)));
            Failure::defer("scanner_unreachable", error.to_string(), at)
        }
        ScanError::Unavailable(_) => Failure::retry("scanner_unavailable", error.to_string()),
        ScanError::Deadline => Failure::retry("scan_deadline", error.to_string()),
        ScanError::Garbled | ScanError::Scanner(_) => Failure::retry("scanner_error", error.to_string()),
    }
}
