//! The leaf parts: where each is, what it is, and the digest of what our decoder makes of it.
//!
//! Every leaf with bytes is listed, those of nested messages too. What the parser did not open, because of a
//! limit or a damaged boundary, is listed as one binary leaf, so that nothing is left unscanned.

use mail_parser::{Message, MessagePart, MessageRef, PartFlags, PartKind, PartRole as TheirRole, Source};
use sha2::{Digest as _, Sha256};
use shared::pii::Pii;

use super::decode::{Damage, Decoder, Encoding, PartAddress, Segment};
use super::fields::identifier;
use super::findings::Findings;
use super::limits::Limits;
use super::model::{Digest, FindingCode, Part, PartRole, Severity};
use super::names::file_name;
use super::structure::{place, stopped_at_parts};

/// How much is decoded before it is hashed: small enough to stay in the cache.
const CHUNK: usize = 64 * 1024;
/// The longest content type that is kept, in bytes.
pub(crate) const MAX_CONTENT_TYPE: usize = 128;
const BINARY: &str = "application/octet-stream";

/// The leaf parts in document order.
pub(super) fn collect(message: &Message<'_>, limits: &Limits, findings: &mut Findings) -> Vec<Part> {
    let mut hasher = Hasher::default();
    let too_much = encoded_work(message) > limits.encoded_work;
    let mut parts = Vec::new();
    for part in message.parts().filter(|part| !(too_much && is_inside_encoded(part))) {
        let is_encoded_message = part.is_message() && part.encoding() != mail_parser::Encoding::None;
        let is_leaf = is_leaf(&part) || too_much && is_encoded_message;
        if !is_leaf && !is_encoded_message {
            continue;
        }
        let (content, damage) = hasher.digest(part.raw_body(), encoding(&part));
        note(&damage, &part, findings);
        if is_leaf && content.len > 0 {
            parts.push(describe(&part, address(message, &part), content));
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

fn describe(part: &MessagePart<'_>, address: PartAddress, content: Digest) -> Part {
    let (name, _) = part.attachment_name().map_or((None, false), file_name);
    Part {
        address,
        content,
        content_type: content_type(part),
        name: name.map(Pii::new),
        content_id: identifier(part.content_id()),
        role: role(part),
    }
}

/// The type of a leaf: what was not opened as the container that it says it is, is binary.
fn content_type(part: &MessagePart<'_>) -> String {
    let declared = type_of(part);
    if declared.starts_with("multipart/") { BINARY.to_owned() } else { declared }
}

/// `type/subtype`; what cannot be read is binary.
pub(super) fn type_of(part: &MessagePart<'_>) -> String {
    let Some(declared) = part.content_type() else {
        let is_default = part.is_text() && !part.headers().contains("Content-Type");
        return if is_default { "text/plain" } else { BINARY }.to_owned();
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
    Part {
        address: PartAddress(vec![segment]),
        content: hasher.digest(body, Encoding::Identity).0,
        content_type: BINARY.to_owned(),
        name: None,
        content_id: None,
        role: PartRole::Attachment,
    }
}

/// Decodes and hashes, keeping its buffer.
#[derive(Default)]
struct Hasher(Vec<u8>);

impl Hasher {
    fn digest(&mut self, bytes: &[u8], encoding: Encoding) -> (Digest, Damage) {
        if encoding == Encoding::Identity {
            return (digest(bytes), Damage::default());
        }
        let (mut decoder, mut sha256, mut len) = (Decoder::new(encoding), Sha256::new(), 0);
        let mut add = |decoded: &mut Vec<u8>| {
            len += decoded.len() as u64;
            sha256.update(&*decoded);
            decoded.clear();
        };
        for chunk in bytes.chunks(CHUNK) {
            decoder.push(chunk, &mut self.0);
            add(&mut self.0);
        }
        let damage = decoder.finish(&mut self.0);
        add(&mut self.0);
        (Digest { len, sha256: sha256.finalize().into() }, damage)
    }
}

/// Length and SHA-256 of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}
