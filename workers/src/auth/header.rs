//! Results as a header field (RFC 8601), and the fields of others that claim to be ours.

use std::{fmt::Write, net::IpAddr};

use shared::pii::Pii;

use super::{
    Authentication, Domain,
    evidence::authserv_id,
    results::{Iprev, Spf, SpfIdentity, Why},
};
use crate::mail::model::HeaderField;

/// What a field is called that came with the mail and claims to be ours (RFC 8601 §5).
pub const UNTRUSTED: &str = "X-Untrusted-Authentication-Results";

/// The value of an `Authentication-Results` field with these results. It holds our own words, domains of one form and the
/// client's address, nothing else that came from the mail.
#[must_use]
pub fn value(results: &Authentication) -> String {
    let mut out = results.authserv_id.clone();
    spf(&mut out, &results.spf);
    // Without a domain it would be a second result about nobody.
    results.spf_helo.iter().filter(|helo| helo.domain.is_some()).for_each(|helo| spf(&mut out, helo));
    for dkim in &results.dkim {
        result(&mut out, "dkim", dkim.result.name(), dkim.why.map(Why::name));
        property(&mut out, "header.d", dkim.domain.as_ref());
    }
    if results.dkim.is_empty() {
        result(&mut out, "dkim", "none", None);
    }
    result(&mut out, "dmarc", results.dmarc.result.name(), results.dmarc.why.map(Why::name));
    property(&mut out, "header.from", results.author.as_ref());
    if let Some(overridden) = &results.dmarc.overridden {
        // Writing to a String does not fail.
        let _ = write!(out, " policy.override={}", overridden.reason.name());
    }
    result(&mut out, "arc", results.arc.result.name(), results.arc.why.map(Why::name));
    iprev(&mut out, &results.iprev);
    out
}

fn spf(out: &mut String, spf: &Spf) {
    let identity = match spf.identity {
        Some(SpfIdentity::MailFrom) => "smtp.mailfrom",
        Some(SpfIdentity::Helo) | None => "smtp.helo",
    };
    result(out, "spf", spf.result.name(), spf.why.map(Why::name));
    property(out, identity, spf.domain.as_ref());
}

/// Nothing where there is no client: the method has no `none` (RFC 8601 §2.7.3).
fn iprev(out: &mut String, iprev: &Iprev) {
    let Some(ip) = iprev.client_ip.as_ref().map(Pii::expose) else { return };
    result(out, "iprev", iprev.result.name(), iprev.why.map(Why::name));
    // Writing to a String does not fail. A colon stands in quotation marks only (RFC 2045 §5.1).
    let _ = match ip {
        IpAddr::V4(ip) => write!(out, " policy.iprev={ip}"),
        IpAddr::V6(ip) => write!(out, " policy.iprev=\"{ip}\""),
    };
}

fn result(out: &mut String, method: &str, result: &str, why: Option<&str>) {
    // Writing to a String does not fail.
    let _ = write!(out, "; {method}={result}");
    if let Some(why) = why {
        let _ = write!(out, " reason={why}");
    }
}

fn property(out: &mut String, name: &str, domain: Option<&Domain>) {
    if let Some(domain) = domain {
        let _ = write!(out, " {name}={}", domain.expose());
    }
}

/// Renames the fields that claim our name, or whose claim cannot be read: nobody but us may say something under it.
pub fn rename_claims(fields: &mut [HeaderField], ours: &str) {
    for field in fields.iter_mut().filter(|field| field.name.eq_ignore_ascii_case("Authentication-Results")) {
        let claimed = authserv_id(field.value.expose());
        if claimed.is_none_or(|id| id.eq_ignore_ascii_case(ours)) {
            UNTRUSTED.clone_into(&mut field.name);
        }
    }
}
