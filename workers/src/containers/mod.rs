//! Opens containers, as far as the limits allow, for what a scanner that finds nothing may have missed: what lies
//! beyond its limits, what is encrypted, and what can be read in two ways.
//!
//! Pure functions over given bytes, run in the sandbox's child: nothing is written, and no name of a member is ever a
//! path. A content is opened by its magic, never by its name or type; but what is named like a mail is opened as one, as
//! programs do. [`walk()`] never says "clean" of a container that it could not open to its end. A mail in an archive is a
//! container as well. Each member is judged as an attachment would be, by its name and its first bytes. What is recognised and not opened is [`Code::NotOpened`]; [`Kind`] has the list.

mod beside;
mod budget;
mod bytes;
mod carrier;
mod embedded;
mod gzip;
mod inflate;
mod kind;
mod limits;
pub(crate) mod mail;
mod obstacle;
mod office;
mod ole;
mod pdf;
mod rar;
mod reach;
mod rtf;
mod seven_zip;
mod sniff;
mod tar;
#[cfg(test)]
mod tests;
mod tnef;
mod walk;
mod zip;

pub use kind::{HEAD, Kind};
pub use limits::WalkLimits;
pub use obstacle::{Class, Code, MAX_PATH, Noticed, Obstacle, Walked};
pub use sniff::Sniffer;
pub use walk::walk;
