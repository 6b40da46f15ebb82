//! The workers of the `mailtri` binary: an inbound e-mail router on the `shared` fleet.
//!
//! [`pipeline`] is the whole of it at a glance; [`stages`] has one file a stage; [`mail`] is pure functions over
//! bytes, which run only in the children of the [`sandbox`].

pub mod admission;
pub mod announce;
pub mod auth;
pub mod cli;
pub mod containers;
pub mod content;
pub mod findings;
pub mod fleet;
pub mod incoming;
pub mod intake;
pub mod jobs;
pub mod limiting;
pub mod mail;
pub mod names;
pub mod payload;
pub mod pipeline;
pub mod plane;
pub mod prefixes;
pub mod rules;
pub mod sandbox;
pub mod scanning;
pub mod sealed;
pub mod senders;
pub mod settings;
pub mod stages;
pub mod webhook;
