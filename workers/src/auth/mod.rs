//! Authentication: who a mail is from.

pub mod domain;
