//! The sandbox with real children. This binary is its own child: started as `sandbox` it serves, and misbehaves where
//! the mail tells it to. It has its own `main`, since the standard harness writes to standard output.
//!
//! With arguments, only the tests whose name holds one of them run.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test binary")]

mod degraded;
mod exchange;
mod given;
mod hostile;
mod lockdown;
mod naughty;
mod spending;

use std::pin::Pin;
use std::process::ExitCode;

use mailtri::sandbox::pool::SUBCOMMAND;

type Case = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// Names a test and boxes it.
macro_rules! cases {
    ($($name:literal: $test:path),* $(,)?) => { [$(($name, || Box::pin($test())),)*] };
}

const CASES: &[Case] = &cases! {
    "an ordinary mail is parsed as in process": exchange::ordinary,
    "a refusal is an answer": exchange::refusal,
    "a mail of 40 MB is parsed and one byte more is refused": exchange::the_largest,
    "a body is streamed, and one that does not come is not the mail's fault": exchange::streamed,
    "a child that is killed in the middle costs nothing": exchange::killed_in_the_middle,
    "a mail that ends its child twice is poisoned and its neighbours are unhurt": exchange::poison,
    "what is no answer is refused": exchange::garbage,
    "children are kept warm and recycled": exchange::recycled,
    "a panic, an overflow of the stack and an abort are told apart": spending::ways_to_end,
    "the wall limit is kept": spending::wall_limit,
    "the CPU limit is kept": spending::cpu_limit,
    "memory beyond the limit is refused by the kernel": spending::memory_limit,
    "the kernel holds a child to limits that its parent set": spending::kernel_limits,
    "a child that keeps much memory is replaced": spending::bloated,
    "whatever a child has no use for ends it": lockdown::forbidden,
    "a child has one thread, no environment and cannot gain rights": lockdown::from_outside,
    "without the filter Landlock still refuses files and signals": lockdown::landlock_alone,
    "a kernel without the filter gets no mail unless that is allowed": degraded::without_seccomp,
    "a kernel without Landlock is told of, and refused where all is required": degraded::without_landlock,
    "the worker warns of what its kernel lacks, or does not start": degraded::the_binary,
    "hostile mails get a typed answer from real children": hostile::generated,
    "every mail of the collection gets a typed answer": hostile::collected,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap();
    let wanted: Vec<String> = arguments.collect();
    if wanted.first().map(String::as_str) == Some(SUBCOMMAND) {
        return naughty::child(&program);
    }
    if wanted.first().map(String::as_str) == Some(degraded::WITHOUT) {
        return degraded::become_binary(&wanted[1..]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    for (name, test) in CASES.iter().filter(|(name, _)| is_wanted(name)) {
        runtime.block_on(test());
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}
