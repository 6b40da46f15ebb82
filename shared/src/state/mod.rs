//! The state port: small facts that make things cheaper or softer, and may vanish at any moment.
//!
//! Losing everything in it must never lose a mail or make one wrongly clean. One conformance suite
//! (`conformance`) runs over every implementation.

#[cfg(test)]
pub mod conformance;
pub mod redis;
pub mod sqlite;

use std::{fmt, time::Duration};

use async_trait::async_trait;

/// Why a state operation failed. Callers carry on without the fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state unavailable: {0}")]
pub struct StateError(pub String);

/// Keys with values of bytes that expire.
#[async_trait]
pub trait State: Send + Sync + fmt::Debug {
    /// The value, unless it is absent or has expired.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// Sets the value, to expire after `ttl`.
    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StateError>;

    /// If the value is `expected` (`None`: absent), sets it to `value` (`None`: removes it), to expire after `ttl`,
    /// and answers true; otherwise changes nothing and answers false. Atomic across processes.
    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl: Duration,
    ) -> Result<bool, StateError>;
}
