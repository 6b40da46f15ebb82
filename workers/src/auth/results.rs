//! What was found out about a mail's sender: typed, with the names of RFC 8601 §2.7.

use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use super::Domain;
use crate::announce::{SesVerdicts, Status};

/// How Amazon SES names itself in its results.
pub const SES: &str = "amazonses.com";

/// A closed set of words, the same in JSON, headers, labels and rules.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$case_doc])* #[serde(rename = $word)] $case,)+
        }

        impl $name {
            /// Every word.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$case => $word,)+ }
            }

            /// The case of a word, in either case of its letters.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                [$(Self::$case),+].into_iter().find(|case| case.name().eq_ignore_ascii_case(word))
            }
        }
    };
}

words!(
    /// SPF (RFC 7208 §2.6).
    SpfResult {
        /// No policy, or nobody to ask it about.
        None = "none",
        /// The domain says nothing about the client.
        Neutral = "neutral",
        /// The client may send for the domain.
        Pass = "pass",
        /// The client may not send for the domain.
        Fail = "fail",
        /// The client probably may not send for the domain.
        SoftFail = "softfail",
        /// DNS failed.
        TempError = "temperror",
        /// The policy cannot be read or asks for too much.
        PermError = "permerror",
    }
);
words!(
    /// DKIM (RFC 8601 §2.7.1), of one signature.
    DkimResult {
        /// It was not looked at.
        None = "none",
        /// It verifies.
        Pass = "pass",
        /// It does not verify.
        Fail = "fail",
        /// It may verify, and does not count all the same.
        Policy = "policy",
        /// It cannot be evaluated.
        Neutral = "neutral",
        /// DNS failed.
        TempError = "temperror",
        /// There is no such key, or none that can be used.
        PermError = "permerror",
    }
);
words!(
    /// DMARC (RFC 7489 §11.2).
    DmarcResult {
        /// No policy.
        None = "none",
        /// SPF or DKIM passed for the domain in `From`.
        Pass = "pass",
        /// Neither did.
        Fail = "fail",
        /// DNS failed.
        TempError = "temperror",
        /// `From` or the policy cannot be read in one way.
        PermError = "permerror",
    }
);
words!(
    /// ARC (RFC 8617 §4.4), of the whole chain.
    ArcResult {
        /// There is no chain.
        None = "none",
        /// It verifies.
        Pass = "pass",
        /// It does not.
        Fail = "fail",
        /// DNS failed.
        TempError = "temperror",
    }
);
words!(
    /// What a domain asks for when its mail fails DMARC (RFC 7489 §6.3).
    Policy {
        /// Nothing in particular.
        None = "none",
        /// To treat it as suspicious.
        Quarantine = "quarantine",
        /// To refuse it.
        Reject = "reject",
    }
);
words!(
    /// The mechanism by which a mail is aligned with its `From`.
    Mechanism {
        /// DKIM.
        Dkim = "dkim",
        /// SPF.
        Spf = "spf",
    }
);
words!(
    /// Which identity SPF was asked about (RFC 7208 §2.3, §2.4).
    SpfIdentity {
        /// The domain of `MAIL FROM`.
        MailFrom = "mailfrom",
        /// The name in `HELO`: where `MAIL FROM` is empty.
        Helo = "helo",
    }
);
words!(
    /// Why a result is what it is: our own vocabulary, never a text from the mail or from DNS.
    Why {
        /// DNS is switched off.
        DnsOff = "dns_off",
        /// DNS gave no answer in time, or answered that it failed.
        DnsFailed = "dns_failed",
        /// Nobody trusted told the client's address and `HELO`.
        NoTrustedHop = "no_trusted_hop",
        /// There is no such record.
        NoRecord = "no_record",
        /// The record or field cannot be read.
        Malformed = "malformed",
        /// More was asked for than one mail may ask.
        TooMuch = "too_much",
        /// The body was changed after signing.
        BodyChanged = "body_changed",
        /// The signature does not match the header or the key.
        BadSignature = "bad_signature",
        /// The signature is past its time.
        Expired = "expired",
        /// The key was revoked.
        KeyRevoked = "key_revoked",
        /// The key is too short (RFC 8301 §3.2).
        WeakKey = "weak_key",
        /// An algorithm that nobody should use or that we do not know (RFC 8301 §3.1).
        Algorithm = "algorithm",
        /// Only a part of the body is signed (`l=`, RFC 6376 §8.2).
        BodyLength = "body_length",
        /// `From` is not among the signed fields (RFC 6376 §5.4).
        FromNotSigned = "from_not_signed",
        /// The identities of one signature contradict each other.
        Identity = "identity",
        /// The chain of seals is broken.
        BrokenChain = "broken_chain",
        /// There is no single author domain in `From`.
        NoAuthor = "no_author",
        /// What passed belongs to another domain than `From`.
        NotAligned = "not_aligned",
    }
);

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

/// Everything that was found out. Each part is there, with `none` where there was nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// The domain in `From`; `None` unless there is exactly one author that every reader agrees on.
    pub author: Option<Domain>,
    /// SPF.
    pub spf: Spf,
    /// DKIM, one entry a signature, in the order of the header.
    pub dkim: Vec<Dkim>,
    /// DMARC.
    pub dmarc: Dmarc,
    /// ARC.
    pub arc: Arc,
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
            dkim: Vec::new(),
            dmarc: Dmarc { result: DmarcResult::None, why: Some(why), policy: None, aligned_by: None },
            arc: Arc { result: ArcResult::None, why: Some(why), sealer: None },
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
