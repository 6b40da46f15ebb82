//! The header section: what stands in it, bounded and safe to show, and what is wrong with it.

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use mail_parser::{HeaderForm, HeaderName, Headers, MessagePart};
use shared::pii::Pii;

use super::addr_spec::MAX_ADDRESS;
use super::address_fields::AddressFields;
use super::findings::Findings;
use super::limits::Limits;
use super::model::{FindingCode, HeaderField, Mailbox, Severity};
use super::names::{MAX_NAME, cut, visible};
use super::{addresses, mailboxes::Written, scripts};

/// The most mailboxes that are kept of one field.
pub(crate) const MAX_MAILBOXES: usize = 1_000;
/// The longest subject or identifier that is kept, in bytes (RFC 5322 §2.1.1).
pub(crate) const MAX_LINE: usize = 998;
/// The longest field name that is kept, in bytes.
pub(crate) const MAX_FIELD_NAME: usize = 128;

/// Fields that may stand once (RFC 5322 §3.6), with how bad it is when they stand more often. Two `From` are the
/// classic way to show another sender than the one that was verified; the others happen in ordinary mail.
const SINGLETONS: [(&str, Severity); 11] = [
    ("From", Severity::Ambiguous),
    ("Sender", Severity::Warning),
    ("Reply-To", Severity::Warning),
    ("To", Severity::Warning),
    ("Cc", Severity::Warning),
    ("Bcc", Severity::Warning),
    ("Date", Severity::Warning),
    ("Subject", Severity::Warning),
    ("Message-ID", Severity::Warning),
    ("In-Reply-To", Severity::Info),
    ("References", Severity::Info),
];

/// Fields that decide who a mail is from or how it is read.
const DECISIVE: [&str; 7] =
    ["From", "Sender", "Reply-To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"];

/// Notes missing, repeated and unreadable fields of the mail itself.
pub(super) fn check(headers: &Headers<'_>, addresses: &AddressFields<'_>, findings: &mut Findings) {
    for (name, severity) in SINGLETONS {
        if headers.all(name).nth(1).is_some() {
            findings.add(FindingCode::RepeatedHeader, severity, format!("header {name}"));
        }
    }
    if headers.is_empty() {
        findings.add(FindingCode::HeadersMissing, Severity::Ambiguous, "headers");
    } else {
        addresses::check(addresses, findings);
        check_date(headers, findings);
    }
}

fn check_date(headers: &Headers<'_>, findings: &mut Findings) {
    if !headers.contains("Date") {
        findings.add(FindingCode::DateMissing, Severity::Info, "headers");
    } else if date(headers).is_none() {
        findings.add(FindingCode::DateUnreadable, Severity::Warning, "header Date");
    }
}

/// Notes names of fields that some readers take for another name, or for no field. One that may be a decisive field's
/// is read in two ways.
pub(super) fn check_names(part: &MessagePart<'_>, place: &str, findings: &mut Findings) {
    let source = part.message().source_bytes();
    for (index, header) in part.headers().iter().enumerate() {
        // As written: the parser leaves out white space before the colon.
        let (start, end) = (header.offset_field() as usize, header.offset_start() as usize);
        let written = source.get(start..end.saturating_sub(1)).unwrap_or_default();
        // The envelope line of an mbox has colons in its time, and is no field.
        let is_envelope = index == 0 && written.starts_with(b"From ") && written.trim_ascii_end().len() > 4;
        if is_envelope || !written.is_empty() && written.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        let visible: Vec<u8> = written.iter().copied().filter(u8::is_ascii_graphic).collect();
        let is_decisive = DECISIVE.iter().any(|known| visible.eq_ignore_ascii_case(known.as_bytes()));
        let severity = if is_decisive { Severity::Ambiguous } else { Severity::Warning };
        findings.add(FindingCode::FieldNameDamaged, severity, place);
    }
}

/// The fields in order, for rules that match on a header.
pub(super) fn collect(headers: &Headers<'_>, limits: &Limits, findings: &mut Findings) -> Vec<HeaderField> {
    let mut total = 0;
    let mut fields = Vec::with_capacity(headers.len().min(limits.fields));
    for header in headers {
        let raw = header.raw_value();
        if raw.len() > limits.field {
            findings.add(FindingCode::HeadersExceeded, Severity::Warning, "header value");
        }
        let parsed = HeaderForm::Text.parse(raw.get(..limits.field).unwrap_or(raw));
        let text = visible(parsed.value().as_text().unwrap_or_default()).0;
        let value = cut(text.trim(), limits.field).to_owned();
        let name = field_name(header.raw_name());
        total += name.len() + value.len();
        if fields.len() >= limits.fields || total > limits.fields_total {
            findings.add(FindingCode::HeadersExceeded, Severity::Ambiguous, "headers");
            break;
        }
        fields.push(HeaderField { name, value: Pii::new(value) });
    }
    fields
}

/// A field's name as written; what RFC 5322 §2.2 does not allow in one becomes `?`.
fn field_name(name: &str) -> String {
    name.chars().take(MAX_FIELD_NAME).map(|c| if c.is_ascii_graphic() && c != ':' { c } else { '?' }).collect()
}

/// The mailboxes of a field. The second of two fields of that name is what is read, as `mail-parser` does.
pub(super) fn mailboxes(fields: &AddressFields<'_>, name: &'static str, findings: &mut Findings) -> Vec<Mailbox> {
    let Some(field) = fields.named(name).next_back() else { return Vec::new() };
    let place = &format!("header {name}");
    let mut shown = |text: &str, max: usize| {
        scripts::check(text, place, findings);
        let (text, _) = visible(text);
        Some(cut(text.trim(), max)).filter(|text| !text.is_empty()).map(|text| Pii::new(text.to_owned()))
    };
    let mailbox = |mailbox: &Written<'_>| {
        let address = shown(mailbox.address.as_deref()?, MAX_ADDRESS)?;
        Some(Mailbox { name: mailbox.name.as_deref().and_then(|name| shown(name, MAX_NAME)), address })
    };
    field.boxes.list.iter().filter_map(mailbox).collect()
}

/// `Subject`, decoded and safe to show.
pub(super) fn subject(headers: &Headers<'_>, findings: &mut Findings) -> Option<Pii<String>> {
    scripts::check(headers.subject()?, "header Subject", findings);
    let (text, _) = visible(headers.subject()?);
    Some(Pii::new(cut(text.trim(), MAX_LINE).to_owned()))
}

/// `Date`, where it can be read. The parser of dates alone also knows forms without seconds (RFC 5322 §3.3).
pub(super) fn date(headers: &Headers<'_>) -> Option<Timestamp> {
    let date = headers.date().filter(mail_parser::DateTime::is_valid);
    let known = date.and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
    known.or_else(|| {
        let written = headers.get("Date")?.raw_value();
        DateTimeParser::new().relaxed_weekday(true).parse_timestamp(written.trim_ascii()).ok()
    })
}

/// An identifier such as `Message-ID`, without hidden characters.
pub(super) fn identifier(text: Option<&str>) -> Option<Pii<String>> {
    let text = visible(text?).0;
    Some(cut(text.trim(), MAX_LINE)).filter(|text| !text.is_empty()).map(|text| Pii::new(text.to_owned()))
}

/// `Message-ID`.
pub(super) fn message_id(headers: &Headers<'_>) -> Option<Pii<String>> {
    identifier(headers.value(HeaderName::MessageId)?.as_text())
}
