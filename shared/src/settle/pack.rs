//! An envelope as a queue takes it.

use super::Object;
use crate::{
    blobs::Condition,
    envelope::{Carried, Envelope},
    queue::MAX_BODY,
};

/// The queue's body. A job with which it would be too long goes into an object, which has to be stored before the body
/// is sent.
///
/// # Errors
/// The serialiser's; never for an envelope that was built from valid parts.
pub fn packed(envelope: &Envelope) -> Result<(String, Option<Object>), serde_json::Error> {
    let body = envelope.encode()?;
    match envelope.job.to_store() {
        Some((stored, text)) if body.len() > MAX_BODY => {
            let (key, bytes) = (stored.key(), text.as_bytes().to_vec());
            let refers = Envelope { job: Carried::Stored(stored), ..envelope.clone() };
            Ok((refers.encode()?, Some(Object { key, body: bytes, condition: Condition::IfAbsent })))
        }
        _ => Ok((body, None)),
    }
}
