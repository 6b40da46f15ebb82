//! `mailtri dlq`: look at dead letters and send them back.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use shared::{
    envelope::Attempt,
    ids::StageName,
    queue::{Outgoing, batch::Batcher},
};

use super::{
    DataArgs, boot,
    error::CommandError,
    letters::{Letter, Pass},
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

/// What is shown of a letter.
#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    stage: StageName,
    class: &'a str,
    reason: &'a str,
    at: Option<jiff::Timestamp>,
    mail: Option<&'a shared::ids::WorkId>,
    tenant: &'a str,
    branch: &'a str,
    attempts: u32,
    first_seen: Option<jiff::Timestamp>,
    trace: Option<&'a str>,
    history: &'a [Attempt],
}

impl<'a> Shown<'a> {
    fn of(letter: &'a Letter) -> Self {
        let envelope = letter.envelope();
        Self {
            id: letter.id(),
            stage: letter.stage,
            class: letter.class(),
            reason: letter.reason(),
            at: letter.at(),
            mail: envelope.map(|e| &e.work),
            tenant: letter.tenant(),
            branch: envelope.map_or("", |e| &e.branch),
            attempts: envelope.map_or(0, |e| e.attempt + 1),
            first_seen: envelope.map(|e| e.first_seen),
            trace: envelope.map(|e| e.trace.trace_id()),
            history: letter.history(),
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
    let (_, plane) = args.data.plane()?;
    let pass = Pass::over(&plane, &args.of.stages()).await?;
    let shown: Vec<Shown<'_>> = pass.letters().iter().filter(|l| args.of.takes(l)).map(Shown::of).collect();
    let printed = if args.json { shown.iter().try_for_each(output::json) } else { print_table(&shown) };
    drop(shown);
    pass.end().await?;
    printed
}

fn print_table(shown: &[Shown<'_>]) -> Result<(), CommandError> {
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
    let (_, plane) = args.data.plane()?;
    let pass = Pass::over(&plane, &PIPELINE.map(|row| row.stage)).await?;
    let found = match pass.letters().iter().find(|letter| letter.id() == args.id) {
        Some(letter) if args.json => output::json(&Shown::of(letter)),
        Some(letter) => output::line(text(&Shown::of(letter))),
        None => Err(CommandError::no_input(format!("there is no dead letter {}: see `mailtri dlq list`", args.id))),
    };
    pass.end().await?;
    found
}

fn text(letter: &Shown<'_>) -> String {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        format!("letter      {}", letter.id),
        format!("mail        {}", optional(letter.mail.map(ToString::to_string))),
        format!("tenant      {}", letter.tenant),
        format!("stage       {} {}", letter.stage, letter.branch).trim_end().to_owned(),
        format!("class       {}", letter.class),
        format!("reason      {}", letter.reason),
        format!("attempts    {}", letter.attempts),
        format!("first seen  {}", optional(letter.first_seen.map(|at| at.to_string()))),
        format!("dead since  {}", optional(letter.at.map(|at| at.to_string()))),
        format!("trace       {}", letter.trace.unwrap_or("-")),
        "history".to_owned(),
    ];
    lines.extend(letter.history.iter().map(|a| format!("  {}  {}  {}: {}", a.at, a.stage, a.class, a.reason)));
    lines.join("\n")
}

async fn requeue(args: &RequeueArgs) -> Result<(), CommandError> {
    let (_, plane) = args.data.plane()?;
    let mut pass = Pass::over(&plane, &args.of.stages()).await?;
    let done = requeue_held(args, &plane, &mut pass).await;
    pass.end().await?;
    let (sent, missing) = done?;
    let would = if args.dry_run { "would be sent back" } else { "sent back" };
    output::line(format_args!("{sent} {would}"))?;
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(CommandError::no_input(format!("there is no dead letter {}", missing.join(", ")))),
    }
}

/// Sends what was asked for: each letter is deleted only after its job was accepted.
async fn requeue_held(
    args: &RequeueArgs,
    plane: &Plane,
    pass: &mut Pass,
) -> Result<(usize, Vec<String>), CommandError> {
    let mut missing = args.ids.clone();
    let mut sent = 0;
    // From the back, because a deletion moves the last letter into its place.
    for i in (0..pass.letters().len()).rev() {
        let letter = &pass.letters()[i];
        let id = letter.id();
        if !args.of.takes(letter) || !(args.all || args.ids.contains(&id)) {
            continue;
        }
        missing.retain(|wanted| *wanted != id);
        let Some(body) = letter.again(plane.clock.now())? else { continue };
        sent += 1;
        if args.dry_run {
            output::line(format_args!("{id}  {}  {}", letter.stage, letter.class()))?;
            continue;
        }
        let group = letter.tenant().to_owned();
        let queue = plane.queues.get(&letter.stage).map(|queues| Batcher::new(queues.work.clone()));
        let queue = queue.ok_or_else(|| CommandError::failed(format!("{} has no queue", letter.stage)))?;
        queue.send(Outgoing { body, delay: Duration::ZERO, group }).await.map_err(CommandError::failed)?;
        pass.delete(i).await?;
    }
    Ok((sent, missing))
}
