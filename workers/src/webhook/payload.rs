//! The body of a Standard Webhooks event.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

/// The type of the event that tells of a mail that went through the pipeline.
pub const MAIL_PROCESSED: &str = "mail.processed";

/// `{"type", "timestamp", "data"}`, in that order (Standard Webhooks 1.0, "Payload structure").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event<T> {
    /// What happened, its parts separated by full stops: our own vocabulary, never a value from a mail.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened (not when it was sent): the same in every attempt. RFC 3339 on the wire.
    pub timestamp: Timestamp,
    /// What it is about.
    pub data: T,
}

impl<T: Serialize> Event<T> {
    /// The bytes to sign and to send. Made once a delivery, so that every attempt carries the same.
    pub fn to_body(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_standards_shape() {
        let timestamp = "2026-11-24T05:06:07.089Z".parse().unwrap();
        let event = Event { kind: MAIL_PROCESSED, timestamp, data: serde_json::json!({"id": "m-1"}) };
        assert_eq!(
            event.to_body().unwrap(),
            r#"{"type":"mail.processed","timestamp":"2026-11-24T05:06:07.089Z","data":{"id":"m-1"}}"#
        );
    }
}
