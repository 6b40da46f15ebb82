//! `mailtri rescan`: looks at stored attachments again after signatures have changed.

use std::{collections::BTreeSet, sync::Arc};

use clap::Args;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    blobs::{self, BlobError, Blobs, Condition},
    clamav::{EngineVersion, ScanError, Scanner},
};

use super::{DataArgs, boot, error::CommandError, output};
use crate::{
    fleet,
    scanning::rescan::{ATTACHMENTS, CHANGED, Rescan, RescanError, Rescanned, VERDICTS, VerdictRecord, record_key},
};

/// Attachments between two notes of how far it came.
const PAGE: usize = 200;
/// The longest note, in bytes.
const LONGEST: u64 = 64 << 10;

#[derive(Debug, Args)]
pub(super) struct RescanArgs {
    /// One JSON object a line: the events, then a summary
    #[arg(long)]
    json: bool,
    /// From the beginning, also where these signatures have seen everything or an earlier run stopped halfway
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// How far a run came, and what it found.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    engine: EngineVersion,
    /// The last attachment that was looked at; `None` at the beginning.
    after: Option<String>,
    done: bool,
    scanned: u64,
    changed: u64,
    failed: u64,
}

impl Progress {
    fn new(engine: EngineVersion) -> Self {
        Self { engine, after: None, done: false, scanned: 0, changed: 0, failed: 0 }
    }
}

pub(super) fn run(args: &RescanArgs) -> Result<(), CommandError> {
    boot::block_on(rescan(args))
}

async fn rescan(args: &RescanArgs) -> Result<(), CommandError> {
    let (settings, plane) = args.data.plane().await?;
    let key = plane.audit_key(settings.audit.key.as_ref()).map_err(CommandError::failed)?;
    let clamds = fleet::clamds(&settings);
    let engine = clamds.engine().await.map_err(CommandError::failed)?;
    let at_once = settings.clamav.concurrency.get() * clamds.status().len().max(1);
    let rescan = Rescan { blobs: Arc::clone(&plane.blobs), scanner: clamds, key, clock: plane.clock.clone() };
    let known = if args.again { None } else { progress(&*plane.blobs).await? };
    // Signatures without a version may be others now.
    let same = known.filter(|known| known.engine == engine && (engine.database.is_some() || !known.done));
    let (resumed, mut progress) = (same.is_some(), same.unwrap_or_else(|| Progress::new(engine)));
    let run = Run { rescan, at_once, json: args.json };
    while !progress.done {
        run.page(&mut progress).await?;
        fail::fail_point!("rescan::after_page");
        note(&*plane.blobs, &progress).await?;
    }
    run.summary(&progress, resumed)?;
    if progress.failed > 0 {
        return Err(CommandError::failed(format!(
            "{} attachments could not be scanned: `mailtri rescan --again` tries all of them again",
            progress.failed
        )));
    }
    Ok(())
}

struct Run {
    rescan: Rescan,
    at_once: usize,
    json: bool,
}

impl Run {
    /// Looks at the next attachments.
    async fn page(&self, progress: &mut Progress) -> Result<(), CommandError> {
        let blobs = &*self.rescan.blobs;
        let page = blobs.list(ATTACHMENTS, progress.after.as_deref(), PAGE).await.map_err(CommandError::failed)?;
        let records =
            records(blobs, progress.after.as_deref(), page.keys.last()).await.map_err(CommandError::failed)?;
        let one = async |key: &String| (key.clone(), self.rescan.one(key, records.contains(&record_key(key))).await);
        let mut looks = stream::iter(page.keys.iter().map(one)).buffer_unordered(self.at_once);
        while let Some((key, looked)) = looks.next().await {
            match looked {
                Ok(Rescanned::Gone) => {}
                Ok(Rescanned::Same) => progress.scanned += 1,
                Ok(Rescanned::Changed(record)) => {
                    (progress.scanned, progress.changed) = (progress.scanned + 1, progress.changed + 1);
                    self.tell(&record)?;
                }
                // Nothing can be scanned now: what was done is kept.
                Err(RescanError::Scan(error @ (ScanError::Unreachable(_) | ScanError::Unfit(_)))) => {
                    return Err(CommandError::failed(format!("{error}; run it again to go on from here")));
                }
                Err(error) => {
                    progress.failed += 1;
                    output::note(format_args!("{key}: {error}"));
                }
            }
        }
        progress.after = page.keys.last().cloned().or_else(|| progress.after.take());
        progress.done = page.next.is_none();
        Ok(())
    }

    fn tell(&self, record: &VerdictRecord) -> Result<(), CommandError> {
        let previous = record.previous.as_ref().map_or("clean", |verdict| verdict.name());
        if self.json {
            return output::json(&json!({
                "event": CHANGED,
                "mail": record.mail,
                "key": record.key,
                "previous": previous,
                "verdict": record.verdict.name(),
                "detail": record.verdict.detail(),
                "engine": record.engine,
                "at": record.at,
            }));
        }
        let (verdict, detail) = (record.verdict.name(), record.verdict.detail());
        output::line(format_args!("{CHANGED}  {}  {previous} -> {verdict} {detail}", record.key))
    }

    fn summary(&self, progress: &Progress, resumed: bool) -> Result<(), CommandError> {
        let Progress { scanned, changed, failed, engine, .. } = progress;
        if self.json {
            let counts = json!({"scanned": scanned, "changed": changed, "failed": failed});
            return output::json(
                &json!({"event": "rescan.done", "engine": engine, "resumed": resumed, "total": counts}),
            );
        }
        let database = engine.database.as_deref().unwrap_or("without a version");
        output::line(format_args!("{scanned} scanned with signatures {database}, {changed} changed, {failed} failed"))
    }
}

/// The keys of the records on the attachments after one and up to another.
async fn records(blobs: &dyn Blobs, after: Option<&str>, last: Option<&String>) -> Result<BTreeSet<String>, BlobError> {
    let Some(last) = last.map(|last| record_key(last)) else { return Ok(BTreeSet::new()) };
    let (mut found, mut after) = (BTreeSet::new(), after.map(record_key));
    loop {
        let page = blobs.list(VERDICTS, after.as_deref(), PAGE).await?;
        let past = page.keys.last().is_none_or(|key| *key >= last);
        found.extend(page.keys);
        after = page.next;
        if past || after.is_none() {
            return Ok(found);
        }
    }
}

/// Where it is noted how far a run came; no mail has that name.
const PROGRESS: &str = "verdicts/rescan";

async fn progress(blobs: &dyn Blobs) -> Result<Option<Progress>, CommandError> {
    match blobs::read(blobs, PROGRESS, None, LONGEST).await {
        Ok((_, bytes)) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(BlobError::NotFound) => Ok(None),
        Err(error) => Err(CommandError::failed(error)),
    }
}

async fn note(blobs: &dyn Blobs, progress: &Progress) -> Result<(), CommandError> {
    let json = serde_json::to_vec(progress).map_err(CommandError::failed)?;
    blobs.put(PROGRESS, json.into(), Condition::Always).await.map(drop).map_err(CommandError::failed)
}
