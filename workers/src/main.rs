//! The `mailtri` binary: arguments, boot, run, drain.

use std::process::ExitCode;

fn main() -> ExitCode {
    mailtri::cli::main()
}
