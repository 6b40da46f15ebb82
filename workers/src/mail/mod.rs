//! What a mail is: pure functions over bytes. No I/O, no clock, no network.

mod addresses;
mod bytes;
pub mod decode;
mod delimiters;
pub(crate) mod fields;
mod file_names;
pub(crate) mod findings;
pub mod hex32;
pub mod intent;
pub mod limits;
mod mime;
pub mod model;
pub mod names;
mod outline;
pub mod parse;
pub(crate) mod parts;
pub mod sanitise;
mod scripts;
mod structure;
mod text;
