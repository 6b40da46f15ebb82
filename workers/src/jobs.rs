//! The jobs of the four stages, as they travel in an envelope.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{
    blobs::ETag,
    claim::Claim,
    ids::WorkId,
    outcome::{Failure, Hop},
    pii::Pii,
};

use crate::{announce::SesVerdicts, pipeline, scanning::ScanReport};

/// The bucket's name where the store is a directory.
pub const LOCAL_BUCKET: &str = "local";

/// A raw mail, as it was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Announced {
    /// It is an object.
    Stored {
        /// The bucket that holds it.
        bucket: String,
        /// Its key.
        key: String,
        /// The version that was announced, where the announcement says so.
        etag: Option<ETag>,
        /// Its length in bytes, where the announcement says so.
        size: Option<u64>,
    },
    /// It came with the announcement, and is stored first.
    Inline {
        /// The key to store it under: the same for every announcement of it.
        key: String,
        /// The raw mail.
        raw: Claim,
    },
}

impl Announced {
    /// Its length in bytes, as far as it is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Stored { size, .. } => *size,
            Self::Inline { raw, .. } => Some(raw.len()),
        }
    }
}

/// Where a raw mail is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The bucket that holds it.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The content that is meant.
    pub etag: ETag,
    /// The version that is meant, where the store keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its length in bytes.
    pub size: u64,
}

impl Source {
    /// The mail id: every announcement of one object is one mail.
    #[must_use]
    pub fn mail_id(&self) -> WorkId {
        mail_id(&self.bucket, &self.key, self.version.as_ref().unwrap_or(&self.etag.0))
    }
}

/// The mail id of a version of an object.
#[must_use]
pub fn mail_id(bucket: &str, key: &str, version: &str) -> WorkId {
    WorkId::derive(&[bucket.as_bytes(), key.as_bytes(), version.as_bytes()])
}

/// Who sent a mail to whom, as the transport knows it (RFC 5321 §2.3.1). Routing goes by this, not by the header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmtpEnvelope {
    /// `MAIL FROM`; `None` where the transport did not say.
    pub from: Option<Pii<String>>,
    /// `RCPT TO`; empty where the transport did not say.
    pub to: Vec<Pii<String>>,
}

/// A raw mail to be parsed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ParseJob {
    /// What was announced.
    pub mail: Announced,
    /// Its envelope.
    pub envelope: SmtpEnvelope,
    /// What SES found, where its receipt announced the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<SesVerdicts>,
}

/// A parsed mail to be scanned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScanJob {
    /// Where the raw mail is.
    pub source: Source,
    /// Its envelope.
    pub envelope: SmtpEnvelope,
    /// The raw mail itself, if it is small.
    pub raw: Option<Claim>,
    /// The [`crate::mail::model::ParsedMail`] as JSON.
    pub parsed: Claim,
}

/// A scanned mail to be routed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteJob {
    /// Where the raw mail is.
    pub source: Source,
    /// Its envelope.
    pub envelope: SmtpEnvelope,
    /// The parsed mail.
    pub parsed: Claim,
    /// What the scan found.
    pub scan: ScanReport,
}

/// A mail to be delivered to one destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliverJob {
    /// The mail.
    #[serde(flatten)]
    pub mail: RouteJob,
    /// The destination's name.
    pub destination: String,
    /// The rules that chose it.
    pub rules: Vec<String>,
    /// Which version of all rules decided.
    pub rules_version: String,
    /// The parts whose content a policy leaves out, by their position in the parsed mail's parts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<usize>,
}

/// Jobs that a stage can hand on.
pub trait NextJob: Serialize {
    /// The stage that does it.
    const STAGE: pipeline::StageName;

    /// The hop to that stage.
    ///
    /// # Errors
    /// When the job cannot be written as JSON.
    fn hop(&self, branch: &str) -> Result<Hop, Failure> {
        let job = encode(self)?;
        Ok(Hop { to: Self::STAGE, branch: branch.to_owned(), job })
    }
}

impl NextJob for ParseJob {
    const STAGE: pipeline::StageName = pipeline::PARSE;
}
impl NextJob for ScanJob {
    const STAGE: pipeline::StageName = pipeline::SCAN;
}
impl NextJob for RouteJob {
    const STAGE: pipeline::StageName = pipeline::ROUTE;
}
impl NextJob for DeliverJob {
    const STAGE: pipeline::StageName = pipeline::DELIVER;
}

fn encode<J: Serialize + ?Sized>(job: &J) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(job)
        .map_err(|_| Failure::permanent("encoding", "the job cannot be written as JSON"))
}
