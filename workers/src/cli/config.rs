//! `mailtri config`: check or show the configuration.

use std::path::Path;

use clap::Subcommand;

use super::{ConfigArg, error::CommandError, output};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the configuration is right, or everything that is wrong with it
    Check(ConfigArg),
    /// Print the configuration in effect, secrets masked
    Show(ConfigArg),
}

pub(super) fn run(command: &ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Check(config) => {
            config.load()?;
            output::line(right(config.file().as_deref()))
        }
        ConfigCommand::Show(config) => {
            let (_, effective) = config.load()?;
            output::line(effective.to_string().trim_end())
        }
    }
}

/// Says what was looked at: in another folder that is another file, or none.
fn right(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("{}: the configuration is right", file.display()),
        None => "the configuration is right: it is of the defaults and the environment alone, since there is no \
                 mailtri.toml here and no --config"
            .to_owned(),
    }
}
