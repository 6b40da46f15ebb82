//! What commands start from: the configuration, the plane, a runtime.

use std::path::{Path, PathBuf};

use shared::{
    clock::Clock,
    config::{Effective, process_variables},
    telemetry,
};

use super::{ConfigArg, DataArgs, error::CommandError};
use crate::{
    plane::{Plane, PlaneError},
    settings::{PlaneSettings, Settings},
};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "mailtri.toml";

impl ConfigArg {
    /// The configuration, or every error in it.
    pub(super) fn load(&self) -> Result<(Settings, Effective), CommandError> {
        Settings::load(self.file().as_deref(), process_variables()).map_err(CommandError::config)
    }

    /// The file that is read, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file());
        self.config.clone().or_else(default)
    }
}

impl DataArgs {
    /// The configuration and the plane that is there already.
    pub(super) async fn plane(&self) -> Result<(Settings, Plane), CommandError> {
        self.open(Plane::open_existing).await
    }

    /// The configuration and the plane; an embedded one is made if it is not there.
    pub(super) async fn make_plane(&self) -> Result<(Settings, Plane), CommandError> {
        self.open(Plane::open).await
    }

    async fn open(
        &self,
        embedded: impl Fn(&Path, Clock) -> Result<Plane, PlaneError>,
    ) -> Result<(Settings, Plane), CommandError> {
        let (settings, _) = self.config.load()?;
        let clock = Clock::system();
        let plane = match &settings.plane {
            PlaneSettings::Aws(_) if self.data.is_some() => {
                return Err(CommandError::usage("--data is for the embedded plane; plane.kind is \"aws\""));
            }
            PlaneSettings::Aws(aws) => Plane::aws(aws, clock).await.map_err(CommandError::failed)?,
            PlaneSettings::Embedded => {
                let dir = self.dir(&settings)?;
                embedded(&dir, clock).map_err(|error| plane_error(&dir, error))?
            }
        };
        Ok((settings, plane))
    }

    fn dir(&self, settings: &Settings) -> Result<PathBuf, CommandError> {
        self.data.clone().or_else(|| settings.data.dir.clone()).ok_or_else(|| {
            CommandError::usage("no data directory: pass --data DIR or set data.dir in the configuration")
        })
    }
}

fn plane_error(dir: &Path, error: PlaneError) -> CommandError {
    let place = dir.display();
    match error {
        PlaneError::Missing(_) => CommandError::no_input(format!(
            "there is no data directory at {place}: start `mailtri local --data {place}` or submit a mail first"
        )),
        // It names its file.
        error @ PlaneError::Io { .. } => CommandError::failed(error),
        error => CommandError::failed(format!("{place}: {error}")),
    }
}

/// Starts logging as configured.
pub(super) fn start_logs(settings: &Settings) -> Result<(), CommandError> {
    telemetry::init_logs(&settings.telemetry.log, settings.telemetry.format)
        .map_err(|error| CommandError::config(format!("telemetry.log: {error}; expected a level or levels by target")))
}

/// Runs a command's asynchronous part.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("the runtime does not start: {error}")))?
        .block_on(work)
}
