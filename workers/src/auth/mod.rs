//! Authentication: what DNS says about who sent a mail (SPF, DKIM, DMARC, ARC, iprev).
//!
//! Invariant: nothing is a pass that was not verified here. What an incoming header claims is never an input,
//! and a failing DNS makes `temperror`, never a pass.

mod allowance;
pub mod authenticator;
mod discovery;
mod dmarc;
pub mod dns;
pub mod domain;
pub mod evidence;
pub mod gate;
pub mod header;
mod iprev;
mod key_records;
pub mod policy;
pub mod results;
mod sealers;
mod spf;
mod standing;
pub mod verify;
mod words;

pub use authenticator::Authenticator;
pub use domain::Domain;
pub use evidence::Evidence;
pub use gate::Gate;
pub use results::Authentication;
