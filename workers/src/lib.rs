//! The workers of the `mailtri` binary: an inbound e-mail router on the `shared` fleet.

pub mod mail;
pub mod webhook;
