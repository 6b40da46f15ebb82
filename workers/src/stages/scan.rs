//! `scan`: streams the raw mail and every decoded part to the scanner; only what was scanned is stored and handed on.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use shared::{
    audit::{AuditKey, Note},
    blobs::{BlobError, Blobs, Body, Condition},
    clamav::{EngineVersion, ScanError, Verdict},
    clock::later,
    outcome::{Failure, Outcome},
    stage::{Context, Stage},
};

use super::{
    claim_failure, claim_parsed, outage,
    parse::{note_findings, stopped},
    parsed, source_bucket, store_failure,
};
use crate::{
    admission::Admission,
    content::RawMail,
    jobs::{NextJob, RouteJob, ScanJob},
    mail::model::{ParsedMail, Part, PartRole},
    pipeline,
    plane::Sources,
    rules::{Facts, RuleSet},
    scanning::{
        Handling, Policies, ScanReport, Scanning, StoredPart, Try,
        rescan::{self, VerdictRecord},
    },
};

/// How long a mail may wait for a scanner that knows more, and how soon to ask it again, first and at most.
const DEFER: Duration = Duration::from_secs(4 * 3600);
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 60));
/// Items that the audit trail names.
const NOTED: usize = 5;
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
    /// What becomes of what members of containers are.
    pub admission: Arc<Admission>,
    /// What becomes of what is not clean.
    pub policies: Arc<Policies>,
    /// The rules, which may say otherwise.
    pub rules: Arc<RuleSet>,
    /// Links what is said of attachments.
    pub key: AuditKey,
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
        let mut mail = parsed(&job.parsed, &*self.blobs, ctx).await?;
        let raw = match &job.raw {
            Some(claim) => {
                RawMail::Inline(claim.load(&*self.blobs, claim.len()).await.map_err(|e| claim_failure(&e, ctx))?)
            }
            None => RawMail::Stored(Arc::clone(source_bucket(&self.sources, &job.source.bucket)?), job.source.clone()),
        };
        let which = if ctx.repeated { Try::Another } else { Try::First };
        let scanned = ctx.opaque(ctx.remaining(), self.scanning.scan(&raw, &mail, which)).await;
        let mut scan = scanned.map_err(|error| failure(&error, ctx))?;
        let note = Note::new("scanned")
            .with("verdict", scan.verdict().name())
            .with("found", found(&scan, &mail))
            .with("engine", &scan.engine.engine)
            .with("database", scan.engine.database.as_deref().unwrap_or("unknown"));
        let noticed = std::mem::take(&mut scan.findings);
        if let Some(stop) = self.admission.rule_on_members(ctx.tenant.as_str(), &mut mail, &noticed) {
            note_findings(&noticed);
            return Ok(stopped(&stop).with_note(note));
        }
        // What the rules make of the mail is for `route` to decide; here they say what may have to be delivered.
        let facts = Facts::of(&mail, &job.envelope, scan.verdict().name(), ctx.tenant.as_str());
        let policy = self.policies.of(&ctx.tenant, &self.rules.decide(&facts).policies);
        match Handling::of(&scan, &policy) {
            Handling::Deliver { withheld } => scan.stored = self.store(&raw, &mail, &scan, &withheld, ctx).await?,
            Handling::Defer(item) if later(ctx.first_seen, DEFER) > ctx.clock.now() => {
                let at = ctx.look_again(ASK_AGAIN.0, ASK_AGAIN.1);
                return Err(Failure::defer("verdict_deferred", item.told(&mail), at));
            }
            Handling::Defer(_) | Handling::Quarantine(_) | Handling::Reject(_) => {}
        }
        let parsed = if noticed.is_empty() { job.parsed } else { claim_parsed(&mail, &*self.blobs, ctx).await? };
        note_findings(&noticed);
        let next = RouteJob { source: job.source, envelope: job.envelope, parsed, scan };
        Ok(Outcome::hop(next.hop("")?).with_note(note))
    }
}

impl Scan {
    /// Stores every attachment and inline part that may be delivered, by a second read.
    async fn store(
        &self,
        raw: &RawMail,
        mail: &ParsedMail,
        scan: &ScanReport,
        withheld: &BTreeSet<usize>,
        ctx: &Context,
    ) -> Result<Vec<StoredPart>, Failure> {
        let wanted = mail.parts.iter().enumerate();
        let wanted = wanted.filter(|(i, part)| part.role != PartRole::Body && !withheld.contains(i));
        let mut stored = Vec::new();
        for (i, part) in wanted {
            let key = rescan::attachment_key(&ctx.work, &part.content.sha256);
            let store = async {
                // First what is known of it: a part that is not clean never lies there without its verdict.
                if let Some(verdict) = scan.verdict_on(i) {
                    self.record(&key, verdict, &scan.engine, ctx).await?;
                }
                self.store_part(raw, part, &key).await
            };
            store.await.map_err(|e| store_failure(&e, ctx))?;
            ctx.progress();
            stored.push(StoredPart { part: i, key });
        }
        Ok(stored)
    }

    /// Records that a part is stored although it is not clean, because a policy says so.
    async fn record(
        &self,
        key: &str,
        verdict: Verdict,
        engine: &EngineVersion,
        ctx: &Context,
    ) -> Result<(), BlobError> {
        let record = VerdictRecord {
            mail: ctx.work.clone(),
            key: key.to_owned(),
            stored_as: Some(verdict.clone()),
            verdict,
            previous: None,
            engine: engine.clone(),
            at: ctx.clock.now(),
            audit: Vec::new(),
        };
        rescan::put(&*self.blobs, &self.key, record).await.map(drop)
    }

    async fn store_part(&self, raw: &RawMail, part: &Part, key: &str) -> Result<(), BlobError> {
        let stream = raw.part(part).await?;
        let body = Body::Stream { len: part.content.len, sha256: part.content.sha256, stream };
        self.blobs.put(key, body, Condition::Always).await.map(drop)
    }
}

/// The first of what was found, in words.
fn found(scan: &ScanReport, mail: &ParsedMail) -> String {
    let items = scan.items();
    items.iter().take(NOTED).map(|item| item.told(mail)).collect::<Vec<_>>().join("; ")
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
