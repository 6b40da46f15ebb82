//! `mailtri dlq`: look at dead letters and send them back.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    envelope::Attempt,
    ids::{StageName, WorkId},
    queue::{Outgoing, batch::Batcher},
    settle::end_key,
};

use super::{
    DataArgs, boot,
    error::CommandError,
    letters::{self, Fate, Letter},
    output,
    table::Table,
};
use crate::{
    pipeline::{self, PIPELINE},
    plane::Plane,
};

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters
    List(ListArgs),
    /// Show one dead letter: its reason and its history, never the mail
    Show(ShowArgs),
    /// Send dead letters back to their stage, attempts given back and history kept
    Requeue(RequeueArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    of: Filter,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The letter's id, as `list` prints it
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct RequeueArgs {
    /// Letters by their ids, as `list` prints them
    #[arg(required_unless_present = "all")]
    ids: Vec<String>,
    /// Every letter that the filters leave
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    of: Filter,
    /// Say what would be sent back, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Which letters.
#[derive(Debug, Clone, Args)]
struct Filter {
    /// Only of this stage
    #[arg(long, value_parser = stage)]
    stage: Option<StageName>,
    /// Only of this class, such as worker_died
    #[arg(long)]
    class: Option<String>,
}

fn stage(name: &str) -> Result<StageName, String> {
    pipeline::row(name).map(|row| row.stage).ok_or_else(|| "there is no such stage".to_owned())
}

impl Filter {
    fn stages(&self) -> Vec<StageName> {
        self.stage.map_or_else(|| PIPELINE.map(|row| row.stage).to_vec(), |stage| vec![stage])
    }

    fn takes(&self, letter: &Letter) -> bool {
        self.class.as_deref().is_none_or(|class| class == letter.class())
    }
}

/// What is shown of a letter: never the mail.
#[derive(Serialize)]
struct Shown {
    id: String,
    stage: StageName,
    class: String,
    reason: String,
    at: Option<Timestamp>,
    mail: Option<WorkId>,
    tenant: String,
    branch: String,
    attempts: u32,
    first_seen: Option<Timestamp>,
    trace: Option<String>,
    history: Vec<Attempt>,
}

impl Shown {
    fn of(letter: &Letter) -> Self {
        let envelope = letter.envelope();
        Self {
            id: letter.id.clone(),
            stage: letter.stage,
            class: letter.class().to_owned(),
            reason: letter.reason().to_owned(),
            at: letter.at(),
            mail: envelope.map(|e| e.work.clone()),
            tenant: letter.tenant().to_owned(),
            branch: envelope.map(|e| e.branch.clone()).unwrap_or_default(),
            attempts: envelope.map_or(0, |e| e.attempt + 1),
            first_seen: envelope.map(|e| e.first_seen),
            trace: envelope.map(|e| e.trace.trace_id().to_owned()),
            history: letter.history().to_vec(),
        }
    }
}

pub(super) fn run(command: &DlqCommand) -> Result<(), CommandError> {
    boot::block_on(async {
        match command {
            DlqCommand::List(args) => list(args).await,
            DlqCommand::Show(args) => show(args).await,
            DlqCommand::Requeue(args) => requeue(args).await,
        }
    })
}

async fn list(args: &ListArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane().await?;
    let mut shown = Vec::new();
    letters::visit(&plane, &args.of.stages(), async |letter| {
        if args.of.takes(letter) {
            shown.push(Shown::of(letter));
        }
        Ok(Fate::Stays)
    })
    .await?;
    if args.json { shown.iter().try_for_each(output::json) } else { print_table(&shown) }
}

fn print_table(shown: &[Shown]) -> Result<(), CommandError> {
    let mut table = Table::new(["ID", "STAGE", "CLASS", "REASON", "ATTEMPTS", "SINCE"]);
    for letter in shown {
        let at = letter.at.map(|at| at.to_string()).unwrap_or_default();
        let attempts = letter.attempts.to_string();
        table.row([
            letter.id.clone(),
            letter.stage.to_string(),
            letter.class.to_owned(),
            letter.reason.to_owned(),
            attempts,
            at,
        ]);
    }
    if table.is_empty() { output::line("no dead letters") } else { output::line(table) }
}

async fn show(args: &ShowArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane().await?;
    let mut found = None;
    letters::visit(&plane, &PIPELINE.map(|row| row.stage), async |letter| {
        if letter.id == args.id {
            found = Some(Shown::of(letter));
        }
        Ok(Fate::Stays)
    })
    .await?;
    match found {
        Some(letter) if args.json => output::json(&letter),
        Some(letter) => output::line(text(&letter)),
        None => Err(CommandError::no_input(format!("there is no dead letter {}: see `mailtri dlq list`", args.id))),
    }
}

fn text(letter: &Shown) -> String {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        format!("letter      {}", letter.id),
        format!("mail        {}", optional(letter.mail.as_ref().map(ToString::to_string))),
        format!("tenant      {}", letter.tenant),
        format!("stage       {} {}", letter.stage, letter.branch).trim_end().to_owned(),
        format!("class       {}", letter.class),
        format!("reason      {}", letter.reason),
        format!("attempts    {}", letter.attempts),
        format!("first seen  {}", optional(letter.first_seen.map(|at| at.to_string()))),
        format!("dead since  {}", optional(letter.at.map(|at| at.to_string()))),
        format!("trace       {}", optional(letter.trace.clone())),
        "history".to_owned(),
    ];
    lines.extend(letter.history.iter().map(|a| format!("  {}  {}  {}: {}", a.at, a.stage, a.class, a.reason)));
    lines.join("\n")
}

async fn requeue(args: &RequeueArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane().await?;
    let mut missing = args.ids.clone();
    let mut sent = 0;
    let done = letters::visit(&plane, &args.of.stages(), async |letter| {
        if !args.of.takes(letter) || !(args.all || args.ids.contains(&letter.id)) {
            return Ok(Fate::Stays);
        }
        missing.retain(|wanted| *wanted != letter.id);
        sent += 1;
        if args.dry_run {
            output::line(format_args!("{}  {}  {}", letter.id, letter.stage, letter.class()))?;
            return Ok(Fate::Stays);
        }
        send_back(&plane, letter).await?;
        Ok(Fate::Goes)
    })
    .await;
    let would = if args.dry_run { "would be sent back" } else { "sent back" };
    output::line(format_args!("{sent} {would}"))?;
    done?;
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(CommandError::no_input(format!("there is no dead letter {}", missing.join(", ")))),
    }
}

/// Sends a letter's job to its stage. Its end as a dead letter is forgotten first: it is on its way to another.
async fn send_back(plane: &Plane, letter: &Letter) -> Result<(), CommandError> {
    if let Some(envelope) = letter.envelope() {
        let key = end_key(&envelope.work, letter.stage, &envelope.branch);
        plane.blobs.delete(&key).await.map_err(CommandError::failed)?;
    }
    let body = letter.again(&*plane.blobs, plane.clock.now()).await?;
    let queues = plane.queues.get(&letter.stage);
    let queues = queues.ok_or_else(|| CommandError::failed(format!("{} has no queue", letter.stage)))?;
    let message = Outgoing { body, delay: Duration::ZERO, group: letter.tenant().to_owned() };
    Batcher::new(queues.work.clone()).send(message).await.map_err(CommandError::failed)
}
