//! `mailtri dlq list`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{PassArgs, filter::Filter};
use crate::cli::{
    error::CommandError,
    letters::{Group, Need, Summary, interrupts, snapshot},
    output,
    table::Table,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    of: Filter,
    /// Single letters instead of groups
    #[arg(long)]
    each: bool,
    /// How old an answer may be: an index of the last pass then saves a pass
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    fresh: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) async fn list(args: &ListArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, args.of.stages());
    let need = if args.each { Need::Letters } else { args.of.need() };
    let terms = args.pass.terms(&plane, &stages, &stop);
    let mut index = snapshot(terms, need, Duration::from_secs(args.fresh)).await?;
    let now = plane.clock.now();
    if args.each {
        index.letters.retain(|letter| args.of.takes(letter, now));
        return if args.json { index.letters.iter().try_for_each(output::json) } else { letters(&index.letters) };
    }
    let groups = args.of.groups(index, now);
    if args.json { groups.iter().try_for_each(output::json) } else { print_groups(&groups) }
}

fn letters(letters: &[Summary]) -> Result<(), CommandError> {
    let mut table = Table::new(["ID", "STAGE", "CLASS", "REASON", "ATTEMPTS", "SINCE"]);
    for letter in letters {
        let Summary { id, stage, branch, class, reason, attempts, at, .. } = letter.clone();
        table.row([id, place(stage, &branch), class, reason, attempts.to_string(), time(at)]);
    }
    print(&table)
}

fn print_groups(groups: &[Group]) -> Result<(), CommandError> {
    let mut table = Table::new(["FINGERPRINT", "STAGE", "CLASS", "REASON", "LETTERS", "FIRST", "LAST", "EXAMPLE"]);
    for group in groups {
        let Group { fingerprint, stage, branch, class, reason, count, first_seen, last_seen, example } = group.clone();
        let (stage, first, last) = (place(stage, &branch), time(first_seen), time(last_seen));
        table.row([fingerprint, stage, class, reason, count.to_string(), first, last, example]);
    }
    print(&table)
}

fn print(table: &Table) -> Result<(), CommandError> {
    if table.is_empty() { output::line("no dead letters") } else { output::line(table) }
}

/// The stage, with the destination of a delivery.
pub(super) fn place(stage: String, branch: &str) -> String {
    if branch.is_empty() { stage } else { format!("{stage} to {branch}") }
}

/// To the second.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.strftime("%FT%TZ").to_string()).unwrap_or_default()
}
