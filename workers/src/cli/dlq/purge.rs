//! `mailtri dlq purge`: the letters go, what the store says of their ends stays.

use std::{
    cell::Cell,
    io::{IsTerminal, stdin},
    thread,
};

use clap::Args;
use serde_json::json;
use tokio::sync::oneshot;

use super::{PassArgs, filter::Selection, requeue::would, work::work};
use crate::cli::{
    error::CommandError,
    letters::{Fate, Terms, closed, interrupts},
    output,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct PurgeArgs {
    #[command(flatten)]
    select: Selection,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Needed where nobody can answer
    #[arg(long)]
    yes: bool,
    /// As JSON: the letters of a dry run one a line, otherwise what was done
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) async fn purge(args: &PurgeArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, args.select.of.stages());
    let mut wanted = args.select.wanted(plane.clock.now())?;
    let terms = args.pass.terms(&plane, &stages, &stop);
    if !args.yes && !args.dry_run && !stdin().is_terminal() {
        return Err(CommandError::usage("nobody is there to be asked: pass --yes to delete dead letters for ever"));
    }
    if args.dry_run {
        return would(terms, &wanted, args.json, "would be deleted").await.map(drop);
    }
    if !args.yes {
        let ids = would(terms, &wanted, args.json, "are to be deleted for ever").await?;
        if ids.is_empty() || !agreed(terms).await? {
            return output::line("0 deleted");
        }
        // What was shown, and nothing that came since.
        wanted.only(ids.into_iter().collect());
    }
    let deleted = Cell::new(0_usize);
    let done = work(terms, async |letter| {
        if stop.is_cancelled() || !wanted.takes(&letter.summary) {
            return Ok(Fate::Stays);
        }
        closed(&*plane.blobs, letter, plane.clock.now()).await?;
        deleted.set(deleted.get() + 1);
        Ok(Fate::Goes)
    })
    .await;
    let deleted = deleted.get();
    if args.json {
        output::json(&json!({"deleted": deleted}))?
    } else {
        output::line(format_args!("{deleted} deleted"))?
    }
    done?;
    wanted.found()
}

/// Whether the answer is yes. The thread is left to its read when an interrupt comes first.
async fn agreed(terms: Terms<'_>) -> Result<bool, CommandError> {
    output::note("delete them? [y/N]");
    let (answer, answered) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        // Nobody waits for it after an interrupt.
        drop(answer.send(read));
    });
    tokio::select! {
        read = answered => {
            let line = read.map_err(CommandError::failed)?.map_err(CommandError::failed)?;
            Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
        }
        () = terms.stop.cancelled() => Err(CommandError::failed("interrupted; nothing was deleted")),
    }
}
