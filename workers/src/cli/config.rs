//! `mailtri config`: check or show the configuration.

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
            output::line("the configuration is right")
        }
        ConfigCommand::Show(config) => {
            let (_, effective) = config.load()?;
            output::line(effective.to_string().trim_end())
        }
    }
}
