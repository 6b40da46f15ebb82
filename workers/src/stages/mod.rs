//! The four stages, one file each.

pub mod deliver;
pub mod parse;
pub mod route;
pub mod scan;

use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use shared::{
    blobs::{BlobError, Blobs},
    claim::{Claim, ClaimError},
    ids::hex,
    outcome::Failure,
    stage::Context,
};

use crate::{mail::model::ParsedMail, plane::Sources};

/// The longest parsed mail, as JSON in bytes, that a stage reads.
const MAX_PARSED: u64 = 64 << 20;

/// Raw and parsed mails up to this size travel within the job.
const INLINE: usize = 128 * 1024;

/// How soon to look again at something outside that does not answer, first and at most. It says nothing about the
/// mail, so no attempt is counted.
const OUTAGE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// A wait for something outside that does not answer.
fn outage(class: &'static str, error: &dyn std::fmt::Display, ctx: &Context) -> Failure {
    Failure::defer(class, error.to_string(), ctx.look_again(OUTAGE.0, OUTAGE.1))
}

/// Reads the parsed mail that came with a job.
async fn parsed(claim: &Claim, blobs: &dyn Blobs, ctx: &Context) -> Result<ParsedMail, Failure> {
    from_json(&claim.load(blobs, MAX_PARSED).await.map_err(|e| claim_failure(&e, ctx))?)
}

/// The parsed mail as it travels: within the job, if it is small. Named by its content, so that a repeat under other
/// settings does not overwrite what an earlier job refers to.
async fn claim_parsed(mail: &ParsedMail, blobs: &dyn Blobs, ctx: &Context) -> Result<Claim, Failure> {
    let json =
        serde_json::to_vec(mail).map_err(|_| Failure::permanent("encoding", "the parsed mail has no JSON form"))?;
    if json.len() <= INLINE {
        return Ok(Claim::inline(&json));
    }
    let key = format!("parsed/{}/{}", ctx.work, hex(&Sha256::digest(&json)));
    Claim::store(blobs, key, json.into()).await.map_err(|e| store_failure(&e, ctx))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|_| Failure::permanent("damaged", "stored content is not of its form"))
}

fn claim_failure(error: &ClaimError, ctx: &Context) -> Failure {
    match error {
        ClaimError::Store(error) => store_failure(error, ctx),
        other => Failure::permanent("damaged", other.to_string()),
    }
}

/// The bucket of a raw mail: one that mails are taken from.
fn source_bucket<'a>(sources: &'a Sources, bucket: &str) -> Result<&'a Arc<dyn Blobs>, Failure> {
    let refused = || Failure::permanent("bucket_not_allowed", "mails are not taken from that bucket");
    sources.get(bucket).ok_or_else(refused)
}

/// What a failing store means for a job: waiting helps, or it does not.
fn store_failure(error: &BlobError, ctx: &Context) -> Failure {
    match error {
        BlobError::NotFound => Failure::permanent("object_missing", error.to_string()),
        BlobError::Changed => Failure::permanent("object_changed", error.to_string()),
        BlobError::Unavailable(_) => outage("store_unavailable", error, ctx),
        error if error.is_retryable() => Failure::retry("store_damaged", error.to_string()),
        error => Failure::permanent("store_refused", error.to_string()),
    }
}
