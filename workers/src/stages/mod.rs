//! The four stages, one file each.

pub mod deliver;
pub mod parse;
pub mod route;
pub mod scan;

use serde::de::DeserializeOwned;
use shared::{
    blobs::{BlobError, Blobs},
    claim::{Claim, ClaimError},
    outcome::Failure,
};

use crate::mail::model::ParsedMail;

/// The longest parsed mail, as JSON in bytes, that a stage reads.
const MAX_PARSED: u64 = 64 << 20;

/// Reads the parsed mail that came with a job.
async fn parsed(claim: &Claim, blobs: &dyn Blobs) -> Result<ParsedMail, Failure> {
    from_json(&claim.load(blobs, MAX_PARSED).await.map_err(|e| claim_failure(&e))?)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|_| Failure::permanent("damaged", "stored content is not of its form"))
}

fn claim_failure(error: &ClaimError) -> Failure {
    match error {
        ClaimError::Store(error) => store_failure(error),
        other => Failure::permanent("damaged", other.to_string()),
    }
}

/// What a failing store means for a job: waiting helps, or it does not.
fn store_failure(error: &BlobError) -> Failure {
    match error {
        BlobError::NotFound => Failure::permanent("object_missing", error.to_string()),
        BlobError::Changed => Failure::permanent("object_changed", error.to_string()),
        error if error.is_retryable() => Failure::retry("store_unavailable", error.to_string()),
        error => Failure::permanent("store_refused", error.to_string()),
    }
}
