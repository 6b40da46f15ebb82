//! Names with a comma that nobody quoted: `Smith, John <john@a.example>`. To the grammar these are two mailboxes, one of
//! them without an address; to people, and to most programs, one author.

use std::borrow::Cow;

use mail_parser::Header;
use unicode_normalization::UnicodeNormalization;

use super::mailboxes::{Mailboxes, Written};

/// How many words may stand apart: names have few commas.
const MOST: usize = 8;

/// The one author of a field in which one mailbox has an address and the others are words that no reader can take for
/// one: the name is all of them. `None` for any other field.
pub(super) fn author<'m>(header: &Header<'m>, boxes: &Mailboxes<'m>) -> Option<Written<'m>> {
    let has_groups = header.value().as_address().is_none_or(|list| list.has_groups());
    if boxes.has_more || has_groups || !(2..=MOST).contains(&boxes.list.len()) {
        return None;
    }
    // Brackets with nothing in them are an author of their own.
    let dense: Vec<u8> = header.raw_value().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if memchr::memmem::find(&dense, b"<>").is_some() {
        return None;
    }
    let mut authors = boxes.list.iter().filter(|one| one.address().is_some());
    let (author, None) = (authors.next()?, authors.next()) else { return None };
    let mut names = Vec::new();
    for one in &boxes.list {
        match one.address() {
            Some(_) => names.extend(one.name.as_deref().map(str::to_owned)),
            None => names.push(words(one)?),
        }
    }
    let name = names.join(", ");
    Some(Written { name: (!name.is_empty()).then_some(Cow::Owned(name)), address: author.address.clone() })
}

/// The words of a mailbox that is nothing but words.
fn words(one: &Written<'_>) -> Option<String> {
    let name = one.name.as_deref().filter(|_| one.address.is_none())?.trim();
    // Full-width and similar forms of "@" read as one.
    let is_plain = !name.nfkc().any(|c| c.is_control() || "@<>()[]:;\"\\".contains(c));
    (is_plain && !name.is_empty()).then(|| name.to_owned())
}
