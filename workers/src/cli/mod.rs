//! The command line: one command, one file.

mod boot;
mod clamd;
mod config;
mod dlq;
mod error;
mod inspect;
mod letters;
mod limits;
mod output;
mod pipeline;
mod quarantine;
mod rescan;
mod submit;
mod table;
mod terminal;
mod worker;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use shared::config::units;

use error::CommandError;

/// A self-hosted inbound e-mail router.
///
/// Takes raw mails, parses them in a sandbox, scans them with ClamAV, routes them by rules and delivers them as
/// signed webhooks. Every mail ends delivered, quarantined, rejected, dropped by a rule, or dead-lettered, with
/// its reason on record.
#[derive(Debug, Parser)]
#[command(name = "mailtri", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 65 the input is no mail or too large, \
    66 the input is missing, 75 a limit says to try again later, 78 the configuration is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every stage in one process until stopped, taking mails from DIR/incoming
    Local(worker::LocalArgs),
    /// Run some stages; several processes may share one data directory
    Worker(worker::WorkerArgs),
    /// Hand mails in: files, directories, an mbox, or standard input
    Submit(submit::SubmitArgs),
    /// Show what would become of one mail, sending nothing
    Inspect(inspect::InspectArgs),
    /// Print the pipeline: stages, policies, edges
    Pipeline(pipeline::PipelineArgs),
    /// Look at dead letters and send them back
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Look at limits, test and reset them
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Look at quarantined mails
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Have the clamds load new signatures, one after the other
    #[command(subcommand)]
    Clamd(clamd::ClamdCommand),
    /// Scan stored attachments again after signatures have changed
    Rescan(rescan::RescanArgs),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The child that looks at untrusted bytes
    #[command(hide = true)]
    Sandbox,
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
struct ConfigArg {
    /// The configuration file; without it ./mailtri.toml if there is one
    #[arg(long, short, value_name = "FILE", env = "MAILTRI_CONFIG")]
    config: Option<PathBuf>,
}

/// Where the embedded plane is.
#[derive(Debug, Clone, Args)]
struct DataArgs {
    /// The data directory; without it data.dir of the configuration
    #[arg(long, short, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // Crash windows for the fault tests, named by the environment; without the feature there are none.
    let _scenario = cfg!(feature = "failpoints").then(fail::FailScenario::setup);
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Sandbox => return crate::sandbox::child::child_main(),
        Command::Completions { shell } => completions(shell),
        Command::Local(args) => worker::local(&args),
        Command::Worker(args) => worker::worker(&args),
        Command::Submit(args) => submit::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Pipeline(args) => pipeline::run(&args),
        Command::Dlq(command) => dlq::run(&command),
        Command::Limits(command) => limits::run(&command),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Clamd(command) => clamd::run(&command),
        Command::Rescan(args) => rescan::run(&args),
        Command::Config(command) => config::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// An argument that is a duration.
fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).ok_or_else(|| format!("expected {}", units::DURATION))
}

fn completions(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mailtri", &mut script);
    output::write(&script)
}
