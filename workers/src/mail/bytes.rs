//! Bytes that some readers take for the end of a line, of a field or of a text, and others do not.

use mail_parser::{Encoding, Message, MessagePart};
use memchr::{memchr, memchr_iter, memrchr};

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
    if style(header) == Some(Style::Crlf) && has_bare_lf(body) {
        findings.add(FindingCode::BareLfInBody, Severity::Warning, "body");
    }
    for (text, place) in [(header, "headers"), (body, "body")] {
        if has_long_line(text) {
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

/// How many bytes are looked at before it is decided whether to go on: enough for the compiler to take many at once.
const AT_ONCE: usize = 4 * 1024;

/// Whether a line feed has no carriage return before it.
fn has_bare_lf(text: &[u8]) -> bool {
    let after = text.get(1..).unwrap_or_default();
    let is_bare = |(before, byte): (&u8, &u8)| u8::from(*byte == b'\n') & u8::from(*before != b'\r');
    let mut blocks = text.chunks(AT_ONCE).zip(after.chunks(AT_ONCE));
    text.first() == Some(&b'\n')
        || blocks.any(|(before, after)| before.iter().zip(after).map(is_bare).fold(0, |any, one| any | one) > 0)
}

/// Whether a line is longer than [`LONGEST_LINE`]. Each line has to end within so many bytes: the last end there is looked
/// for from behind, which passes the ordinary lines before it unseen.
fn has_long_line(mut text: &[u8]) -> bool {
    while text.len() > LONGEST_LINE {
        let window = text.get(..LONGEST_LINE + 2).unwrap_or(text);
        let Some(end) = memrchr(b'\n', window) else { return true };
        let before = window.get(..end).unwrap_or_default();
        // One byte too far for a line that begins here, unless a carriage return belongs to its end.
        if end > LONGEST_LINE && !before.ends_with(b"\r") && memchr(b'\n', before).is_none() {
            return true;
        }
        text = text.get(end + 1..).unwrap_or_default();
    }
    false
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
    let line = memrchr(b'\n', delimiter);
    let around = before.get(line.unwrap_or_default().saturating_sub(1)..).unwrap_or_default();
    if has_bare_lf(around) || has_bare_lf(part.raw_headers()) {
        findings.add(FindingCode::BareLfInHeaders, Severity::Ambiguous, place);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, line by line.
    fn line_by_line(text: &[u8]) -> (bool, bool) {
        let (mut bare, mut longest, mut start) = (false, 0, 0);
        for end in memchr_iter(b'\n', text) {
            bare |= is_bare(text, end);
            longest = longest.max((end - start).saturating_sub(usize::from(!is_bare(text, end))));
            start = end + 1;
        }
        (bare, longest.max(text.len() - start) > LONGEST_LINE)
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![0usize..100, 900usize..1_100, LONGEST_LINE - 1..LONGEST_LINE + 4];
        let end = proptest::sample::select(vec!["\n", "\r\n", "\r\r\n", "\r", ""]);
        (length, end).prop_map(|(length, end)| [&vec![b'x'; length], end.as_bytes()].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn many_lines_at_once_are_judged_as_one_by_one(lines in proptest::collection::vec(line(), 0..12)) {
            let text = lines.concat();
            prop_assert_eq!((has_bare_lf(&text), has_long_line(&text)), line_by_line(&text));
        }
    }
}
