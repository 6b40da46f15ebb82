//! What is wrong with the structure of a mail, part by part.
//!
//! A finding is [`Severity::Ambiguous`] where two careful readers can disagree about which bytes are a part's
//! content, and [`Severity::Warning`] where the structure is damaged and yet everybody reads it alike: a closing
//! boundary that is missing at the end of the mail, or an inner multipart that the outer boundary ends (RFC 2046
//! §5.1.2), as in the truncated originals that bounces carry.

use mail_parser::decoders::charsets::Charset;
use mail_parser::{Encoding, HeaderName, Message, MessagePart, PartFlags};
use memchr::memchr_iter;

use super::findings::Findings;
use super::limits::Limits;
use super::mime::{disposition_damage, repeated_parameters, type_damage, unknown_encoding};
use super::model::{FindingCode, Severity};
use super::parts::type_of;
use super::{boundary, fields};

/// MIME fields that may stand once, with how bad it is when they stand twice and differ.
const MIME_FIELDS: [(HeaderName<'static>, Severity); 4] = [
    (HeaderName::ContentType, Severity::Ambiguous),
    (HeaderName::ContentTransferEncoding, Severity::Ambiguous),
    (HeaderName::ContentDisposition, Severity::Ambiguous),
    (HeaderName::ContentId, Severity::Warning),
];

/// Notes what is wrong with every part.
pub(super) fn check(message: &Message<'_>, limits: &Limits, findings: &mut Findings) {
    let is_full = message.parts().len() >= limits.parts;
    for part in message.parts() {
        let place = place(&part);
        check_limits(&part, is_full, &place, findings);
        check_boundaries(&part, &place, findings);
        check_header_block(&part, &place, findings);
        check_mime_fields(&part, &place, findings);
        fields::check_names(&part, &place, findings);
        check_type(&part, &place, findings);
    }
}

/// How a part is named in findings: its number in document order.
pub(super) fn place(part: &MessagePart<'_>) -> String {
    format!("part {}", part.id() + 1)
}

/// Whether the parser stopped at the parts limit.
pub(super) fn stopped_at_parts(message: &Message<'_>, limits: &Limits) -> bool {
    let at_limit = |part: MessagePart<'_>| part.flags().contains(PartFlags::LIMIT_REACHED);
    message.parts().len() >= limits.parts && message.parts().any(at_limit)
}

fn check_limits(part: &MessagePart<'_>, is_full: bool, place: &str, findings: &mut Findings) {
    let flags = part.flags();
    if flags.contains(PartFlags::LIMIT_REACHED) {
        let code = if is_full { FindingCode::PartsExceeded } else { FindingCode::DepthExceeded };
        findings.add(code, Severity::Ambiguous, place);
    }
    if flags.contains(PartFlags::NESTING_LIMIT) {
        findings.add(FindingCode::DepthExceeded, Severity::Ambiguous, place);
    }
}

fn check_boundaries(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    let flags = part.flags();
    let is_guessed = flags.contains(PartFlags::FALLBACK_DELIMITER) && !ends_its_source(part);
    let severity = if is_guessed || is_unopened(part) || boundary::is_read_in_two_ways(part) {
        Severity::Ambiguous
    } else if flags.intersects(PartFlags::FALLBACK_DELIMITER | PartFlags::MISSING_DELIMITER | PartFlags::UNTERMINATED)
        || declares_multipart(part) && !part.is_multipart()
    {
        Severity::Warning
    } else {
        return;
    };
    findings.add(FindingCode::BoundaryDamaged, severity, place);
}

/// Whether nothing follows a leaf but the delimiter that closes its multipart: then the last line of the content
/// is all that readers can disagree about.
fn ends_its_source(part: &MessagePart<'_>) -> bool {
    let source = part.message().source_bytes();
    let rest = source.get(part.offset_end() as usize..).unwrap_or_default().trim_ascii();
    let rest = rest.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(part.delimiter()?.as_bytes()));
    !part.is_multipart() && rest == Some(b"--")
}

/// Whether a multipart has content and no parts: its boundary is missing, empty, or closes before it opens. The line that
/// closes it alone is no content.
fn is_unopened(part: &MessagePart<'_>) -> bool {
    let has_parts = part.is_multipart() && part.children().len() > 0;
    let was_limited = part.flags().contains(PartFlags::LIMIT_REACHED);
    let body = part.raw_body().trim_ascii();
    let closing = part.boundary().filter(|boundary| !boundary.is_empty()).map(|boundary| format!("--{boundary}--"));
    let is_empty = body.is_empty() || closing.is_some_and(|closing| body == closing.as_bytes());
    declares_multipart(part) && !has_parts && !was_limited && !is_empty
}

/// Whether a part says that it is a multipart, also where its type cannot be read but names a boundary.
fn declares_multipart(part: &MessagePart<'_>) -> bool {
    match part.content_type() {
        Some(content_type) => content_type.ctype() == "multipart",
        None => part.headers().get(HeaderName::ContentType).is_some_and(|header| {
            memchr::memmem::find(&header.raw_value().to_ascii_lowercase(), b"boundary").is_some()
        }),
    }
}

fn check_header_block(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    let is_mail = part.message().id() == 0 && part.parent().is_none();
    let severity = match HeaderBlock::of(part.raw_headers(), is_mail) {
        HeaderBlock::Broken => Severity::Ambiguous,
        HeaderBlock::SpacedEnd if is_field(first_line(part.raw_body())) => Severity::Ambiguous,
        HeaderBlock::SpacedEnd => Severity::Warning,
        HeaderBlock::Clean if part.flags().contains(PartFlags::NO_BLANK_LINE) => Severity::Warning,
        HeaderBlock::Clean => return,
    };
    findings.add(FindingCode::PartHeadersDamaged, severity, place);
}

/// How a header block looks to a reader who takes RFC 5322 §2.2 at its word.
enum HeaderBlock {
    Clean,
    /// It holds a line that is no field, or white space alone: some readers begin the body there.
    Broken,
    /// The line that ends it holds white space: some readers take it for a continuation.
    SpacedEnd,
}

impl HeaderBlock {
    fn of(block: &[u8], is_mail: bool) -> Self {
        let mut start = 0;
        for end in memchr_iter(b'\n', block).chain([block.len()]) {
            let line = block.get(start..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let is_first = start == 0;
            start = end + 1;
            if line.is_empty() {
                return Self::Clean;
            }
            if line.trim_ascii().is_empty() {
                let rest = block.get(start..).unwrap_or_default();
                return if rest.trim_ascii().is_empty() { Self::SpacedEnd } else { Self::Broken };
            }
            let is_fold = !is_first && matches!(line.first(), Some(b' ' | b'\t'));
            let is_envelope = is_first && is_mail && (line.starts_with(b"From ") || line.starts_with(b">From "));
            if !is_fold && !is_envelope && !is_field(line) {
                return Self::Broken;
            }
        }
        Self::Clean
    }
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn first_line(body: &[u8]) -> &[u8] {
    body.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

fn check_mime_fields(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    let headers = part.headers();
    for (name, severity) in MIME_FIELDS {
        let mut values = headers.all(name).map(|header| header.raw_value().trim_ascii());
        let Some(first) = values.next() else { continue };
        let Some(second) = values.next() else { continue };
        let differ = first != second || values.any(|other| other != first);
        findings.add(FindingCode::ParameterConflict, if differ { severity } else { Severity::Warning }, place);
    }
    for name in [HeaderName::ContentType, HeaderName::ContentDisposition] {
        for header in headers.all(name) {
            if let Some(severity) = repeated_parameters(header.raw_value()) {
                findings.add(FindingCode::ParameterConflict, severity, place);
            }
        }
    }
    if part.is_multipart() && part.encoding() != Encoding::None {
        findings.add(FindingCode::EncodingConflict, Severity::Warning, place);
    }
    if !part.has_known_transfer_encoding() {
        let written = headers.get(HeaderName::ContentTransferEncoding).map_or(&b""[..], |header| header.raw_value());
        findings.add(FindingCode::EncodingConflict, unknown_encoding(written), place);
    }
}

/// Whether type, disposition and character set are ones that can be read, and the type one that is all here. What is no type is text to some readers and a
/// file to others.
fn check_type(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    let declared = part.content_type();
    for header in part.headers().all(HeaderName::ContentType) {
        if let Some(severity) = type_damage(header.raw_value()) {
            findings.add(FindingCode::ContentTypeUnreadable, severity, place);
        }
    }
    for header in part.headers().all(HeaderName::ContentDisposition) {
        if let Some(severity) = disposition_damage(header.raw_value()) {
            findings.add(FindingCode::DispositionUnreadable, severity, place);
        }
    }
    match &*type_of(part) {
        "message/partial" => findings.add(FindingCode::MessagePartial, Severity::Warning, place),
        "message/external-body" => findings.add(FindingCode::ExternalBody, Severity::Warning, place),
        _ => {}
    }
    let charset = declared.and_then(|declared| declared.attribute("charset"));
    if part.is_text() && charset.is_some_and(|label| Charset::from_label(label.as_bytes()).is_none()) {
        findings.add(FindingCode::CharsetDamaged, Severity::Info, place);
    }
}
