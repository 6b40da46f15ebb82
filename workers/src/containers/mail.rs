//! A mail as a file: what is forwarded as one, or packed into an archive. Its parts are its members.
//!
//! The scanner reads mails itself, and finds what is in a well-formed one however it is encoded. What two readers could
//! take apart in two ways it may miss; so a mail whose structure or encodings are damaged is an obstacle here, by the
//! very checks that a mail meets on its way in.

use super::beside::Known;
use super::bytes::position;
use super::kind::{HEAD, Kind};
use super::obstacle::Code;
use super::reach;
use super::walk::Walker;
use crate::mail::decode::{Encoding, PartReader};
use crate::mail::limits::Limits;
use crate::mail::model::{Finding, FindingCode, Part, Severity};
use crate::mail::parse::{RefusalCode, take_apart};
use crate::mail::truth::extensions;

/// The extensions of files that programs open as mails: by their name, whatever is in them.
const NAMES: [&str; 4] = ["eml", "emlx", "mht", "mhtml"];

/// Whether a name is that of a mail, as some program reads it.
pub(crate) fn is_named(name: &str) -> bool {
    extensions(name).any(|extension| NAMES.contains(&&*extension))
}

/// Whether a content begins like a mail with MIME parts: header fields, `MIME-Version` among them (RFC 2045 §4). One
/// without is a text, unless its name says otherwise.
pub(super) fn begins(head: &[u8]) -> bool {
    let head = head.get(..HEAD).unwrap_or(head);
    let is_name = |byte: &u8| matches!(byte, 33..=57 | 59..=126);
    let mut has_version = false;
    for (i, line) in head.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is_fold = i > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        let is_field = !name.is_empty() && name.len() < line.len() && name.iter().all(is_name);
        let is_envelope = i == 0 && line.starts_with(b"From ");
        if !is_fold && !is_field && !is_envelope {
            break;
        }
        has_version = has_version || name.eq_ignore_ascii_case(b"MIME-Version");
    }
    has_version
}

/// Walks the parts of a mail.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let (parts, findings) = take_apart(bytes, &Limits::default()).map_err(|refusal| match refusal.code {
        RefusalCode::TooLarge | RefusalCode::HeadersTooLarge => Code::TooLarge,
        RefusalCode::Empty | RefusalCode::NotAMail => Code::Damaged,
    })?;
    for code in findings.iter().filter_map(obstacle) {
        walker.note(code)?;
    }
    walker.notice(findings.iter().map(|finding| finding.code));
    // A single text as it is needs no decoding. Behind a blank line it is one only for those who do not skip that.
    let is_plain = |part: &Part| part.address.0.iter().all(|segment| segment.encoding == Encoding::Identity);
    let is_text =
        parts.len() <= 1 && parts.iter().all(is_plain) && !bytes.starts_with(b"\r") && !bytes.starts_with(b"\n");
    if !is_text && !reach::is_recognised(bytes) {
        walker.note(Code::OutOfReach)?;
    }
    let mut known = Known::default();
    for part in &parts {
        // Encoded bytes are looked at both ways.
        let range = PartReader::new(&part.address).outer_range();
        if is_plain(part) {
            known.content(position(range.start)..position(range.end), false);
        }
        let name = part.name.as_ref().map_or("", |name| name.expose());
        walker.member(name.as_bytes(), |walker| {
            walker.made(
                part.content.len,
                || read(bytes, part),
                |walker, content| walker.content_as(content, part.container == Some(Kind::Mail)),
            )
        })?;
    }
    known.check(walker, bytes, 0)
}

fn read(bytes: &[u8], part: &Part) -> Result<Vec<u8>, Code> {
    let mut reader = PartReader::new(&part.address);
    let (mut content, range) = (Vec::new(), reader.outer_range());
    let range = position(range.start)..position(range.end);
    reader.push(bytes.get(range).ok_or(Code::Damaged)?, &mut content);
    reader.finish(&mut content);
    Ok(content)
}

/// What a finding is to a walk: readers could disagree about what the parts are, or about their bytes.
fn obstacle(finding: &Finding) -> Option<Code> {
    match finding.code {
        FindingCode::DepthExceeded => Some(Code::TooDeep),
        FindingCode::PartsExceeded => Some(Code::TooManyMembers),
        FindingCode::BoundaryDamaged
        | FindingCode::PartHeadersDamaged
        | FindingCode::HeadersMissing
        | FindingCode::FieldNameDamaged
        | FindingCode::NulInBody
        | FindingCode::BareCrInBody
        | FindingCode::ContentTypeUnreadable
        | FindingCode::EncodingConflict
        | FindingCode::EncodingDamaged
        | FindingCode::ParameterConflict => Some(Code::Contradictory),
        // What an attachment is called, or who is named, splits no mail in two.
        FindingCode::HiddenExtension => None,
        _ => (finding.severity == Severity::Ambiguous).then_some(Code::Contradictory),
    }
}
