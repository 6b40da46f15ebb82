//! How mails ended, as the store tells it.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use shared::{
    blobs::{self, BlobError, Blobs},
    ids::WorkId,
    settle::{EndRecord, REQUEUED, ends_prefix},
};
use tokio::time::{Instant, sleep_until};

use super::super::{error::CommandError, table::Table};
use crate::pipeline::DELIVER;

/// How often the store is asked: stores do not tell by themselves.
const ASK: Duration = Duration::from_millis(100);
/// The longest end record.
const LONGEST: u64 = 4 << 20;

/// The ends of one mail's branches so far.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) records: Vec<EndRecord>,
}

impl Ended {
    /// Whether every branch has an end: those of a fan-out are listed by what `route` noted down.
    pub(super) fn is_closed(&self) -> bool {
        if self.records.iter().any(|record| record.stage != DELIVER.0) {
            return true;
        }
        let ended: BTreeSet<&str> = self.records.iter().map(|record| record.branch.as_str()).collect();
        let routed = self.records.iter().flat_map(|record| &record.audit).find(|note| note.what == "routed");
        let branches = routed.and_then(|note| note.detail.get("destinations"));
        branches.is_some_and(|branches| branches.split(' ').all(|branch| ended.contains(branch)))
    }
}

/// Waits until every mail has ended or patience does. Asks for one after the other: thousands that wait for their turns
/// would keep the store busy.
pub(super) async fn wait(blobs: &dyn Blobs, mails: &[&WorkId], patience: Duration) -> Result<Vec<Ended>, CommandError> {
    let until = Instant::now() + patience;
    let mut all = Vec::with_capacity(mails.len());
    for mail in mails {
        let mut ended = look(blobs, mail).await?;
        while !ended.is_closed() && Instant::now() < until {
            sleep_until(until.min(Instant::now() + ASK)).await;
            ended = look(blobs, mail).await?;
        }
        all.push(ended);
    }
    Ok(all)
}

async fn look(blobs: &dyn Blobs, mail: &WorkId) -> Result<Ended, CommandError> {
    Ok(Ended { records: records(blobs, mail).await.map_err(CommandError::failed)? })
}

async fn records(blobs: &dyn Blobs, mail: &WorkId) -> Result<Vec<EndRecord>, BlobError> {
    let mut records = Vec::new();
    let page = blobs.list(&ends_prefix(mail), None, 1000).await?;
    for key in page.keys {
        let (_, bytes) = blobs::read(blobs, &key, None, LONGEST).await?;
        let record: EndRecord = serde_json::from_slice(&bytes).map_err(|_| BlobError::Damaged("not an end record"))?;
        // What was sent back from the dead letters is open again.
        if record.end != REQUEUED {
            records.push(record);
        }
    }
    Ok(records)
}

/// One line a mail and branch.
pub(super) fn table<'a>(mails: impl Iterator<Item = (&'a str, &'a Ended)>) -> Table {
    let mut table = Table::new(["MAIL", "STAGES", "END", "REASON", "TIME"]);
    for (name, ended) in mails {
        if ended.records.is_empty() {
            table.row([name.to_owned(), "-".to_owned(), "open".to_owned(), String::new(), String::new()]);
        }
        for record in &ended.records {
            table.row([name.to_owned(), stages(record), end(record), reason(record), took(record)]);
        }
    }
    table
}

fn stages(record: &EndRecord) -> String {
    let mut stages: Vec<&str> = record.audit.iter().map(|note| note.stage.as_str()).collect();
    stages.dedup();
    stages.join(" → ")
}

fn end(record: &EndRecord) -> String {
    match record.branch.as_str() {
        "" => record.end.clone(),
        branch => format!("{} to {branch}", record.end),
    }
}

fn reason(record: &EndRecord) -> String {
    match (&record.class, &record.reason) {
        (Some(class), Some(reason)) => format!("{class}: {reason}"),
        (None, Some(reason)) => reason.clone(),
        _ => {
            let note = record.audit.iter().rev().find(|note| note.what == "accepted");
            note.and_then(|note| note.detail.get("status"))
                .map(|s| format!("the receiver answered {s}"))
                .unwrap_or_default()
        }
    }
}

fn took(record: &EndRecord) -> String {
    let ms = Timestamp::duration_since(record.at, record.first_seen).as_millis();
    if ms < 10_000 { format!("{ms} ms") } else { format!("{} s", ms / 1000) }
}
