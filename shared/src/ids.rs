//! Names and identities that travel with a job. All are short, printable and free of personal data.

use std::fmt;

use rand::RngExt;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

/// The name of a stage: its subcommand, its queue's suffix, its metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StageName(pub &'static str);

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// Text that is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes text as an identity.
            ///
            /// # Errors
            /// When it is not 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `_` and `-`.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if valid { Ok(Self(text)) } else { Err(InvalidId) }
            }

            /// Derives an identity from what it stands for: the same parts give the same identity.
            #[must_use]
            pub fn derive(parts: &[&[u8]]) -> Self {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update((part.len() as u64).to_be_bytes());
                    hash.update(part);
                }
                Self(hex(&hash.finalize()[..16]))
            }

            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One piece of work, from its announcement to its ends: all jobs of one mail share it (the *mail id*).
    WorkId
);
id!(
    /// One job: a piece of work at one stage, for one branch. Stays the same through retries and deferrals.
    JobId
);
id!(
    /// Whose work it is.
    TenantId
);

impl TenantId {
    /// The tenant of work that belongs to nobody in particular.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }
}

/// The trace that a job belongs to: a W3C `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TraceParent(String);

impl TraceParent {
    /// A new trace.
    #[must_use]
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let (trace, span): (u128, u64) = (rng.random_range(1..=u128::MAX), rng.random_range(1..=u64::MAX));
        Self(format!("00-{trace:032x}-{span:016x}-01"))
    }

    /// The trace's id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let shape = |(i, b): (usize, u8)| match i {
            2 | 35 | 52 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        };
        if text.len() == 55 && text.bytes().enumerate().all(shape) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("not a traceparent"))
        }
    }
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_and_derived_ids_depend_on_the_borders_of_their_parts() {
        assert!(TenantId::new("acme-1").is_ok());
        for bad in ["", "a b", "a/b", "a.b", "é", &"x".repeat(65)] {
            assert_eq!(WorkId::new(bad), Err(InvalidId), "{bad}");
        }
        assert_eq!(WorkId::derive(&[b"ab", b"c"]), WorkId::derive(&[b"ab", b"c"]));
        assert_ne!(WorkId::derive(&[b"ab", b"c"]), WorkId::derive(&[b"a", b"bc"]));
    }

    #[test]
    fn traces_round_trip_and_anything_else_is_refused() {
        let trace = TraceParent::random();
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<TraceParent>(&json).unwrap(), trace);
        assert_eq!(trace.trace_id().len(), 32);
        for bad in ["\"\"", "\"00-zz\"", "\"00-0000000000000000000000000000000é-0000000000000000-01\""] {
            assert!(serde_json::from_str::<TraceParent>(bad).is_err(), "{bad}");
        }
    }
}
