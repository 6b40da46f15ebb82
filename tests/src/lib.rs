//! The harness of the scenario tests: a receiver that is the oracle, a real clamd, and the real binary as processes.
//!
//! Nothing in here is shared with the product but its wire formats: what is verified is verified by foreign code.
//! Whatever the harness starts ends with it, by its own pid.

pub mod aws;
pub mod clamd;
pub mod config;
pub mod containers;
pub mod fixtures;
pub mod fleet;
pub mod liar;
pub mod load;
pub mod mails;
pub mod metrics;
pub mod mime;
pub mod moto;
pub mod process;
pub mod receiver;
pub mod soak;
