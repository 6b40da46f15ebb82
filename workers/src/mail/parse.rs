//! Raw bytes to a [`ParsedMail`]. Runs in the sandbox's child only.
//!
//! Whatever the bytes are, the answer is a mail with its findings or a [`Refusal`]; the work is bounded by the
//! [`Limits`].

use std::collections::BTreeSet;

use mail_parser::{HeaderForm, HeaderName, Message, MessageParser};
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};
use shared::pii::Pii;
use thiserror::Error;

use crate::auth::evidence::{Evidence, Trust};

use super::address_fields::AddressFields;
use super::fields::{self, mailboxes};
use super::findings::Findings;
use super::limits::Limits;
use super::model::{Finding, FindingCode, ParsedMail, Part, Severity};
use super::{bytes, delimiters, embedded, file_names, intent, outline, parts, structure, text};

/// Why there is no mail at all in the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{code} ({place})")]
pub struct Refusal {
    /// The reason.
    pub code: RefusalCode,
    /// Where. Never a value from the mail.
    pub place: String,
}

/// The reasons to refuse bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// There are no bytes.
    #[error("the mail is empty")]
    Empty,
    /// More bytes than [`Limits::raw`].
    #[error("the mail is larger than the limit")]
    TooLarge,
    /// More in the header section than [`Limits::header_section`] or [`Limits::header_lines`].
    #[error("the header section is larger than the limit")]
    HeadersTooLarge,
    /// Neither a header field nor an empty line.
    #[error("there is no header section: not a mail")]
    NotAMail,
}

/// Parses a mail. `recipients` are those of the envelope.
///
/// # Errors
/// A [`Refusal`] where there is no mail in the bytes.
pub fn parse(raw: &[u8], limits: &Limits, recipients: &[Pii<String>]) -> Result<ParsedMail, Refusal> {
    parse_trusting(raw, limits, recipients, &Trust::default())
}

/// Parses a mail whose header some server's words in `trust` may stand in.
///
/// # Errors
/// A [`Refusal`] where there is no mail in the bytes.
pub fn parse_trusting(
    raw: &[u8],
    limits: &Limits,
    recipients: &[Pii<String>],
    trust: &Trust,
) -> Result<ParsedMail, Refusal> {
    let section = header_section(raw, limits)?;
    let message = parser(limits).parse(raw).ok_or_else(|| refusal(RefusalCode::NotAMail, "headers"))?;
    let mut findings = Findings::default();
    let addresses = AddressFields::read(&message.headers());
    fields::check(&message.headers(), &addresses, &mut findings);
    structure::check(&message, limits, &mut findings);
    bytes::check(&message, section.len(), &mut findings);
    delimiters::check(&message, &mut findings);
    file_names::check(&message, &mut findings);
    embedded::check(&message, &mut findings);
    let evidence = Evidence::collect(&message.headers(), &addresses, trust);
    Ok(ParsedMail {
        evidence: Some(Box::new(evidence)),
        ..assemble(&message, &addresses, limits, recipients, findings)
    })
}

/// The parts of a mail that is a file among others, and what could be read otherwise in it: nothing of its texts.
///
/// # Errors
/// A [`Refusal`] where there is no mail in the bytes.
pub fn take_apart(raw: &[u8], limits: &Limits) -> Result<(Vec<Part>, Vec<Finding>), Refusal> {
    let section = header_section(raw, limits)?;
    let message = parser(limits).parse(raw).ok_or_else(|| refusal(RefusalCode::NotAMail, "headers"))?;
    let mut findings = Findings::default();
    structure::check(&message, limits, &mut findings);
    bytes::check(&message, section.len(), &mut findings);
    delimiters::check(&message, &mut findings);
    embedded::check(&message, &mut findings);
    let parts = parts::collect(&message, limits, &BTreeSet::new(), &mut findings);
    Ok((parts, findings.into_vec()))
}

fn assemble(
    message: &Message<'_>,
    addresses: &AddressFields<'_>,
    limits: &Limits,
    recipients: &[Pii<String>],
    mut findings: Findings,
) -> ParsedMail {
    let headers = message.headers();
    let bodies = text::bodies(&message.root(), limits, &mut findings);
    let subject = fields::subject(&headers, &mut findings);
    if bodies.text.as_ref().is_some_and(|text| text.expose().contains(char::REPLACEMENT_CHARACTER)) {
        findings.add(FindingCode::CharsetDamaged, Severity::Info, "text");
    }
    let body = bodies.reply.as_ref().or(bodies.text.as_ref()).map(|text| text.expose().as_str());
    let parts = parts::collect(message, limits, &bodies.references, &mut findings);
    let mut boxes = |name| mailboxes(addresses, name, &mut findings);
    let (to, cc, bcc) = (boxes("To"), boxes("Cc"), boxes("Bcc"));
    // Commands go by the envelope; the header stands in where there is none.
    let named: Vec<Pii<String>> = [&to, &cc, &bcc].into_iter().flatten().map(|m| m.address.clone()).collect();
    let recipients = if recipients.is_empty() { &named } else { recipients };
    ParsedMail {
        raw: parts::digest(message.raw()),
        message_id: fields::message_id(&headers),
        date: fields::date(&headers),
        from: boxes("From"),
        sender: boxes("Sender"),
        reply_to: boxes("Reply-To"),
        to,
        cc,
        bcc,
        intent: intent::find(recipients, subject.as_ref().map(|subject| subject.expose().as_str()), body),
        headers: fields::collect(&headers, limits, &mut findings),
        structure: outline::of(message, &parts),
        parts,
        subject,
        text: bodies.text,
        reply: bodies.reply,
        html: bodies.html,
        html_removed: bodies.removed,
        findings: findings.into_vec(),
        tags: Vec::new(),
        evidence: None,
        authentication: None,
    }
}

fn parser(limits: &Limits) -> MessageParser {
    // `Received` is kept as text: its parsed form is not used, and it is the dearest of all to parse.
    MessageParser::new()
        .header(HeaderName::Received, HeaderForm::Raw)
        .max_depth(limits.depth)
        .max_parts(limits.parts)
        .max_encoded_nesting(limits.encoded_nesting)
}

/// The header section, found and bounded by a scan that costs next to nothing.
fn header_section<'a>(raw: &'a [u8], limits: &Limits) -> Result<&'a [u8], Refusal> {
    if raw.is_empty() {
        return Err(refusal(RefusalCode::Empty, "mail"));
    }
    if raw.len() > limits.raw {
        return Err(refusal(RefusalCode::TooLarge, "mail"));
    }
    let window = raw.get(..=limits.header_section).unwrap_or(raw);
    let is_blank = |at: &usize| matches!(window.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..]));
    let end = memchr_iter(b'\n', window).find(is_blank).unwrap_or(window.len());
    let section = window.get(..end).unwrap_or_default();
    if section.len() > limits.header_section || memchr_iter(b'\n', section).count() > limits.header_lines {
        return Err(refusal(RefusalCode::HeadersTooLarge, "headers"));
    }
    Ok(section)
}

fn refusal(code: RefusalCode, place: &str) -> Refusal {
    Refusal { code, place: place.to_owned() }
}
