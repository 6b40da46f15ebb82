//! What the results mean for a mail: it goes on, waits for DNS, or is quarantined. Pure.

use super::{
    Authentication,
    results::{Policy, Why},
};

/// `authentication.dmarc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmarcMode {
    /// What fails a policy of `quarantine` or `reject` is quarantined.
    Enforce,
    /// The result is noted, and rules decide.
    Tag,
}

/// `authentication.on_temperror`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTempError {
    /// The mail waits, no attempt counted, up to the stage's `max_age`.
    Defer,
    /// It goes on with the results that there are.
    Accept,
    /// It is quarantined.
    Quarantine,
}

/// What becomes of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Accept,
    /// It waits for DNS.
    Defer,
    /// It is quarantined, with a class and a reason.
    Quarantine(&'static str, &'static str),
}

/// Decides.
///
/// A policy is enforced where a trusted server handed the mail over; one that came otherwise (a file, a test) would fail
/// for want of a client. It is enforced also where that server's line cannot be read, or tells no `MAIL FROM`: what a
/// client can do to a line must not free it of the policy. Then DKIM alone can pass. Nor may a way to write `From`: one that
/// nobody can read is quarantined there too. And DNS is waited for only where its answer can make an aligned pass: what is
/// neither signed nor came from a known client has none to wait for. A policy that a trusted sealer overrides is not enforced.
#[must_use]
pub fn decide(results: &Authentication, dmarc: DmarcMode, on_temperror: OnTempError) -> Decision {
    let client_known = !matches!(results.spf.why, Some(Why::NoTrustedHop | Why::DnsOff));
    if results.is_unsettled() && (client_known || !results.dkim.is_empty()) {
        return match on_temperror {
            OnTempError::Defer => Decision::Defer,
            OnTempError::Accept => Decision::Accept,
            OnTempError::Quarantine => {
                Decision::Quarantine("unauthenticated", "DNS failed, so that the sender could not be authenticated")
            }
        };
    }
    let enforced = client_known && dmarc == DmarcMode::Enforce;
    if enforced && results.dmarc.why == Some(Why::AuthorUnreadable) {
        return Decision::Quarantine(
            "dmarc",
            "nobody can say whose mail this is by its From, so no policy can be asked for",
        );
    }
    match results.dmarc.policy.filter(|_| enforced && results.spoofed() && results.dmarc.overridden.is_none()) {
        Some(Policy::Reject | Policy::Quarantine) if results.spf.why == Some(Why::HopUnreadable) => {
            Decision::Quarantine(
                "dmarc",
                "this mail fails DMARC, and SPF could not be asked: neither client nor MAIL FROM may be missing from what the \
             trusted server writes",
            )
        }
        Some(Policy::Reject) => {
            Decision::Quarantine("dmarc", "the domain in From asks to reject what fails DMARC, and this mail does")
        }
        Some(Policy::Quarantine) => {
            Decision::Quarantine("dmarc", "the domain in From asks to quarantine what fails DMARC, and this mail does")
        }
        _ => Decision::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{
        Domain,
        results::{Dkim, DkimResult, DmarcResult, Override, OverrideReason, SpfResult},
    };

    #[test]
    fn every_case_is_decided() {
        use Decision::{Accept, Defer};
        let (enforce, tag) = (DmarcMode::Enforce, DmarcMode::Tag);
        let results = |result, policy, why, signed: bool| {
            let mut results = Authentication::unchecked(Why::NoRecord, "mailtri");
            (results.dmarc.result, results.dmarc.policy) = (result, policy);
            (results.spf.result, results.spf.why) = (SpfResult::None, why);
            let dkim = Dkim { result: DkimResult::TempError, why: None, domain: None, selector: None };
            results.dkim = if signed { vec![dkim] } else { vec![] };
            results
        };
        let unreadable = |why| {
            let mut results = results(DmarcResult::PermError, None, why, false);
            results.dmarc.why = Some(Why::AuthorUnreadable);
            results
        };
        let vouched = |why| {
            let mut results = results(DmarcResult::Fail, Some(Policy::Reject), why, true);
            let sealer = Domain::parse("list.example").unwrap();
            results.dmarc.overridden = Some(Override { reason: OverrideReason::Arc, sealer });
            results
        };
        let (fail, temp, nowhere) = (DmarcResult::Fail, DmarcResult::TempError, Some(Why::NoTrustedHop));
        let (reject, quarantine, none) = (Some(Policy::Reject), Some(Policy::Quarantine), Some(Policy::None));
        for (what, results, mode, on_temperror, expected) in [
            ("a pass", results(DmarcResult::Pass, reject, None, false), enforce, OnTempError::Defer, Some(Accept)),
            ("p=reject", results(fail, reject, None, false), enforce, OnTempError::Defer, None),
            ("p=quarantine", results(fail, quarantine, None, false), enforce, OnTempError::Accept, None),
            ("p=none", results(fail, none, None, false), enforce, OnTempError::Defer, Some(Accept)),
            ("only noted", results(fail, reject, None, false), tag, OnTempError::Defer, Some(Accept)),
            ("no client", results(fail, reject, nowhere, false), enforce, OnTempError::Defer, Some(Accept)),
            (
                "a client that cannot be read",
                results(fail, reject, Some(Why::HopUnreadable), false),
                enforce,
                OnTempError::Defer,
                None,
            ),
            ("a trusted sealer vouches", vouched(None), enforce, OnTempError::Defer, Some(Accept)),
            (
                "the same, a client that cannot be read",
                vouched(Some(Why::HopUnreadable)),
                enforce,
                OnTempError::Defer,
                Some(Accept),
            ),
            ("a From that nobody can read", unreadable(None), enforce, OnTempError::Defer, None),
            ("the same, only noted", unreadable(None), tag, OnTempError::Defer, Some(Accept)),
            ("the same, no client", unreadable(nowhere), enforce, OnTempError::Defer, Some(Accept)),
            ("DNS fails", results(temp, None, None, false), enforce, OnTempError::Defer, Some(Defer)),
            ("DNS fails, tagging", results(temp, None, None, false), tag, OnTempError::Defer, Some(Defer)),
            ("DNS fails, accepting", results(temp, None, None, false), enforce, OnTempError::Accept, Some(Accept)),
            ("DNS fails, quarantining", results(temp, None, None, false), enforce, OnTempError::Quarantine, None),
            (
                "DNS fails, nothing can pass",
                results(temp, None, nowhere, false),
                enforce,
                OnTempError::Defer,
                Some(Accept),
            ),
            (
                "DNS fails, a signature can",
                results(temp, None, nowhere, true),
                enforce,
                OnTempError::Defer,
                Some(Defer),
            ),
        ] {
            let decided = decide(&results, mode, on_temperror);
            match expected {
                Some(expected) => assert_eq!(decided, expected, "{what}"),
                None => assert!(matches!(decided, Decision::Quarantine(..)), "{what}"),
            }
        }
    }
}
