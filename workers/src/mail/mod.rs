//! What a mail is: pure functions over bytes. No I/O, no clock, no network.

pub mod model;
