//! What a mail is: pure functions over bytes. No I/O, no clock, no network.

pub mod addr_spec;
pub(crate) mod address_fields;
mod address_list;
mod addresses;
mod bytes;
pub mod decode;
mod delimiters;
pub mod facts;
pub(crate) mod fields;
mod file_names;
pub(crate) mod findings;
pub mod hex32;
pub mod intent;
pub mod limits;
mod mailboxes;
mod mime;
pub mod model;
pub mod names;
mod outline;
pub mod parse;
pub(crate) mod parts;
mod reply;
pub mod sanitise;
mod scripts;
mod structure;
mod text;
pub(crate) mod truth;
