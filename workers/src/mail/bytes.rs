//! Bytes that some readers take for the end of a line, of a field or of a text, and others do not.

use mail_parser::{Encoding, Message, MessagePart};
use memchr::{memchr, memchr_iter};

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::structure::place;

/// The longest line, in bytes, without its end (RFC 5322 §2.1.1).
const LONGEST_LINE: usize = 998;

/// Notes such bytes in the raw mail, whose header section ends before `section` bytes, and in each of its parts.
pub(super) fn check(message: &Message<'_>, section: usize, findings: &mut Findings) {
    let raw = message.raw();
    let (header, body) = raw.split_at(end_of_blank_line(raw, section));
    check_block(header, "headers", findings);
    check_line_ends(header, findings);
    let lines = Lines::of(body);
    if lines.bare && style(header) == Some(Style::Crlf) {
        findings.add(FindingCode::BareLfInBody, Severity::Warning, "body");
    }
    for (longest, place) in [(Lines::of(header).longest, "headers"), (lines.longest, "body")] {
        if longest > LONGEST_LINE {
            findings.add(FindingCode::LineTooLong, Severity::Warning, place);
        }
    }
    for part in message.parts() {
        check_part(&part, findings);
    }
}

/// Where the body begins, if the line before ends at `section`.
fn end_of_blank_line(raw: &[u8], section: usize) -> usize {
    let rest = raw.get(section..).unwrap_or_default();
    let blank = [&b"\n\n"[..], b"\n\r\n"].into_iter().find(|blank| rest.starts_with(blank)).map_or(0, <[u8]>::len);
    section + blank
}

/// What every header block may hold or not.
fn check_block(block: &[u8], place: &str, findings: &mut Findings) {
    if memchr(0, block).is_some() {
        findings.add(FindingCode::NulInHeaders, Severity::Ambiguous, place);
    }
    if has_bare_cr(block) {
        findings.add(FindingCode::BareCrInHeaders, Severity::Ambiguous, place);
    }
    if !block.is_ascii() {
        let is_utf8 = std::str::from_utf8(block).is_ok();
        let (code, severity) = match is_utf8 {
            true => (FindingCode::Utf8InHeaders, Severity::Info),
            false => (FindingCode::EightBitInHeaders, Severity::Warning),
        };
        findings.add(code, severity, place);
    }
}

fn has_bare_cr(bytes: &[u8]) -> bool {
    memchr_iter(b'\r', bytes).any(|at| !matches!(bytes.get(at + 1), Some(b'\n') | None))
}

/// How the lines of a header end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Crlf,
    Lf,
}

/// How the first line of a header ends. The envelope line of an mbox is not its own.
fn style(header: &[u8]) -> Option<Style> {
    let mut ends = memchr_iter(b'\n', header);
    let first = if header.starts_with(b"From ") { ends.nth(1) } else { ends.next() }?;
    Some(if is_bare(header, first) { Style::Lf } else { Style::Crlf })
}

fn is_bare(bytes: &[u8], line_feed: usize) -> bool {
    line_feed.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r')
}

/// A header that begins with CRLF and has a bare line feed has other fields to a reader who takes RFC 5322 at its word.
/// The other way round, somebody put lines before it: nobody stops reading at CRLF.
fn check_line_ends(header: &[u8], findings: &mut Findings) {
    let is_other = |style: Style| {
        let own = if header.starts_with(b"From ") { 1 } else { 0 };
        memchr_iter(b'\n', header).skip(own).any(|at| is_bare(header, at) == (style == Style::Crlf))
    };
    match style(header) {
        Some(Style::Crlf) if is_other(Style::Crlf) => {
            findings.add(FindingCode::BareLfInHeaders, Severity::Ambiguous, "headers");
        }
        Some(Style::Lf) if is_other(Style::Lf) => {
            findings.add(FindingCode::BareLfInHeaders, Severity::Warning, "headers");
        }
        _ => {}
    }
}

/// What there is to know of the lines of a text.
struct Lines {
    longest: usize,
    bare: bool,
}

impl Lines {
    fn of(text: &[u8]) -> Self {
        let mut lines = Self { longest: 0, bare: false };
        let mut start = 0;
        for end in memchr_iter(b'\n', text) {
            lines.bare |= is_bare(text, end);
            lines.longest = lines.longest.max((end - start).saturating_sub(usize::from(!is_bare(text, end))));
            start = end + 1;
        }
        lines.longest = lines.longest.max(text.len() - start);
        lines
    }
}

fn check_part(part: &MessagePart<'_>, findings: &mut Findings) {
    let place = place(part);
    if part.message().id() != 0 || part.parent().is_some() {
        check_block(part.raw_headers(), &place, findings);
        check_delimiter(part, &place, findings);
    }
    if part.is_multipart() || part.is_message() || part.encoding() != Encoding::None {
        return;
    }
    let (body, declared) = (part.raw_body(), part.content_transfer_encoding().unwrap_or("7bit"));
    if !declared.eq_ignore_ascii_case("binary") {
        if memchr(0, body).is_some() {
            findings.add(FindingCode::NulInBody, Severity::Warning, &place);
        }
        if has_bare_cr(body) {
            findings.add(FindingCode::BareCrInBody, Severity::Warning, &place);
        }
    }
    if declared.eq_ignore_ascii_case("7bit") && !body.is_ascii() {
        findings.add(FindingCode::EightBitInBody, Severity::Info, &place);
    }
}

/// In a message whose header ends its lines with CRLF, a delimiter or a part's field that ends with a bare line feed is
/// none to a reader who takes RFC 2046 §5.1.1 at its word.
fn check_delimiter(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    if part.parent().is_none() || style(part.message().root_part().raw_headers()) != Some(Style::Crlf) {
        return;
    }
    let source = part.message().source_bytes();
    let before = source.get(..part.offset_header() as usize).unwrap_or_default();
    let delimiter = before.strip_suffix(b"\n").unwrap_or(before);
    let line = memchr::memrchr(b'\n', delimiter);
    let around = before.get(line.unwrap_or_default().saturating_sub(1)..).unwrap_or_default();
    if Lines::of(around).bare || Lines::of(part.raw_headers()).bare {
        findings.add(FindingCode::BareLfInHeaders, Severity::Ambiguous, place);
    }
}
