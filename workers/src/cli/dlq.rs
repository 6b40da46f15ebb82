//! `mailtri dlq`, the dead-letter desk: look at dead letters, send them back, take them out.

mod export;
mod filter;
mod list;
mod purge;
mod requeue;
mod show;
mod watch;
mod work;

use std::time::Duration;

use clap::{Args, Subcommand};
use shared::ids::StageName;
use tokio_util::sync::CancellationToken;

use super::{DataArgs, boot, duration, error::CommandError, letters::Terms};
use crate::plane::Plane;

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, grouped by stage, class and reason
    List(list::ListArgs),
    /// Show one dead letter: its reason, its history and where its mail is
    Show(show::ShowArgs),
    /// Send dead letters back to their stage, attempts given back and history kept
    ///
    /// An interrupt ends it cleanly, and running it again goes on where it ended.
    Requeue(requeue::RequeueArgs),
    /// Print dead letters as JSON lines: envelope and reason
    Export(export::ExportArgs),
    /// Delete dead letters for ever; how they ended stays on record
    Purge(purge::PurgeArgs),
    /// Print groups of dead letters as they change, until interrupted
    Watch(watch::WatchArgs),
}

/// The plane, and how long its dead letters may be held.
#[derive(Debug, Args)]
struct PassArgs {
    /// How long letters may stay hidden if this command is killed; a pass over them takes less
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = hold)]
    hold: Duration,
    #[command(flatten)]
    data: DataArgs,
}

impl PassArgs {
    async fn plane(&self) -> Result<Plane, CommandError> {
        self.data.plane().await.map(|(_, plane)| plane)
    }

    const fn terms<'a>(&self, plane: &'a Plane, stages: &'a [StageName], stop: &'a CancellationToken) -> Terms<'a> {
        Terms { plane, stages, hold: self.hold, stop }
    }
}

fn hold(text: &str) -> Result<Duration, String> {
    let hold = duration(text)?;
    let bounds = Duration::from_secs(10)..=Duration::from_secs(3600);
    if bounds.contains(&hold) { Ok(hold) } else { Err("expected 10s to 1h".to_owned()) }
}

pub(super) fn run(command: &DlqCommand) -> Result<(), CommandError> {
    boot::block_on(async {
        match command {
            DlqCommand::List(args) => list::list(args).await,
            DlqCommand::Show(args) => show::show(args).await,
            DlqCommand::Requeue(args) => requeue::requeue(args).await,
            DlqCommand::Export(args) => export::export(args).await,
            DlqCommand::Purge(args) => purge::purge(args).await,
            DlqCommand::Watch(args) => watch::watch(args).await,
        }
    })
}
