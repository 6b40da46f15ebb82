//! Authentication: what DNS says about who sent a mail (SPF, DKIM, DMARC, ARC).
//!
//! Invariant: nothing is a pass that was not verified here. What an incoming header claims is never an input,
//! and a failing DNS makes `temperror`, never a pass.

pub mod domain;
pub mod results;

pub use domain::Domain;
pub use results::Authentication;
