//! The author of a mail, as far as every reader agrees on who that is (RFC 7489 §6.6.1).
//!
//! Invariant: a domain that some reader takes for the author's is among those that are told, or the field counts as
//! unreadable; so no way to write `From` frees a mail of a policy.

use mail_parser::Headers;
use serde::{Deserialize, Serialize};

use super::{Field, MAX_READ, bare, received, unfolded};
use crate::{auth::Domain, mail::mailboxes};

/// The most domains of one `From` that are told of. Nobody writes for more.
pub(super) const MAX_AUTHORS: usize = 8;

/// Whose mail it is by its `From`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// Of one domain, and every reader agrees on it. Only that can be verified.
    One(Domain),
    /// Of one or more of these, by who reads it.
    Some(Vec<Domain>),
    /// Of a machine that has no domain: `root@localhost`, or an address literal.
    Local,
    /// Nobody can say.
    #[default]
    Unreadable,
}

impl Author {
    /// The one domain that can be verified.
    #[must_use]
    pub const fn one(&self) -> Option<&Domain> {
        match self {
            Self::One(domain) => Some(domain),
            _ => None,
        }
    }

    /// Every domain that it may be.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        match self {
            Self::One(domain) => std::slice::from_ref(domain),
            Self::Some(domains) => domains,
            Self::Local | Self::Unreadable => &[],
        }
    }
}

/// Reads it.
pub(super) fn read(fields: &[Field<'_>], headers: &Headers<'_>) -> Author {
    let froms: Vec<&Field<'_>> = fields.iter().filter(|field| may_be_from(field.name)).collect();
    if froms.is_empty() || froms.iter().any(|field| field.value.len() > MAX_READ) {
        return Author::Unreadable;
    }
    let mut addresses: Vec<String> = Vec::new();
    for header in headers.all("From") {
        addresses.extend(mailboxes::of(&header).into_iter().filter_map(|one| one.address.map(String::from)));
    }
    let is_plain = |b: &u8| !b.is_ascii_control() || matches!(b, b'\r' | b'\n' | b'\t');
    let whole: Vec<String> = froms.iter().map(|field| unfolded(field.value)).collect();
    let clear = match (froms.as_slice(), whole.as_slice()) {
        ([field], [text]) if field.value.iter().all(is_plain) => bare(text),
        _ => None,
    };
    let mut domains: Vec<Domain> = Vec::new();
    let mut add = |domain: Domain| {
        if !domains.contains(&domain) {
            domains.push(domain)
        }
    };
    match &clear {
        Some(text) => written(text).for_each(&mut add),
        // What is quoted to one reader is plain to another.
        None => whole.iter().flat_map(|text| written(text)).for_each(&mut add),
    }
    let own: Vec<Option<Domain>> = addresses.iter().map(|address| Domain::of_address(address)).collect();
    own.iter().flatten().cloned().for_each(&mut add);
    // A name without an address is nobody's; what has an `@` is somebody's to some reader.
    let is_known = |(address, domain): (&String, &Option<Domain>)| domain.is_some() || !address.contains('@');
    let are_known = addresses.iter().zip(&own).all(is_known);
    match domains.as_slice() {
        [] if clear.is_some() && is_local(&addresses) => Author::Local,
        [only] if clear.is_some() && are_known && own.iter().any(Option::is_some) => Author::One(only.clone()),
        [] => Author::Unreadable,
        many if many.len() > MAX_AUTHORS => Author::Unreadable,
        _ => Author::Some(domains),
    }
}

/// Whether any reader could take a field of this name for `From`.
fn may_be_from(name: &str) -> bool {
    let ours = ['f', 'r', 'o', 'm'].into_iter();
    name.chars().filter(|c| !c.is_whitespace() && !c.is_control()).map(|c| c.to_ascii_lowercase()).eq(ours)
}

/// Every domain behind an `@`. The local part may be quoted, and is then not in the text. What is no name with a dot is
/// part of somebody's name (`CEO @ Bank`, `@ceo`).
fn written(text: &str) -> impl Iterator<Item = Domain> {
    let is_end = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\"()".contains(c);
    let words = text.split(is_end).filter(|word| word.contains('@'));
    words.flat_map(|word| word.split('@').skip(1)).filter_map(domain_of)
}

/// The domain at the start of a text, also in the brackets of an address literal, in which only an address may stand.
fn domain_of(text: &str) -> Option<Domain> {
    let text = text.trim_start_matches('[');
    let name = text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.".contains(c)).next()?;
    if received::address(name).is_some() { None } else { Domain::parse(name) }
}

/// Whether the only mailbox is at a machine without a domain.
fn is_local(addresses: &[String]) -> bool {
    let [address] = addresses else { return false };
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    let is_name = |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    !local.is_empty() && literal.map_or_else(|| is_name(host), |literal| received::address(literal).is_some())
}
