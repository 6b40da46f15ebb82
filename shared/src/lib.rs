//! What any queue-driven worker fleet needs, and nothing about mail.
//!
//! A fleet is a set of [`stage::Stage`]s joined by queues. The [`runner`] receives jobs, keeps their leases, runs
//! the stage and [settles](settle) what it returned; a stage itself never acknowledges, extends or sends.
//! Everything outside the process is reached through five ports: [`queue`], [`blobs`], [`state`], [`limit`]
//! and [`clamav`].

pub mod allowance;
pub mod audit;
pub mod aws;
pub mod blobs;
pub mod budget;
pub mod claim;
pub mod clamav;
pub mod clock;
pub mod config;
pub mod envelope;
pub mod health;
pub mod ids;
mod lease;
pub mod limit;
pub mod outcome;
pub mod pii;
pub mod policy;
pub mod queue;
pub mod redis;
pub mod runner;
pub mod settle;
pub mod shutdown;
mod sqlite;
pub mod stage;
pub mod state;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod visibility;
