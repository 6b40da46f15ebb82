//! The names of attachments: whether a part has one name to every reader, and whether every part has its own, and its own
//! identifier.

use std::collections::BTreeSet;

use mail_parser::{Message, MessageId, MessagePart};
use unicode_normalization::UnicodeNormalization;

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::names::file_name;
use super::scripts;
use super::structure::place;

/// Notes what is wrong with the names of the parts.
pub(super) fn check(message: &Message<'_>, findings: &mut Findings) {
    let mut known: BTreeSet<(MessageId, String)> = BTreeSet::new();
    let mut identifiers: BTreeSet<(MessageId, &str)> = BTreeSet::new();
    for part in message.parts().filter(|part| !part.is_multipart()) {
        let place = place(&part);
        let identifier = part.content_id().map(str::trim).filter(|identifier| !identifier.is_empty());
        if identifier.is_some_and(|identifier| !identifiers.insert((part.message().id(), identifier))) {
            findings.add(FindingCode::DuplicateContentIds, Severity::Warning, &place);
        }
        let written: Vec<&str> = names(&part).collect();
        written.iter().for_each(|name| scripts::check(name, &place, findings));
        let mut shown = written.iter().filter_map(|name| comparable(name));
        let Some(name) = shown.next() else { continue };
        if shown.any(|other| other != name) {
            findings.add(FindingCode::NameConflict, Severity::Warning, &place);
        }
        if !known.insert((part.message().id(), name)) {
            findings.add(FindingCode::DuplicateNames, Severity::Info, &place);
        }
    }
}

/// Every name that a part is given.
fn names<'m>(part: &MessagePart<'m>) -> impl Iterator<Item = &'m str> {
    let disposition = part.content_disposition().and_then(|field| field.attribute("filename"));
    let content_type = part.content_type().and_then(|field| field.attribute("name"));
    disposition.into_iter().chain(content_type)
}

/// A name as file systems compare names: without case, composed.
fn comparable(name: &str) -> Option<String> {
    file_name(name).0.map(|name| name.nfc().collect::<String>().to_lowercase())
}
