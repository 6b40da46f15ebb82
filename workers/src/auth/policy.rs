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
/// A policy is enforced only where SPF could be asked: a mail that no mail server handed over (a file, a test) would
/// otherwise fail for want of a client. And DNS is waited for only where its answer can make an aligned pass: what is
/// neither signed nor came from a known client has none to wait for.
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
    match results.dmarc.policy {
        Some(Policy::Reject) if results.spoofed() && client_known && dmarc == DmarcMode::Enforce => {
            Decision::Quarantine("dmarc", "the domain in From asks to reject what fails DMARC, and this mail does")
        }
        Some(Policy::Quarantine) if results.spoofed() && client_known && dmarc == DmarcMode::Enforce => {
            Decision::Quarantine("dmarc", "the domain in From asks to quarantine what fails DMARC, and this mail does")
        }
        _ => Decision::Accept,
    }
}
