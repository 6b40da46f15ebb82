//! `mailtri local` and `mailtri worker`: boot, run, drain.

use std::{path::Path, sync::Arc};

use clap::Args;
use shared::shutdown::Shutdown;

use super::{DataArgs, boot, error::CommandError, output};
use crate::{
    fleet::Running,
    incoming::Incoming,
    intake::Intake,
    limiting::Limiting,
    pipeline::{self, PIPELINE, StageName},
    plane::Plane,
    settings::Settings,
};

#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// The stages to run: parse, scan, route, deliver
    #[arg(required = true, value_name = "STAGE", value_parser = stage)]
    stages: Vec<StageName>,
    #[command(flatten)]
    data: DataArgs,
}

fn stage(name: &str) -> Result<StageName, String> {
    let names = PIPELINE.map(|row| row.stage.0).join(", ");
    pipeline::row(name).map(|row| row.stage).ok_or_else(|| format!("there is no such stage; there are {names}"))
}

pub(super) fn local(args: &LocalArgs) -> Result<(), CommandError> {
    run(&args.data, &PIPELINE.map(|row| row.stage), true)
}

pub(super) fn worker(args: &WorkerArgs) -> Result<(), CommandError> {
    run(&args.data, &args.stages, false)
}

fn run(data: &DataArgs, stages: &[StageName], local: bool) -> Result<(), CommandError> {
    boot::block_on(async {
        let (settings, plane) = data.make_plane().await?;
        boot::start_logs(&settings)?;
        let (settings, plane) = (Arc::new(settings), Arc::new(plane));
        let shutdown = Shutdown::default();
        shutdown.on_signals(settings.shutdown.grace).map_err(CommandError::failed)?;
        let taking = match (&plane.dir, local) {
            (Some(dir), true) => Some(take_incoming(&settings, &plane, dir, &shutdown)?),
            (None, true) => {
                return Err(CommandError::usage("`local` is for the embedded plane; run `mailtri worker STAGE…`"));
            }
            (_, false) => None,
        };
        plane.check().await.map_err(CommandError::config)?;
        let running = Running::start(&settings, &plane, stages, &shutdown).await.map_err(CommandError::failed)?;
        if let Err(error) = output::line("ready") {
            tracing::warn!(%error, "nobody reads standard output");
        }
        running.drained().await;
        if let Some(taking) = taking {
            taking.await.map_err(CommandError::failed)?;
        }
        tracing::info!("drained");
        Ok(())
    })
}

fn take_incoming(
    settings: &Settings,
    plane: &Plane,
    dir: &Path,
    shutdown: &Shutdown,
) -> Result<tokio::task::JoinHandle<()>, CommandError> {
    let limiting = Arc::new(Limiting::open(settings, plane).map_err(CommandError::failed)?);
    let intake =
        Intake::new(plane, settings.tenants.clone(), settings.limits.max_mail).map_err(CommandError::failed)?;
    let intake = intake.limited(limiting, "incoming");
    let folder = dir.join("incoming");
    let incoming = Incoming::watch(&folder)
        .map_err(|error| CommandError::failed(format!("{} cannot be watched: {error}", folder.display())))?;
    let draining = shutdown.draining.clone();
    Ok(tokio::spawn(async move { incoming.take_all(&intake, &draining).await }))
}
