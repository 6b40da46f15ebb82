//! The seam for untrusted bytes: mail is read in child processes, never in the worker's own.
//!
//! A child ([`child`]) is the same binary with a hidden subcommand. It reads one request after another from its
//! standard input, answers each on its standard output ([`frame`]), and exits when its input ends. The parent
//! ([`pool`]) keeps the children, their budgets and the bounds of what they answer: a child is not trusted either
//! ([`check`]). What it can be asked is in [`task`].

pub mod body;
pub mod budget;
pub mod check;
pub mod child;
pub mod frame;
pub mod pool;
pub mod task;

pub use body::Body;
pub use budget::Budget;
pub use pool::{Death, Sandbox, SandboxConfig, SandboxError};
pub use task::{Request, Task};
