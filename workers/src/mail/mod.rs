//! What a mail is: pure functions over bytes. No I/O, no clock, no network.

pub mod decode;
pub(crate) mod fields;
mod findings;
pub mod hex32;
pub mod intent;
pub mod limits;
mod mime;
pub mod model;
pub mod names;
pub mod parse;
pub(crate) mod parts;
pub mod sanitise;
mod structure;
mod text;
mod truth;
