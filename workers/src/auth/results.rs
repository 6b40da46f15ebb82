//! What was found out about a mail's sender, typed.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use super::Domain;
pub use super::words::{
    ArcResult, DkimResult, DmarcResult, IprevResult, Mechanism, OverrideReason, Policy, SpfIdentity, SpfResult, Why,
};
use crate::announce::{SesVerdicts, Status};

/// How Amazon SES names itself in its results.
pub const SES: &str = "amazonses.com";

/// SPF's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spf {
    /// The result.
    pub result: SpfResult,
    /// Why, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The domain that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// Which identity that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<SpfIdentity>,
}

/// DKIM's result for one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dkim {
    /// The result.
    pub result: DkimResult,
    /// Why, where it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// `d=`; `None` where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// `s=`, a name in DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Pii<String>>,
}

/// DMARC's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dmarc {
    /// The result.
    pub result: DmarcResult,
    /// Why, where it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// What the domain asks for; `None` without a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What passed for the domain in `From`, also where it publishes no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned_by: Option<Mechanism>,
    /// Why the policy is not enforced all the same (RFC 7489 §6.7). The mail has failed, and nothing is said for its author.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Override>,
}

/// A local policy in the place of the author's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Why.
    pub reason: OverrideReason,
    /// Who vouches: `d=` of the seal.
    pub sealer: Domain,
}

/// ARC's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arc {
    /// The result.
    pub result: ArcResult,
    /// Why, where it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// `d=` of the newest seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealer: Option<Domain>,
}

/// What DNS says about the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iprev {
    /// The result.
    pub result: IprevResult,
    /// Why, where it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The client's address, where a trusted server wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<Pii<IpAddr>>,
    /// The client's name: with a pass, and where it has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Domain>,
}

impl Iprev {
    /// A result about no client.
    #[must_use]
    pub const fn about_nobody(why: Option<Why>) -> Self {
        Self { result: IprevResult::None, why, client_ip: None, name: None }
    }

    /// As a mail has it that was looked at before there was this check.
    const fn unasked() -> Self {
        Self::about_nobody(None)
    }
}

/// Everything that was found out. Each part is there, with `none` where there was nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// The domain in `From`; `None` unless there is exactly one author that every reader agrees on.
    pub author: Option<Domain>,
    /// SPF about `MAIL FROM`, or about `HELO` where that is empty (RFC 7208 §2.4): what DMARC goes by.
    pub spf: Spf,
    /// SPF about `HELO` beside `MAIL FROM` (RFC 7208 §2.3). It decides nothing: a client may call itself anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf_helo: Option<Spf>,
    /// DKIM, one entry a signature, in the order of the header.
    pub dkim: Vec<Dkim>,
    /// DMARC.
    pub dmarc: Dmarc,
    /// ARC.
    pub arc: Arc,
    /// Whether the client's address and name belong together.
    #[serde(default = "Iprev::unasked")]
    pub iprev: Iprev,
    /// What a trusted mail server found by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Our name in results (RFC 8601 §2.2).
    pub authserv_id: String,
}

impl Authentication {
    /// The domain in `From`, if SPF or DKIM passed in alignment with it. A DMARC record is not asked for; where there
    /// is one, its strictness counts.
    #[must_use]
    pub fn aligned_domain(&self) -> Option<&Domain> {
        self.dmarc.aligned_by.and(self.author.as_ref())
    }

    /// Whether the domain in `From` says that this is not its mail: it has a policy, and nothing passed.
    #[must_use]
    pub fn spoofed(&self) -> bool {
        self.dmarc.result == DmarcResult::Fail
    }

    /// Whether DNS failed where an answer could have made an aligned pass: the same mail may have one later.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.dmarc.result == DmarcResult::TempError
    }

    /// The result of each signature; `none` without one.
    pub fn dkim_words(&self) -> impl Iterator<Item = &'static str> {
        let none = self.dkim.is_empty().then_some(DkimResult::None.name());
        self.dkim.iter().map(|dkim| dkim.result.name()).chain(none)
    }

    /// Nothing was looked at, for one reason.
    #[must_use]
    pub fn unchecked(why: Why, authserv_id: &str) -> Self {
        Self {
            author: None,
            spf: Spf { result: SpfResult::None, why: Some(why), domain: None, identity: None },
            spf_helo: None,
            dkim: Vec::new(),
            dmarc: Dmarc::without(DmarcResult::None, why),
            arc: Arc { result: ArcResult::None, why: Some(why), sealer: None },
            iprev: Iprev::about_nobody(Some(why)),
            reported: None,
            authserv_id: authserv_id.to_owned(),
        }
    }
}

/// What a trusted mail server found by itself. It is passed on, and decides nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The server's name in its results: `amazonses.com`, or one that the configuration trusts.
    pub by: String,
    /// SPF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf: Option<SpfResult>,
    /// DKIM: a pass if any signature passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim: Option<DkimResult>,
    /// DMARC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<DmarcResult>,
    /// Spam; only Amazon SES says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spam: Option<Status>,
    /// Malware; only Amazon SES says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virus: Option<Status>,
}

impl Reported {
    /// Nothing yet.
    #[must_use]
    pub fn by(id: &str) -> Self {
        Self { by: id.to_owned(), spf: None, dkim: None, dmarc: None, spam: None, virus: None }
    }

    /// What SES says in its receipt, which no sender can write.
    #[must_use]
    pub fn of_receipt(verdicts: &SesVerdicts) -> Self {
        Self {
            spf: verdicts.spf.map(|status| match status {
                Status::Pass => SpfResult::Pass,
                Status::Fail => SpfResult::Fail,
                Status::ProcessingFailed => SpfResult::TempError,
                Status::Gray | Status::Disabled | Status::Unknown => SpfResult::None,
            }),
            dkim: verdicts.dkim.map(|status| match status {
                Status::Pass => DkimResult::Pass,
                Status::Fail => DkimResult::Fail,
                Status::ProcessingFailed => DkimResult::TempError,
                Status::Gray | Status::Disabled | Status::Unknown => DkimResult::None,
            }),
            dmarc: verdicts.dmarc.map(|status| match status {
                Status::Pass => DmarcResult::Pass,
                Status::Fail => DmarcResult::Fail,
                Status::ProcessingFailed => DmarcResult::TempError,
                Status::Gray | Status::Disabled | Status::Unknown => DmarcResult::None,
            }),
            spam: verdicts.spam,
            virus: verdicts.virus,
            by: SES.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipts_words_are_never_more_than_they_say() {
        let all = |status| {
            let some = Some(status);
            SesVerdicts { spam: some, virus: some, spf: some, dkim: some, dmarc: some, dmarc_policy: None }
        };
        for (status, spf, dkim, dmarc) in [
            (Status::Pass, SpfResult::Pass, DkimResult::Pass, DmarcResult::Pass),
            (Status::Fail, SpfResult::Fail, DkimResult::Fail, DmarcResult::Fail),
            (Status::Gray, SpfResult::None, DkimResult::None, DmarcResult::None),
            (Status::ProcessingFailed, SpfResult::TempError, DkimResult::TempError, DmarcResult::TempError),
            (Status::Disabled, SpfResult::None, DkimResult::None, DmarcResult::None),
            (Status::Unknown, SpfResult::None, DkimResult::None, DmarcResult::None),
        ] {
            let reported = Reported::of_receipt(&all(status));
            assert_eq!((reported.spf, reported.dkim, reported.dmarc), (Some(spf), Some(dkim), Some(dmarc)));
            assert_eq!((reported.spam, reported.by.as_str()), (Some(status), SES));
        }
        let silent = Reported::of_receipt(&SesVerdicts::default());
        assert_eq!(silent, Reported::by(SES));
    }

    #[test]
    fn words_are_read_back_in_either_case_and_on_the_wire() {
        assert_eq!(SpfResult::of_word("SoftFail"), Some(SpfResult::SoftFail));
        assert_eq!(DmarcResult::of_word("bestguesspass"), None);
        assert_eq!(serde_json::to_string(&DkimResult::TempError).unwrap(), "\"temperror\"");
        let results = Authentication::unchecked(Why::DnsOff, "mailtri");
        let json = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Authentication>(&json).unwrap(), results);
        // A mail that an earlier version looked at is still on its way.
        let earlier = json.replace(r#""iprev":{"result":"none","why":"dns_off"},"#, "");
        let iprev = serde_json::from_str::<Authentication>(&earlier).unwrap().iprev;
        assert!(earlier != json && iprev == Iprev::about_nobody(None));
    }
}
