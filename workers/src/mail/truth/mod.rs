//! What an attachment truly is: by every reading of its name, by its declared type, by its bytes.
//!
//! The worst of the readings counts: a client may take any of them. A name is data and never a path.

mod danger;
mod extension;
mod family;
mod found;
mod member;
mod readings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use mail_parser::{HeaderName, MessagePart};

use super::findings::Findings;
use super::model::{FindingCode, Part, PartRole, Severity};
use super::structure::place;
use crate::containers::mail;
use danger::Danger;
pub(crate) use extension::extensions;
use extension::{extension, is_double};
use family::Family;
pub(super) use found::Found;
pub(crate) use member::{last_component, of_member};

/// Notes what is dangerous about a part, and where its name, type and first bytes contradict each other.
pub(super) fn check(raw: &MessagePart<'_>, part: &Part, head: &[u8], found: Option<Found>, findings: &mut Findings) {
    let is_body = part.role == PartRole::Body;
    let family = found.map(|found| found.family);
    let shown = part.name.as_ref().and_then(|name| extension(name.expose()));
    let name = part.name.as_ref().map_or("", |name| name.expose());
    let by_name = |extension: &String| by_name(name, || family, extension);
    let read: BTreeSet<String> = written(raw).iter().flat_map(|name| extensions(name)).collect();
    // Programs go by the name: a type that contradicts both it and the bytes is that contradiction and no more.
    let is_harmless = shown.as_ref().is_some_and(|it| by_name(it).is_none() && family::is_harmless(it, family));
    let declared = Danger::of_type(&part.content_type);
    let is_miscalled = is_harmless && declared == Some(Danger::Executable);

    let mut dangers: BTreeSet<Danger> = read.iter().chain(&shown).filter_map(by_name).collect();
    // What is shown as the text is no file, unless some reader sees a file's name.
    if is_body {
        dangers.remove(&Danger::Html);
        if dangers.is_empty() {
            return;
        }
    } else {
        let is_file = shown.is_some() || raw.content_disposition().is_some_and(|field| field.ctype() == "attachment");
        let others = declared.filter(|_| !is_miscalled).into_iter().chain(Danger::of_bytes(head));
        dangers.extend(others.filter(|danger| is_file || *danger != Danger::Html));
    }
    let place = place(raw);
    for danger in dangers {
        findings.add(danger.code(), Severity::Warning, &place);
    }
    if read.iter().filter_map(by_name).any(|danger| shown.as_ref().and_then(by_name) != Some(danger)) {
        findings.add(FindingCode::HiddenExtension, Severity::Ambiguous, &place);
    }
    if part.name.as_ref().is_some_and(|name| is_double(name.expose())) {
        findings.add(FindingCode::DoubleExtension, Severity::Warning, &place);
    }
    let contradicts = || family::is_contradictory(shown.as_deref(), &part.content_type, family);
    if !is_body && (is_miscalled || contradicts()) {
        findings.add(FindingCode::TypeMismatch, Severity::Warning, &place);
    }
}

/// The danger of an extension. Addresses end like programs of DOS; those have no signature, so that only what is known to be
/// of a format is none.
fn by_name(name: &str, family: impl Fn() -> Option<Family>, extension: &str) -> Option<Danger> {
    let is_other = || family().is_some_and(|family| family != Family::Other);
    Danger::of_extension(extension).filter(|_| extension != "com" || !name.contains('@') || !is_other())
}

/// Whether programs of Office open a file by this name as a document, one that is a zip by its bytes.
pub(crate) fn is_document(name: &str) -> bool {
    let is_one = |extension: &str| matches!(extension, "odt" | "ods" | "odp" | "odg");
    extension(name).is_some_and(|it| is_one(&it) || family::is_harmless(&it, Some(Family::Zip)))
}

/// What is dangerous about a file of this name alone, as any program reads it.
pub(super) fn dangers_of_name(name: &str) -> BTreeSet<FindingCode> {
    extensions(name).filter_map(|extension| Danger::of_extension(&extension)).map(Danger::code).collect()
}

/// Notes what is dangerous about the name of a part that is a message: some program saves it as a file of that name. (Its
/// bytes are a mail's, and subjects that serve for names speak of `example.com`.)
pub(super) fn check_message(part: &MessagePart<'_>, findings: &mut Findings) {
    let names = written(part);
    let dangers = names.iter().flat_map(|name| extensions(name)).filter(|extension| extension != "com");
    for danger in dangers.filter_map(|extension| Danger::of_extension(&extension)).collect::<BTreeSet<_>>() {
        findings.add(danger.code(), Severity::Warning, place(part));
    }
}

/// Whether some reader may see the name of a mail.
pub(super) fn is_named_like_a_mail(part: &MessagePart<'_>) -> bool {
    written(part).iter().any(|name| mail::is_named(name))
}

/// Every name that some reader may see in the part's fields, also in those that stand twice.
fn written(part: &MessagePart<'_>) -> BTreeSet<String> {
    let headers = part.headers();
    let fields = [HeaderName::ContentDisposition, HeaderName::ContentType];
    let mut names: BTreeSet<String> = fields
        .into_iter()
        .flat_map(|name| headers.all(name))
        .flat_map(|field| readings::names(field.raw_value()))
        .collect();
    let dispositions = part.content_disposition().and_then(|field| field.attribute("filename"));
    let types = part.content_type().and_then(|field| field.attribute("name"));
    names.extend(dispositions.into_iter().chain(types).map(str::to_owned));
    names
}
