//! What an attachment truly is: by every reading of its name, by its declared type, by its bytes.
//!
//! The worst of the readings counts: a client may take any of them. A name is data and never a path.

mod danger;
mod extension;
mod family;
mod found;
mod readings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use mail_parser::{HeaderName, MessagePart};

use super::findings::Findings;
use super::model::{FindingCode, Part, PartRole, Severity};
use super::structure::place;
use danger::Danger;
use extension::{extension, extensions, is_double};
pub(super) use found::Found;

/// Notes what is dangerous about a part, and where its name, type and first bytes contradict each other.
pub(super) fn check(raw: &MessagePart<'_>, part: &Part, head: &[u8], found: Option<Found>, findings: &mut Findings) {
    let read: BTreeSet<String> = written(raw).iter().flat_map(|name| extensions(name)).collect();
    let by_name = |extension: &String| Danger::of_extension(extension);
    // What is shown as the text is no file, unless some reader sees a file's name.
    if part.role == PartRole::Body && read.iter().filter_map(by_name).all(|danger| danger == Danger::Html) {
        return;
    }
    let place = place(raw);
    let shown = part.name.as_ref().and_then(|name| extension(name.expose()));
    let hidden = read.iter().filter_map(by_name).any(|danger| shown.as_ref().and_then(by_name) != Some(danger));
    let is_file = shown.is_some() || raw.content_disposition().is_some_and(|field| field.ctype() == "attachment");
    let by_type = Danger::of_type(&part.content_type).filter(|danger| is_file || *danger != Danger::Html);
    let by_bytes = Danger::of_bytes(head).filter(|danger| is_file || *danger != Danger::Html);
    let all = read.iter().chain(&shown).filter_map(by_name).chain(by_type).chain(by_bytes);
    for danger in all.collect::<BTreeSet<_>>() {
        findings.add(danger.code(), Severity::Warning, &place);
    }
    if hidden {
        findings.add(FindingCode::HiddenExtension, Severity::Ambiguous, &place);
    }
    if part.name.as_ref().is_some_and(|name| is_double(name.expose())) {
        findings.add(FindingCode::DoubleExtension, Severity::Warning, &place);
    }
    if family::is_contradictory(shown.as_deref(), &part.content_type, found.map(|found| found.family)) {
        findings.add(FindingCode::TypeMismatch, Severity::Warning, &place);
    }
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
