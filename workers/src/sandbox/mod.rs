//! The seam for untrusted bytes: mail is parsed in child processes, never in the worker's own.
//!
//! A child ([`child`]) is the same binary with a hidden subcommand. It reads one request after another from its
//! standard input, answers each on its standard output ([`frame`]), and exits when its input ends. The parent
//! ([`pool`]) keeps the children, their limits of time and the bounds of what they answer: a child is not trusted
//! either ([`check`]).

pub mod check;
pub mod child;
pub mod frame;
pub mod message;
pub mod pool;

pub use message::{Answer, Request};
pub use pool::{Death, Sandbox, SandboxConfig, SandboxError};
