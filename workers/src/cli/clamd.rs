//! `mailtri clamd`: what operators do with the clamds that the configuration names.

use std::{
    path::PathBuf,
    pin::{Pin, pin},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::json;
use shared::{
    clamav::{
        EngineVersion,
        reload::{self, Order, ReloadError, Reloaded, version_in},
    },
    config::units,
};
use tokio::time::sleep;

use super::{ConfigArg, boot, duration, error::CommandError, output};
use crate::fleet;

/// How long nothing is said while a clamd takes its time.
const QUIET: Duration = Duration::from_secs(3);

#[derive(Debug, Subcommand)]
pub(super) enum ClamdCommand {
    /// Have every clamd load its signatures anew, one after the other
    ///
    /// The next one is told to when the one before it answers with the new signatures and passes its test. It ends at
    /// the first one that does not, so that the others go on with the signatures that they have.
    Reload(ReloadArgs),
}

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// The folder that freshclam writes to: clamds whose signatures are as new already are left alone, and each of
    /// the others has to come to them. Without it each one is given the whole deadline to show other signatures
    #[arg(long, value_name = "DIR")]
    database: Option<PathBuf>,
    /// How long each clamd may take
    #[arg(long, value_name = "DURATION", default_value = "5min", value_parser = duration)]
    deadline: Duration,
    /// How long to wait before the next one, so that every worker uses the last one again
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pause: Duration,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(command: &ClamdCommand) -> Result<(), CommandError> {
    let ClamdCommand::Reload(args) = command;
    boot::block_on(reload(args))
}

async fn reload(args: &ReloadArgs) -> Result<(), CommandError> {
    let (settings, _) = args.config.load()?;
    let wanted = args.database.as_deref().map(version_in).transpose().map_err(failed)?;
    let order = Order { deadline: args.deadline, pause: args.pause, wanted };
    let mut written = Ok(());
    let tell = |done: &Reloaded| {
        if written.is_ok() {
            written = said(args.json, done);
        }
    };
    let clamds = fleet::clamd_config(&settings);
    let done = {
        let work = pin!(reload::reload(&clamds, &order, tell));
        telling(work, args.deadline).await
    };
    done.map_err(failed)?;
    written
}

/// Waits, and says so where it takes long.
async fn telling<T>(mut work: Pin<&mut impl Future<Output = T>>, deadline: Duration) -> T {
    tokio::select! {
        done = &mut work => return done,
        () = sleep(QUIET) => {}
    }
    let most = units::show_duration(deadline);
    output::note(format_args!("a clamd loads, or does not answer: each may take up to {most} (--deadline)"));
    work.await
}

fn failed(error: ReloadError) -> CommandError {
    match error {
        ReloadError::Database { .. } => CommandError::no_input(error),
        error => CommandError::failed(error),
    }
}

fn said(json: bool, done: &Reloaded) -> Result<(), CommandError> {
    let Reloaded { endpoint, before, engine } = done;
    if json {
        let line = json!({
            "clamd": endpoint.to_string(), "before": before, "engine": engine, "changed": done.is_changed(),
        });
        return output::json(&line);
    }
    let now = signatures(engine);
    match before {
        _ if !done.is_changed() => output::line(format_args!("clamd {endpoint}: signatures {now}, the same as before")),
        Some(before) => output::line(format_args!("clamd {endpoint}: signatures {} -> {now}", signatures(before))),
        None => output::line(format_args!("clamd {endpoint}: signatures {now}, and it is fit for use again")),
    }
}

fn signatures(engine: &EngineVersion) -> &str {
    engine.database.as_deref().unwrap_or("without a version")
}
