//! Which key records a mail's signatures and seals need, so that the parent can look them up.

use mail_auth::{arc, dkim};

use super::Field;
use crate::auth::Domain;

/// The most DKIM signatures that are looked at (RFC 6376 §8.4); ordinary mail has one to three.
pub const MAX_SIGNATURES: usize = 8;
/// The most ARC sets that are looked at: a chain that is longer is not verified.
pub const MAX_SETS: usize = 10;
/// The most key records of one mail.
pub const MAX_KEYS: usize = MAX_SIGNATURES + 2 * MAX_SETS;

/// Whether there is anything to verify, and the names of the keys, each once.
pub(super) fn collect(fields: &[Field<'_>]) -> (bool, Vec<Domain>) {
    let all = |name: &'static str, most| fields.iter().filter(move |field| field.is(name)).take(most);
    let signatures = all("DKIM-Signature", MAX_SIGNATURES)
        .map(|field| dkim::Signature::parse(field.value).ok().and_then(|parsed| key_name(&parsed.s, &parsed.d)));
    let messages = all("ARC-Message-Signature", MAX_SETS)
        .map(|field| arc::Signature::parse(field.value).ok().and_then(|parsed| key_name(&parsed.s, &parsed.d)));
    let seals = all("ARC-Seal", MAX_SETS)
        .map(|field| arc::Seal::parse(field.value).ok().and_then(|parsed| key_name(&parsed.s, &parsed.d)));
    let mut is_signed = false;
    let mut keys: Vec<Domain> = Vec::new();
    for key in signatures.chain(messages).chain(seals) {
        is_signed = true;
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    (is_signed, keys)
}

/// The name of a signature's key record (RFC 6376 §3.6.2.1).
pub(in crate::auth) fn key_name(selector: &str, domain: &str) -> Option<Domain> {
    if !selector.is_ascii() || selector.is_empty() {
        return None;
    }
    Domain::parse(&format!("{selector}._domainkey.{}", ascii_domain(domain)?.expose()))
}

/// The domain of a signature. DKIM knows A-labels only, without a dot at the end (RFC 6376 §3.5, `d=`), so anything else is
/// none.
pub(in crate::auth) fn ascii_domain(domain: &str) -> Option<Domain> {
    if domain.is_ascii() && !domain.ends_with('.') { Domain::parse(domain) } else { None }
}
