//! `mailtri quarantine`: look at mails that are kept aside.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::{
    blobs::{self, BlobError},
    ids::WorkId,
    settle::{QuarantineRecord, quarantine_key},
};

use super::{DataArgs, boot, error::CommandError, output, table::Table};
use crate::plane::Plane;

/// The longest quarantine record: a job with its inline content.
const LONGEST: u64 = 8 << 20;
/// Records read in one go.
const PAGE: usize = 500;

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// List quarantined mails
    List(ListArgs),
    /// Show why one mail is quarantined, and where it is
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The mail's id, as `list` prints it
    mail: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(command: &QuarantineCommand) -> Result<(), CommandError> {
    boot::block_on(async {
        match command {
            QuarantineCommand::List(args) => list(args).await,
            QuarantineCommand::Show(args) => show(args).await,
        }
    })
}

async fn list(args: &ListArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane().await?;
    let mut table = Table::new(["MAIL", "TENANT", "STAGE", "REASON", "SINCE"]);
    let mut after = None;
    loop {
        let page = plane.blobs.list("quarantine/", after.as_deref(), PAGE).await.map_err(CommandError::failed)?;
        for key in &page.keys {
            let record = read(&plane, key).await.map_err(CommandError::failed)?;
            if args.json {
                output::json(&shown(&record))?;
            } else {
                let QuarantineRecord { reason, stage, at, job } = record;
                table.row([job.work.to_string(), job.tenant.to_string(), stage, reason, at.to_string()]);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match (args.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => output::line("no quarantined mails"),
        (false, false) => output::line(table),
    }
}

async fn show(args: &ShowArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane().await?;
    let missing =
        || CommandError::no_input(format!("there is no quarantined mail {}: see `mailtri quarantine list`", args.mail));
    let mail = WorkId::new(args.mail.as_str()).map_err(|_| missing())?;
    let record = match read(&plane, &quarantine_key(&mail)).await {
        Ok(record) => record,
        Err(BlobError::NotFound) => return Err(missing()),
        Err(error) => return Err(CommandError::failed(error)),
    };
    let shown = shown(&record);
    if args.json {
        return output::json(&shown);
    }
    for (key, value) in shown.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(format_args!("{key:<11} {text}"))?;
    }
    Ok(())
}

async fn read(plane: &Plane, key: &str) -> Result<QuarantineRecord, BlobError> {
    let (_, bytes) = blobs::read(&*plane.blobs, key, None, LONGEST).await?;
    serde_json::from_slice(&bytes).map_err(|_| BlobError::Damaged("not a quarantine record"))
}

/// What is shown of a record: never the mail itself.
fn shown(record: &QuarantineRecord) -> Value {
    let job: Value = record.job.job().unwrap_or_default();
    json!({
        "mail": record.job.work,
        "tenant": record.job.tenant,
        "stage": record.stage,
        "reason": record.reason,
        "at": record.at,
        "first_seen": record.job.first_seen,
        "raw": job.pointer("/source/key"),
        "trace": record.job.trace.trace_id(),
    })
}
