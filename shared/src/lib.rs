//! What any queue-driven worker fleet needs, and nothing about mail.
//!
//! A fleet is a set of stages joined by queues. The runner receives jobs, keeps their leases, runs the stage
//! and settles what it returned; a stage itself never acknowledges, extends or sends. Everything outside the
//! process is reached through five ports: [`queue`], [`blobs`], [`state`], [`limit`] and [`clamav`].

pub mod blobs;
pub mod clamav;
pub mod clock;
pub mod config;
pub mod limit;
pub mod pii;
pub mod queue;
pub mod state;
