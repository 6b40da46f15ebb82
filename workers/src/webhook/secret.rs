//! Signing secrets: `whsec_` and base64, as Standard Webhooks 1.0 writes them.
//!
//! A secret exists only inside [`secrecy`]'s wrapper: it is wiped on drop, and neither `Debug` nor an error shows any of it.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice};

/// What a symmetric secret starts with.
const PREFIX: &str = "whsec_";
/// The shortest secret, in bytes (Standard Webhooks 1.0, "Signature scheme").
const MIN_BYTES: usize = 24;
/// The longest secret, in bytes; also SHA-256's block, so that no secret has to be hashed first (RFC 2104 §2).
pub(super) const MAX_BYTES: usize = 64;

/// A symmetric signing secret of 24 to 64 bytes.
#[derive(Debug)]
pub struct SigningSecret {
    /// The key, padded with zeros to one block: exactly what HMAC does with a short key (RFC 2104 §2).
    block: SecretBox<[u8; MAX_BYTES]>,
}

/// Why a signing secret was refused. Never shows any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not start with `whsec_`.
    #[error("a signing secret starts with `whsec_`")]
    Prefix,
    /// What follows is not padded standard base64.
    #[error("a signing secret is `whsec_` followed by standard base64 with its padding")]
    Base64,
    /// It is shorter than 24 or longer than 64 bytes.
    #[error("a signing secret is 24 to 64 bytes long before base64")]
    Length,
}

impl FromStr for SigningSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key: SecretSlice<u8> = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?.into();
        Self::from_key(key.expose_secret())
    }
}

impl SigningSecret {
    fn from_key(key: &[u8]) -> Result<Self, SecretError> {
        if key.len() < MIN_BYTES {
            return Err(SecretError::Length);
        }
        let mut block = SecretBox::new(Box::new([0; MAX_BYTES]));
        let room = block.expose_secret_mut().get_mut(..key.len()).ok_or(SecretError::Length)?;
        room.copy_from_slice(key);
        Ok(Self { block })
    }

    pub(super) fn block(&self) -> &[u8; MAX_BYTES] {
        self.block.expose_secret()
    }
}

/// The secrets of one destination: never none, and more than one while they are being rotated.
#[derive(Debug)]
pub struct SigningSecrets(Vec<SigningSecret>);

/// A destination was given no signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at least one signing secret is needed")]
pub struct NoSecrets;

impl SigningSecrets {
    /// The secrets to sign with, the newest first.
    pub fn new(secrets: Vec<SigningSecret>) -> Result<Self, NoSecrets> {
        if secrets.is_empty() { Err(NoSecrets) } else { Ok(Self(secrets)) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SigningSecret> {
        self.0.iter()
    }
}

impl From<SigningSecret> for SigningSecrets {
    fn from(secret: SigningSecret) -> Self {
        Self(vec![secret])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(n: usize) -> String {
        format!("whsec_{}", STANDARD.encode(vec![b'k'; n]))
    }

    #[test]
    fn a_secret_is_24_to_64_bytes() {
        for (n, good) in [(0, false), (23, false), (24, true), (32, true), (64, true), (65, false), (1000, false)] {
            let parsed = of_bytes(n).parse::<SigningSecret>().map(|_| ());
            assert_eq!(parsed, if good { Ok(()) } else { Err(SecretError::Length) }, "{n} bytes");
        }
    }

    #[test]
    fn other_keys_and_broken_base64_are_told_apart() {
        let error = |text: &str| text.parse::<SigningSecret>().unwrap_err();
        assert_eq!(error(""), SecretError::Prefix);
        assert_eq!(error("whsk_AAAA"), SecretError::Prefix);
        assert_eq!(error("WHSEC_AAAA"), SecretError::Prefix);
        assert_eq!(error("whsec_*"), SecretError::Base64);
        assert_eq!(error("whsec_-_-_-_-_"), SecretError::Base64);
        assert_eq!(error(of_bytes(32).trim_end_matches('=')), SecretError::Base64);
        assert_eq!(error(&format!("{} ", of_bytes(24))), SecretError::Base64);
    }

    #[test]
    fn neither_debug_nor_errors_show_a_secret() {
        let canary = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5";
        let secrets = SigningSecrets::from(format!("whsec_{canary}").parse::<SigningSecret>().unwrap());
        let shown = format!("{secrets:?}");
        assert!(shown.contains("REDACTED"), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110") && !shown.contains(canary), "{shown}");
        let error = format!("whsec_{canary}!").parse::<SigningSecret>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary));
    }

    #[test]
    fn no_secret_at_all_is_refused() {
        assert_eq!(SigningSecrets::new(vec![]).err(), Some(NoSecrets));
    }
}
