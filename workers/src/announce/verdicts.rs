//! What SES found out about a mail on its own.

use serde::{Deserialize, Serialize};

use super::{
    error::{AnnounceError, Problem},
    field::Field,
};

/// A verdict's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Passed.
    Pass,
    /// Failed.
    Fail,
    /// Neither.
    Gray,
    /// SES could not tell.
    ProcessingFailed,
    /// SES was not asked to.
    Disabled,
    /// A status that did not exist when this was written. Never as good as [`Status::Pass`].
    Unknown,
}

impl Status {
    /// Its name, as in payloads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Gray => "gray",
            Self::ProcessingFailed => "processing_failed",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }
}

/// The policy that the sender's domain publishes for mail that fails DMARC (RFC 7489 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DmarcPolicy {
    /// Nothing in particular.
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

/// Everything that SES found; `None` where the receipt does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SesVerdicts {
    /// Spam.
    pub spam: Option<Status>,
    /// Malware.
    pub virus: Option<Status>,
    /// SPF (RFC 7208).
    pub spf: Option<Status>,
    /// DKIM (RFC 6376).
    pub dkim: Option<Status>,
    /// DMARC (RFC 7489).
    pub dmarc: Option<Status>,
    /// The sender's policy; only told when DMARC failed.
    pub dmarc_policy: Option<DmarcPolicy>,
}

impl SesVerdicts {
    pub(super) fn of(receipt: &Field<'_>) -> Result<Self, AnnounceError> {
        let status = |name| receipt.get(name).map(|verdict| status(&verdict)).transpose();
        Ok(Self {
            spam: status("spamVerdict")?,
            virus: status("virusVerdict")?,
            spf: status("spfVerdict")?,
            dkim: status("dkimVerdict")?,
            dmarc: status("dmarcVerdict")?,
            dmarc_policy: receipt.get("dmarcPolicy").map(|policy| dmarc_policy(&policy)).transpose()?,
        })
    }
}

fn status(verdict: &Field<'_>) -> Result<Status, AnnounceError> {
    Ok(match verdict.need("status")?.text()? {
        "PASS" => Status::Pass,
        "FAIL" => Status::Fail,
        "GRAY" => Status::Gray,
        "PROCESSING_FAILED" => Status::ProcessingFailed,
        "DISABLED" => Status::Disabled,
        _ => Status::Unknown,
    })
}

fn dmarc_policy(policy: &Field<'_>) -> Result<DmarcPolicy, AnnounceError> {
    match policy.text()?.to_ascii_lowercase().as_str() {
        "none" => Ok(DmarcPolicy::None),
        "quarantine" => Ok(DmarcPolicy::Quarantine),
        "reject" => Ok(DmarcPolicy::Reject),
        _ => Err(policy.wrong(Problem::Form("\"none\", \"quarantine\" or \"reject\""))),
    }
}
