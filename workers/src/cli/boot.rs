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
    settings::Settings,
};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "mailtri.toml";

impl ConfigArg {
    /// The configuration, or every error in it.
    pub(super) fn load(&self) -> Result<(Settings, Effective), CommandError> {
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file());
        let file = self.config.clone().or_else(default);
        Settings::load(file.as_deref(), process_variables()).map_err(CommandError::config)
    }
}

impl DataArgs {
    /// The configuration and the data directory.
    pub(super) fn load(&self) -> Result<(Settings, PathBuf), CommandError> {
        let (settings, _) = self.config.load()?;
        let dir = self.data.clone().or_else(|| settings.data.dir.clone()).ok_or_else(|| {
            CommandError::usage("no data directory: pass --data DIR or set data.dir in the configuration")
        })?;
        Ok((settings, dir))
    }

    /// The plane that is there already.
    pub(super) fn plane(&self) -> Result<(Settings, Plane), CommandError> {
        let (settings, dir) = self.load()?;
        let plane = Plane::open_existing(&dir, Clock::system()).map_err(plane_error)?;
        Ok((settings, plane))
    }
}

/// The plane, made if it is not there.
pub(super) fn make_plane(dir: &Path) -> Result<Plane, CommandError> {
    Plane::open(dir, Clock::system()).map_err(plane_error)
}

fn plane_error(error: PlaneError) -> CommandError {
    match error {
        PlaneError::Missing(dir) => CommandError::no_input(format!(
            "there is no data directory at {}: start `mailtri local --data {0}` or submit a mail first",
            dir.display()
        )),
        error => CommandError::failed(error),
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
