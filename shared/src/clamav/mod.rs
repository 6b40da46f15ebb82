//! The scanner port: clamd, its exact replies, and deadlines on all of it.
//!
//! A reply that is not one of clamd's known answers is an error, never a verdict: nothing that was not
//! scanned is ever called clean. One conformance suite (`conformance`) runs over every implementation.

pub mod clamd;
#[cfg(test)]
pub mod conformance;
pub mod endpoint;
mod exchange;
#[cfg(test)]
mod fake;
pub mod pool;
pub mod probes;
pub mod reload;
pub mod reply;
pub mod selftest;
mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod zip;

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::blobs::{BlobError, ByteStream};

/// What the scanner said about one stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Every byte was scanned and nothing was found.
    Clean,
    /// A signature matched.
    Infected {
        /// The signature's name as clamd prints it.
        signature: String,
    },
    /// The content is encrypted and could not be looked into.
    Encrypted {
        /// What clamd calls it, or what it is in our words.
        #[serde(alias = "signature")]
        reason: String,
    },
    /// The content exceeds a limit of the scanner or of ours: not all of it was scanned.
    LimitsExceeded {
        /// What clamd calls it, or which limit of ours.
        #[serde(alias = "signature")]
        reason: String,
    },
    /// The content could not be scanned and will not be at another try.
    Unscannable {
        /// Why, in our words.
        reason: String,
    },
}

impl Verdict {
    /// The verdict's name, for labels and records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Infected { .. } => "infected",
            Self::Encrypted { .. } => "encrypted",
            Self::LimitsExceeded { .. } => "limits_exceeded",
            Self::Unscannable { .. } => "unscannable",
        }
    }

    /// The signature's name, or the reason; empty for a clean one.
    pub fn detail(&self) -> &str {
        match self {
            Self::Clean => "",
            Self::Infected { signature: detail }
            | Self::Encrypted { reason: detail }
            | Self::LimitsExceeded { reason: detail }
            | Self::Unscannable { reason: detail } => detail,
        }
    }
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// No connection: it says nothing about the content.
    #[error("scanner not reachable: {0}")]
    Unreachable(String),
    /// It answers, and does not find what it should, finds what is not there, or is out of date.
    #[error("the scanner is not fit: {0}")]
    Unfit(String),
    /// The connection broke while the content was with the scanner.
    #[error("scanner unavailable: {0}")]
    Unavailable(String),
    /// The deadline passed; the connection was closed.
    #[error("the scan did not end within its deadline")]
    Deadline,
    /// The scanner answered something that is not one of its known replies.
    #[error("the scanner's reply is not understood")]
    Garbled,
    /// The scanner answered with an error of its own.
    #[error("the scanner reported an error: {0}")]
    Scanner(String),
    /// The bytes to scan could not be read.
    #[error(transparent)]
    Source(#[from] BlobError),
}

impl ScanError {
    /// The same as a connection that there is not: no content's doing, whatever it was.
    pub(crate) fn as_unreachable(&self) -> Self {
        match self {
            Self::Unreachable(_) => self.clone(),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Which engine and signatures gave a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineVersion {
    /// The engine, such as `ClamAV 1.4.3`.
    pub engine: String,
    /// The signature database's version; `None` where clamd reports none.
    pub database: Option<String>,
    /// When the signature database was built; `None` where clamd reports no version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<Timestamp>,
}

impl EngineVersion {
    /// Orders versions, the oldest signatures first.
    pub fn age(&self) -> (Option<u64>, String) {
        (self.database.as_ref().and_then(|database| database.parse().ok()), self.engine.clone())
    }
}

/// Bytes to scan. They are opened when a scanner is ready to read them, and once.
pub struct Content<'a> {
    len: u64,
    open: BoxFuture<'a, Result<ByteStream, BlobError>>,
}

impl<'a> Content<'a> {
    /// About `len` bytes (by which load is shared out), from what `open` gives.
    pub fn new(len: u64, open: impl Future<Output = Result<ByteStream, BlobError>> + Send + 'a) -> Self {
        Self { len, open: open.boxed() }
    }

    /// Bytes in memory.
    pub fn bytes(bytes: Bytes) -> Self {
        Self::new(bytes.len() as u64, async move { Ok(stream::iter([Ok(bytes)]).boxed()) })
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub async fn read(self) -> Result<Bytes, BlobError> {
        let mut bytes = BytesMut::new();
        let mut source = self.open.await?;
        while let Some(piece) = source.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes.freeze())
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A verdict and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What was said.
    pub verdict: Verdict,
    /// The engine and the signatures that said it. They were known before the scan began, so they may be newer than this.
    pub engine: EngineVersion,
}

/// A malware scanner that has proven that it finds something.
#[async_trait]
pub trait Scanner: Send + Sync + fmt::Debug {
    /// Streams the bytes to the scanner and returns its verdict, or none: nothing is ever clean by default.
    async fn scan(&self, content: Content<'_>) -> Result<Scan, ScanError>;

    /// The newest engine and signatures that scan now.
    async fn engine(&self) -> Result<EngineVersion, ScanError>;
}
