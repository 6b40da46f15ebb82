//! `webhook-id`: the receiver's idempotency key, the same in every attempt of one delivery.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id, in bytes.
const MAX_LEN: usize = 128;

/// An id of ASCII letters, digits, `_` and `-` only: a header value as it stands, and never with the `.` that separates
/// the signed parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookId(String);

/// The text cannot be a `webhook-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook id is 1 to {MAX_LEN} ASCII letters, digits, `_` or `-`")]
pub struct InvalidWebhookId;

impl WebhookId {
    /// Checks the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidWebhookId> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let valid = (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text)) } else { Err(InvalidWebhookId) }
    }

    /// The id as it stands in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookId {
    type Error = InvalidWebhookId;

    fn try_from(text: String) -> Result<Self, InvalidWebhookId> {
        Self::new(text)
    }
}

impl From<WebhookId> for String {
    fn from(id: WebhookId) -> Self {
        id.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_digits_underscore_and_hyphen_make_an_id() {
        for good in ["a", "mail_01H-Z9", &"x".repeat(128)] {
            assert_eq!(WebhookId::new(good).map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "a.b", "a b", "a\r\nx: y", "a\0", "é", "a,b", "a/b", &"x".repeat(129)] {
            assert_eq!(WebhookId::new(bad), Err(InvalidWebhookId), "{bad:?}");
        }
    }

    #[test]
    fn a_stored_id_is_checked_when_it_is_read() {
        let id = WebhookId::new("m-1").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"m-1\"");
        assert_eq!(serde_json::from_str::<WebhookId>("\"m-1\"").unwrap(), id);
        assert!(serde_json::from_str::<WebhookId>("\"m.1\"").is_err());
    }
}
