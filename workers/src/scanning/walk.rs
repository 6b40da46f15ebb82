//! The seam to the container walk: what a scanner calls clean, because it did not look into all of it.

use std::fmt;

use async_trait::async_trait;
use shared::{blobs::BlobError, clamav::Verdict, pii::Pii};

use crate::{containers::Noticed, content::RawMail, mail::model::Part};

/// Looks into the containers that parts are.
#[async_trait]
pub trait Walk: Send + Sync + fmt::Debug {
    /// What is in a part; nothing for a part that is no container, or one of harmless members that was walked to its end.
    /// A content that cannot be walked, or costs the walker its life, is `unscannable`, not an error.
    ///
    /// # Errors
    /// When there is no answer now; the scan of the mail is tried again.
    async fn walk(&self, raw: &RawMail, part: &Part) -> Result<Inside, WalkError>;
}

/// What a walk tells of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// What is not clean.
    pub found: Vec<Found>,
    /// What its members are, where an attachment would be noticed for it.
    pub noticed: Vec<Noticed>,
}

/// Something in a part that is not clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The names of the members, from the outside in, joined by ` / `; `None` for the part itself. Bounded by the walk.
    pub member: Option<Pii<String>>,
    /// What it is.
    pub verdict: Verdict,
}

/// Why a walk has no answer.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The part's bytes could not be read, or are not those that were parsed.
    #[error(transparent)]
    Source(#[from] BlobError),
    /// There is nobody to walk: it says nothing about the content.
    #[error("the container walk is not available: {0}")]
    Unavailable(String),
}
