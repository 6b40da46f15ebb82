//! The leaf parts: where each is, what it is, and the digest of what our decoder makes of it.
//!
//! Every leaf with bytes is listed, those of nested messages too. What the parser did not open, because of a
//! limit or a damaged boundary, is listed as one binary leaf, so that nothing is left unscanned.

use std::collections::BTreeSet;

use mail_parser::{Message, MessagePart, MessageRef, PartFlags, PartKind, PartRole as TheirRole, Source};
use sha2::{Digest as _, Sha256};
use shared::pii::Pii;

use crate::containers::{Kind, Sniffer};

use super::decode::{Damage, Decoder, Encoding, PartAddress, Segment};
use super::facts::{self, Facts};
use super::fields::identifier;
use super::findings::Findings;
use super::limits::Limits;
use super::model::{Digest, Disposition, FindingCode, Part, PartRole, Severity};
use super::names::{cut, file_name};
use super::structure::{place, stopped_at_parts};
use super::truth;

/// How much is decoded before it is hashed: small enough to stay in the cache.
const CHUNK: usize = 64 * 1024;
/// The longest content type that is kept, in bytes.
pub(crate) const MAX_CONTENT_TYPE: usize = 128;
/// The longest file name that is kept as it was written, in bytes.
pub(crate) const MAX_RAW_NAME: usize = 1024;
const BINARY: &str = "application/octet-stream";

/// The leaf parts in document order.
///
/// `references` are the parts that the HTML shows, by `Content-ID`.
pub(super) fn collect(
    message: &Message<'_>,
    limits: &Limits,
    references: &BTreeSet<String>,
    findings: &mut Findings,
) -> Vec<Part> {
    let mut hasher = Hasher::default();
    let too_much = encoded_work(message) > limits.encoded_work;
    let mut parts = Vec::new();
    for part in message.parts().filter(|part| !(too_much && is_inside_encoded(part))) {
        let is_encoded_message = part.is_message() && part.encoding() != mail_parser::Encoding::None;
        let is_leaf = is_leaf(&part) || too_much && is_encoded_message;
        if !is_leaf && !is_encoded_message {
            continue;
        }
        let (seen, damage) = hasher.look(part.raw_body(), encoding(&part));
        note(&damage, &part, findings);
        if is_leaf && seen.content.len > 0 {
            let described = describe(&part, address(message, &part), seen);
            let head = hasher.sniffer.head();
            let found = (described.role != PartRole::Body).then(|| truth::Found::of(head)).flatten();
            truth::check(&part, &described, head, found, findings);
            let is_shown = described.content_id.as_ref().is_some_and(|id| references.contains(id.expose()));
            let detected = found.and_then(|found| found.media_type());
            let facts = facts::read(&described.content_type, detected, head);
            parts.push(Part { is_shown, facts, detected_type: detected.map(str::to_owned), ..described });
        }
    }
    if too_much {
        findings.add(FindingCode::PartsExceeded, Severity::Ambiguous, "encoded messages");
    }
    if stopped_at_parts(message, limits) {
        parts.push(rest(message, &mut hasher));
    }
    parts
}

/// What reading every leaf inside encoded messages would cost: each is read from the outermost range on.
fn encoded_work(message: &Message<'_>) -> u64 {
    let inside = message.parts().filter(|part| is_leaf(part) && is_inside_encoded(part));
    inside.map(|part| address(message, &part).0.first().map_or(0, Segment::len)).sum()
}

fn is_inside_encoded(part: &MessagePart<'_>) -> bool {
    part.message().source() != Source::Raw
}

/// Whether a part holds bytes of its own: also a multipart that has no parts.
fn is_leaf(part: &MessagePart<'_>) -> bool {
    match part.kind() {
        PartKind::Message(_) => false,
        PartKind::Multipart => part.children().len() == 0 && !part.raw_body().is_empty(),
        _ => true,
    }
}

/// The encoding that a part is read with. None applies to a multipart (RFC 2045 §6.4).
fn encoding(part: &MessagePart<'_>) -> Encoding {
    if part.is_multipart() { Encoding::Identity } else { part.encoding().into() }
}

pub(super) fn address(message: &Message<'_>, part: &MessagePart<'_>) -> PartAddress {
    let mut path = vec![segment(part)];
    let mut outer: MessageRef<'_> = part.message();
    while let Source::Decoded(container) = outer.source() {
        let Some(container) = message.part(container) else { break };
        path.push(segment(&container));
        outer = container.message();
    }
    path.reverse();
    PartAddress(path)
}

fn segment(part: &MessagePart<'_>) -> Segment {
    let end = u64::from(part.offset_end());
    Segment { start: u64::from(part.offset_body()).min(end), end, encoding: encoding(part) }
}

fn note(damage: &Damage, part: &MessagePart<'_>, findings: &mut Findings) {
    if !damage.is_clean() {
        let severity = if damage.conflicting { Severity::Ambiguous } else { Severity::Warning };
        findings.add(FindingCode::EncodingDamaged, severity, place(part));
    }
}

fn describe(part: &MessagePart<'_>, address: PartAddress, seen: Seen) -> Part {
    let written = part.attachment_name();
    let (name, _) = written.map_or((None, false), file_name);
    Part {
        address,
        content: seen.content,
        container: container(part, seen.container),
        content_type: content_type(part),
        detected_type: None,
        raw_name: written.filter(|w| name.as_deref() != Some(*w)).map(|w| Pii::new(cut(w, MAX_RAW_NAME).to_owned())),
        name: name.map(Pii::new),
        content_id: identifier(part.content_id()),
        disposition: disposition(part),
        role: role(part),
        is_shown: false,
        facts: Facts::default(),
    }
}

/// What the scan looks into a part as. Programs open a file as a mail by its name or the type that news has, whatever its
/// bytes are; without such a name a text that begins like a mail is a text.
fn container(part: &MessagePart<'_>, found: Option<Kind>) -> Option<Kind> {
    let is_news = || {
        part.content_type().is_some_and(|it| {
            it.ctype().eq_ignore_ascii_case("message")
                && it.subtype().is_some_and(|sub| sub.eq_ignore_ascii_case("news"))
        })
    };
    if truth::is_named_like_a_mail(part) || is_news() {
        Some(Kind::Mail)
    } else {
        found.filter(|kind| *kind != Kind::Mail)
    }
}

fn disposition(part: &MessagePart<'_>) -> Option<Disposition> {
    let kind = part.content_disposition()?.ctype();
    let known = [("inline", Disposition::Inline), ("attachment", Disposition::Attachment)];
    known.into_iter().find(|(name, _)| kind.eq_ignore_ascii_case(name)).map(|(_, disposition)| disposition)
}

/// The type of a leaf: what was not opened as the container that it says it is, is binary.
fn content_type(part: &MessagePart<'_>) -> String {
    let declared = type_of(part);
    if declared.starts_with("multipart/") { BINARY.to_owned() } else { declared }
}

/// `type/subtype`; what cannot be read is binary.
pub(super) fn type_of(part: &MessagePart<'_>) -> String {
    let Some(declared) = part.content_type() else {
        // What stands for none is a text, and in a digest a message (RFC 2046 §5.1.5).
        let is_default = !part.headers().contains("Content-Type");
        let default = if part.is_message() { "message/rfc822" } else { "text/plain" };
        return if is_default && (part.is_text() || part.is_message()) { default } else { BINARY }.to_owned();
    };
    let (main, sub) = (declared.ctype(), declared.subtype().unwrap_or_default());
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let fits = is_token(main) && is_token(sub) && main.len() + sub.len() < MAX_CONTENT_TYPE;
    if fits { format!("{main}/{sub}").to_ascii_lowercase() } else { BINARY.to_owned() }
}

fn role(part: &MessagePart<'_>) -> PartRole {
    let is_own = part.message().id() == 0;
    match part.role() {
        TheirRole::TextBody | TheirRole::HtmlBody | TheirRole::CopiedBody
            if is_own && part.is_text() && !part.flags().contains(PartFlags::LIMIT_REACHED) =>
        {
            PartRole::Body
        }
        TheirRole::MediaBody if is_own => PartRole::Inline,
        _ if part.is_inline() => PartRole::Inline,
        _ => PartRole::Attachment,
    }
}

/// All of the body, for when the parser stopped before its end.
fn rest(message: &Message<'_>, hasher: &mut Hasher) -> Part {
    let start = message.root_part().offset_body() as usize;
    let body = message.raw().get(start..).unwrap_or_default();
    let segment = Segment { start: start as u64, end: (start + body.len()) as u64, encoding: Encoding::Identity };
    let Seen { content, container } = hasher.look(body, Encoding::Identity).0;
    Part {
        address: PartAddress(vec![segment]),
        content,
        container,
        content_type: BINARY.to_owned(),
        detected_type: None,
        name: None,
        raw_name: None,
        content_id: None,
        disposition: None,
        role: PartRole::Attachment,
        is_shown: false,
        facts: Facts::default(),
    }
}

/// What a part's decoded bytes are.
struct Seen {
    content: Digest,
    container: Option<Kind>,
}

/// Decodes, hashes and sniffs, keeping its buffers.
#[derive(Default)]
struct Hasher {
    decoded: Vec<u8>,
    sniffer: Sniffer,
}

impl Hasher {
    fn look(&mut self, bytes: &[u8], encoding: Encoding) -> (Seen, Damage) {
        let Self { decoded, sniffer } = self;
        let (mut decoder, mut sha256, mut len) = (Decoder::new(encoding), Sha256::new(), 0);
        let mut add = |bytes: &[u8]| {
            len += bytes.len() as u64;
            sha256.update(bytes);
            sniffer.push(bytes);
        };
        let mut damage = Damage::default();
        for chunk in bytes.chunks(CHUNK) {
            if encoding == Encoding::Identity {
                add(chunk);
            } else {
                decoder.push(chunk, decoded);
                add(decoded);
                decoded.clear();
            }
        }
        if encoding != Encoding::Identity {
            damage = decoder.finish(decoded);
            add(decoded);
            decoded.clear();
        }
        let content = Digest { len, sha256: sha256.finalize().into() };
        (Seen { content, container: sniffer.finish() }, damage)
    }
}

/// Length and SHA-256 of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}
