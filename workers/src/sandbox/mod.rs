//! The seam for untrusted bytes: mail is read in child processes, never in the worker's own.
//!
//! A child ([`child`]) is the same binary with a hidden subcommand. It reads one request after another from its
//! standard input, answers each on its standard output ([`frame`]), and exits when its input ends. The parent
//! ([`pool`]) keeps the children, their budgets and the bounds of what they answer: a child is not trusted either
//! ([`check`]). It has neither network nor files ([`lockdown`]), and bounded memory and CPU time ([`Budget`]). What
//! it can be asked is in [`task`].

pub mod body;
pub mod budget;
pub mod buffer;
pub mod check;
pub mod child;
mod death;
pub mod frame;
pub mod lockdown;
pub mod pool;
pub mod task;
mod texts;
mod usage;
mod worker;

pub use body::Body;
pub use budget::Budget;
pub use death::Death;
pub use lockdown::{Lockdown, Require};
pub use pool::{Sandbox, SandboxConfig, SandboxError};
pub use task::{Request, Task};
pub use worker::StartError;
