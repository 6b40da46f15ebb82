//! `mailtri local` and `mailtri worker`: boot, run, drain.

use std::sync::Arc;

use clap::Args;
use shared::shutdown::Shutdown;

use super::{DataArgs, boot, error::CommandError, output};
use crate::{
    fleet::Running,
    incoming::Incoming,
    intake::Intake,
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
    let (settings, dir) = args.data.load()?;
    let plane = boot::make_plane(&dir)?;
    let stages = PIPELINE.map(|row| row.stage);
    run(settings, plane, &stages, true)
}

pub(super) fn worker(args: &WorkerArgs) -> Result<(), CommandError> {
    let (settings, dir) = args.data.load()?;
    let plane = boot::make_plane(&dir)?;
    run(settings, plane, &args.stages, false)
}

fn run(settings: Settings, plane: Plane, stages: &[StageName], incoming: bool) -> Result<(), CommandError> {
    let (settings, plane) = (Arc::new(settings), Arc::new(plane));
    boot::start_logs(&settings)?;
    boot::block_on(async {
        let shutdown = Shutdown::default();
        shutdown.on_signals(settings.shutdown.grace).map_err(CommandError::failed)?;
        let running = Running::start(&settings, &plane, stages, &shutdown).await.map_err(CommandError::failed)?;
        let taking = if incoming { Some(take_incoming(&settings, &plane, &shutdown)?) } else { None };
        output::line("ready")?;
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
    shutdown: &Shutdown,
) -> Result<tokio::task::JoinHandle<()>, CommandError> {
    let intake =
        Intake::new(plane, settings.tenants.clone(), settings.limits.max_mail).map_err(CommandError::failed)?;
    let folder = plane.dir.join("incoming");
    let incoming = Incoming::watch(&folder)
        .map_err(|error| CommandError::failed(format!("{} cannot be watched: {error}", folder.display())))?;
    let draining = shutdown.draining.clone();
    Ok(tokio::spawn(async move { incoming.take_all(&intake, &draining).await }))
}
