//! What tests start for themselves: emulators of the services that a fleet uses. Never on in a release build.
//!
//! Everything listens on 127.0.0.1, writes into a temporary folder of its own and ends with its owner.

pub mod dns;
pub mod ministack;
pub mod proxy;
pub mod redis;
