//! The `mailtri` binary: arguments, boot, run, drain.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mailtri::cli::main()
}
