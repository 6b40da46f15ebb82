//! The words of results, the same in JSON, headers, labels and rules: those of RFC 8601 §2.7, and reasons of our own.

use serde::{Deserialize, Serialize};

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
    /// The client's address and its name (RFC 8601 §2.7.3).
    IprevResult {
        /// No client is known.
        None = "none",
        /// The name that DNS gives the address leads back to it.
        Pass = "pass",
        /// It leads elsewhere, or nowhere.
        Fail = "fail",
        /// DNS failed.
        TempError = "temperror",
        /// The address has no name.
        PermError = "permerror",
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
    /// Why a mail is spared the policy that it fails.
    OverrideReason {
        /// A trusted sealer says that it passed when it came to him (RFC 8617 §7.2).
        Arc = "arc",
    }
);
words!(
    /// Which identity SPF was asked about (RFC 7208 §2.3, §2.4).
    SpfIdentity {
        /// The domain of `MAIL FROM`.
        MailFrom = "mailfrom",
        /// The name in `HELO`.
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
        /// A trusted server handed it over, but its line does not tell the client, or nothing tells `MAIL FROM`.
        HopUnreadable = "hop_unreadable",
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
        /// Nobody can say whose domain stands in `From`.
        AuthorUnreadable = "author_unreadable",
        /// What passed belongs to another domain than `From`.
        NotAligned = "not_aligned",
        /// No name of the client leads back to it.
        NoMatch = "no_match",
    }
);
