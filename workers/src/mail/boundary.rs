//! Boundaries that readers can take for different ones, or for another multipart's. Whoever reads another boundary sees
//! other parts.

use mail_parser::{HeaderName, MessagePart};

use super::outline::holder;

/// How much of a content type is read, in bytes: a boundary beyond that is another one to somebody.
const MOST: usize = 8 * 1024;

/// Whether the boundary of a multipart is one that not everybody reads alike: escaped, encoded (RFC 2231, RFC 2047), with
/// a comment or something else beside it, or that of a multipart which holds this one.
pub(super) fn is_read_in_two_ways(part: &MessagePart<'_>) -> bool {
    let Some(boundary) = part.boundary().filter(|_| part.is_multipart()) else { return false };
    let differs = |value: &[u8]| {
        let value = value.get(..MOST).unwrap_or(value);
        let read = Some(boundary.as_bytes().to_vec());
        by_the_standard(value) != read || as_it_stands(value) != read
    };
    part.headers().get(HeaderName::ContentType).is_some_and(|field| differs(field.raw_value()))
        || is_inside_its_like(part, boundary)
}

/// Whether a multipart of the same boundary holds this one: to RFC 2046 §5.1.2 its delimiters are the outer one's.
fn is_inside_its_like(part: &MessagePart<'_>, boundary: &str) -> bool {
    let source = part.message().source();
    let outer = std::iter::successors(holder(part), holder);
    outer
        .take_while(|outer| outer.message().source() == source)
        .any(|outer| outer.is_multipart() && outer.boundary() == Some(boundary))
}

/// The boundary as RFC 2045 §5.1 reads it: comments do not count, a backslash in a quoted string is an escape, and a token
/// ends at white space. (What is no token, but stands without quotation marks, is common.)
fn by_the_standard(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value;
    let mut piece = Vec::new();
    loop {
        let (byte, after) = rest.split_first().map_or((b';', None), |(byte, after)| (*byte, Some(after)));
        match (byte, after) {
            (b';', _) => {
                if let Some(found) = named(&piece) {
                    return Some(found.split(u8::is_ascii_whitespace).next().unwrap_or_default().to_vec());
                }
                piece.clear();
                rest = after?;
            }
            (b'(', Some(after)) => rest = after_comment(after),
            (b'"', Some(after)) => {
                let (text, after) = quoted_string(after);
                if named(&piece).is_some_and(<[u8]>::is_empty) {
                    return Some(text);
                }
                rest = after;
            }
            (byte, after) => {
                piece.push(byte);
                rest = after.unwrap_or_default();
            }
        }
    }
}

/// The boundary as a reader takes it that knows nothing of comments and escapes.
fn as_it_stands(value: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = false;
    let is_end = |byte: &u8| {
        quoted ^= *byte == b'"';
        *byte == b';' && !quoted
    };
    let found = value.split(is_end).find_map(named)?;
    let bare = found.strip_prefix(b"\"").map_or(found, |rest| rest.strip_suffix(b"\"").unwrap_or(rest));
    Some(bare.trim_ascii().to_vec())
}

/// What follows `boundary=`.
fn named(piece: &[u8]) -> Option<&[u8]> {
    let equals = memchr::memchr(b'=', piece)?;
    let is_it = piece.get(..equals)?.trim_ascii().eq_ignore_ascii_case(b"boundary");
    is_it.then(|| piece.get(equals + 1..).unwrap_or_default().trim_ascii())
}

fn quoted_string(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut out, mut escaped) = (Vec::new(), false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => {
                escaped = false;
                out.push(*byte);
            }
            b'\\' => escaped = true,
            b'"' => return (out, text.get(at + 1..).unwrap_or_default()),
            byte => out.push(*byte),
        }
    }
    (out, &[])
}

fn after_comment(text: &[u8]) -> &[u8] {
    let (mut depth, mut escaped) = (1_usize, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(at + 1..).unwrap_or_default();
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use crate::mail::{limits::Limits, model::FindingCode, model::Severity, parse::parse};

    fn is_ambiguous(content_type: &str, body: &str) -> bool {
        let raw = format!("From: a@b.example\nContent-Type: {content_type}\n\n{body}").replace('\n', "\r\n");
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let mut damaged = mail.findings.iter().filter(|finding| finding.code == FindingCode::BoundaryDamaged);
        damaged.any(|finding| finding.severity == Severity::Ambiguous)
    }

    /// Each boundary is one that `mail-parser` reads as `b1`, so that the mail has parts to it.
    #[test]
    fn a_boundary_that_some_reader_takes_for_another_is_ambiguous() {
        for (content_type, expected) in [
            ("multipart/mixed; boundary=b1", false),
            ("multipart/mixed; boundary=\"b1\"", false),
            ("Multipart/Mixed;\n\tcharset=\"a;b\";\n\tBoundary=\"b1\"; x=\"y\"", false),
            ("multipart/mixed (comment); boundary=b1", false),
            ("multipart/mixed; boundary = b1 ;", false),
            ("multipart/mixed; boundary=\"b\\1\"", true),
            ("multipart/mixed; boundary=\"b1\"x", true),
            ("multipart/mixed; boundary=b1 (comment)", true),
            ("multipart/mixed; (comment) boundary=b1", true),
            ("multipart/mixed; x=(; boundary=zz); boundary=b1", true),
            ("multipart/mixed; x=\"a\\\"; boundary=zz; y=\"; boundary=b1", true),
            ("multipart/mixed; boundary*0*=us-ascii''b%31", true),
            ("multipart/mixed; boundary*=us-ascii''b1; boundary=zz", true),
            ("multipart/mixed; boundary=\"=?us-ascii?q?b1?=\"", true),
        ] {
            assert_eq!(is_ambiguous(content_type, "--b1\n\nx\n--b1--\n"), expected, "{content_type}");
        }
        // What is no token stands without quotation marks in much mail.
        assert!(!is_ambiguous("multipart/mixed; boundary=----=_P/1:2?", "------=_P/1:2?\n\nx\n------=_P/1:2?--\n"));
    }

    #[test]
    fn a_boundary_inside_its_like_is_ambiguous() {
        let mail = |kind: &str, inner: &str| {
            let body = format!("--b1\nContent-Type: {kind}boundary={inner}\n\n--{inner}\n\nx\n--{inner}--\n\n--b1--\n");
            is_ambiguous("multipart/mixed; boundary=b1", &body)
        };
        let forwarded = "message/rfc822\n\nContent-Type: multipart/mixed; ";
        assert!(mail("multipart/alternative; ", "b1") && mail(forwarded, "b1"));
        assert!(!mail("multipart/alternative; ", "b2") && !mail(forwarded, "b2"));
        let sibling = "--b1\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\nx\n--b2--\n";
        assert!(!is_ambiguous("multipart/mixed; boundary=b1", &format!("{sibling}{sibling}--b1--\n")));
    }
}
