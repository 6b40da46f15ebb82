//! Results as a header field (RFC 8601), and the fields of others that claim to be ours.

use std::fmt::Write;

use super::{
    Authentication, Domain,
    evidence::authserv_id,
    results::{SpfIdentity, Why},
};
use crate::mail::model::HeaderField;

/// What a field is called that came with the mail and claims to be ours (RFC 8601 §5).
pub const UNTRUSTED: &str = "X-Untrusted-Authentication-Results";

/// The value of an `Authentication-Results` field with these results. It holds our own words and domains of one form,
/// nothing else that came from the mail.
#[must_use]
pub fn value(results: &Authentication) -> String {
    let mut out = results.authserv_id.clone();
    let identity = match results.spf.identity {
        Some(SpfIdentity::MailFrom) => "smtp.mailfrom",
        Some(SpfIdentity::Helo) | None => "smtp.helo",
    };
    result(&mut out, "spf", results.spf.result.name(), results.spf.why.map(Why::name));
    property(&mut out, identity, results.spf.domain.as_ref());
    for dkim in &results.dkim {
        result(&mut out, "dkim", dkim.result.name(), dkim.why.map(Why::name));
        property(&mut out, "header.d", dkim.domain.as_ref());
    }
    if results.dkim.is_empty() {
        result(&mut out, "dkim", "none", None);
    }
    result(&mut out, "dmarc", results.dmarc.result.name(), results.dmarc.why.map(Why::name));
    property(&mut out, "header.from", results.author.as_ref());
    result(&mut out, "arc", results.arc.result.name(), results.arc.why.map(Why::name));
    out
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
