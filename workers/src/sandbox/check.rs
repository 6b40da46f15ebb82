//! Whether an answer can be true: a child that a mail took over may say anything.
//!
//! What is checked here is what the parent relies on: ranges within the raw mail, counts, lengths, and that no
//! text of ours (places, content types) carries a text of the mail.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::containers::{MAX_PATH, Walked};
use crate::mail::addr_spec::MAX_ADDRESS;
use crate::mail::decode::Encoding;
use crate::mail::facts;
use crate::mail::fields::{MAX_FIELD_NAME, MAX_LINE, MAX_MAILBOXES};
use crate::mail::findings::MAX_PER_CODE;
use crate::mail::intent::MAX_ARGUMENT;
use crate::mail::limits::Limits;
use crate::mail::model::{Finding, FindingCode, HeaderField, Intent, Mailbox, Node, ParsedMail, Part};
use crate::mail::names::{MAX_NAME, is_hidden};
use crate::mail::parse::Refusal;
use crate::mail::parts::{MAX_CONTENT_TYPE, MAX_RAW_NAME};
use crate::mail::sanitise::MAX_GROWTH;

/// The most findings in all.
const MAX_FINDINGS: usize = MAX_PER_CODE * FindingCode::ALL.len();
/// The longest name of a place, in bytes.
const MAX_PLACE: usize = 64;

/// What cannot be true of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[error("the answer's {0} cannot be true")]
pub struct Untrue(pub &'static str);

/// Checks what is said to come of parsing `raw_len` bytes.
///
/// # Errors
/// The first thing that cannot be true.
pub fn parse(answer: Result<&ParsedMail, &Refusal>, raw_len: u64, limits: &Limits) -> Result<(), Untrue> {
    match answer {
        Err(refusal) => holds(is_place(&refusal.place), "place"),
        Ok(mail) => check_mail(mail, raw_len, limits),
    }
}

/// Checks what is said to come of a walk.
///
/// # Errors
/// The first thing that cannot be true.
pub fn walked(answer: &Walked) -> Result<(), Untrue> {
    let obstacles = &answer.obstacles;
    let is_path = |path: &str| path.len() <= MAX_PATH && !path.chars().any(is_hidden);
    let is_first = |at: usize| {
        obstacles.iter().take(at).all(|o| Some(o.code.class()) != obstacles.get(at).map(|o| o.code.class()))
    };
    holds((0..obstacles.len()).all(is_first), "obstacles")?;
    holds(obstacles.iter().all(|obstacle| is_path(obstacle.member.expose())), "member")?;
    let codes: BTreeSet<FindingCode> = answer.noticed.iter().map(|noticed| noticed.code).collect();
    let are_of_files = codes.iter().all(|code| code.is_about_a_file());
    holds(are_of_files && codes.len() == answer.noticed.len(), "members' types")
}

fn check_mail(mail: &ParsedMail, raw_len: u64, limits: &Limits) -> Result<(), Untrue> {
    holds(mail.raw.len == raw_len, "length")?;
    let is_line = |text: &Option<shared::pii::Pii<String>>| text.as_ref().is_none_or(|t| t.expose().len() <= MAX_LINE);
    holds(is_line(&mail.message_id) && is_line(&mail.subject), "identifiers")?;
    for list in [&mail.from, &mail.sender, &mail.reply_to, &mail.to, &mail.cc, &mail.bcc] {
        holds(list.len() <= MAX_MAILBOXES && list.iter().all(is_mailbox), "mailboxes")?;
    }
    let total: usize = mail.headers.iter().map(|field| field.name.len() + field.value.expose().len()).sum();
    let are_bounded = mail.headers.len() <= limits.fields && total <= limits.fields_total;
    holds(are_bounded && mail.headers.iter().all(|field| is_field(field, limits)), "headers")?;
    let is_text =
        |text: &Option<shared::pii::Pii<String>>| text.as_ref().is_none_or(|t| t.expose().len() <= limits.text);
    holds(is_text(&mail.text) && is_text(&mail.reply), "text")?;
    let max_html = limits.html.saturating_mul(MAX_GROWTH);
    holds(mail.html.as_ref().is_none_or(|html| html.expose().len() <= max_html), "html")?;
    // One more than the parser's own: the rest of a mail whose parts it stopped counting.
    holds(
        mail.parts.len() <= limits.parts + 1 && mail.parts.iter().all(|part| is_part(part, raw_len, limits)),
        "parts",
    )?;
    holds(is_affordable(&mail.parts, raw_len, limits), "work")?;
    holds(mail.structure.len() <= limits.parts && mail.structure.iter().all(|node| is_node(node, mail)), "structure")?;
    holds(mail.findings.len() <= MAX_FINDINGS && mail.findings.iter().all(is_finding), "findings")?;
    holds(mail.tags.is_empty(), "tags")?;
    holds(mail.intent.as_ref().is_none_or(is_intent), "intent")?;
    holds(mail.evidence.as_ref().is_none_or(|evidence| evidence.is_bounded()), "evidence")?;
    holds(mail.authentication.is_none(), "authentication")
}

fn holds(condition: bool, what: &'static str) -> Result<(), Untrue> {
    if condition { Ok(()) } else { Err(Untrue(what)) }
}

fn is_mailbox(mailbox: &Mailbox) -> bool {
    mailbox.address.expose().len() <= MAX_ADDRESS && mailbox.name.as_ref().is_none_or(|n| n.expose().len() <= MAX_NAME)
}

fn is_field(field: &HeaderField, limits: &Limits) -> bool {
    let name = &field.name;
    name.len() <= MAX_FIELD_NAME
        && name.bytes().all(|b| b.is_ascii_graphic())
        && field.value.expose().len() <= limits.field
}

/// What reading all parts costs, each from its outermost range on. Leaves do not overlap, but for the rest of a mail
/// whose parts the parser stopped counting; those inside encoded messages share what holds them.
fn is_affordable(parts: &[Part], raw_len: u64, limits: &Limits) -> bool {
    let cost = |are_inside: bool| {
        let chosen = parts.iter().filter(|part| (part.address.0.len() > 1) == are_inside);
        chosen.filter_map(|part| part.address.0.first()).fold(0_u64, |sum, outer| sum.saturating_add(outer.len()))
    };
    cost(false) <= raw_len.saturating_mul(2) && cost(true) <= limits.encoded_work
}

fn is_node(node: &Node, mail: &ParsedMail) -> bool {
    let is_leaf = node.part.is_none_or(|part| part < mail.parts.len());
    is_leaf && node.depth < mail.structure.len() && is_type(&node.content_type)
}

/// Whether this can be a content type of ours: none of them holds more than a token, a slash and a token.
fn is_type(text: &str) -> bool {
    text.len() <= MAX_CONTENT_TYPE && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/!#$&-^_.+".contains(&b))
}

fn is_part(part: &Part, raw_len: u64, limits: &Limits) -> bool {
    let path = &part.address.0;
    let (Some(outer), Some(inner)) = (path.first(), path.last()) else { return false };
    let fits = path.len() <= limits.encoded_nesting + 1
        && outer.end <= raw_len
        && path.windows(2).all(|pair| matches!(pair, [outer, inner] if inner.end <= outer.len()))
        && path.iter().all(|segment| segment.start <= segment.end)
        && part.content.len <= inner.len()
        && (inner.encoding != Encoding::Identity || part.content.len == inner.len());
    let is_short = |text: &Option<shared::pii::Pii<String>>, max| text.as_ref().is_none_or(|t| t.expose().len() <= max);
    let names = is_short(&part.name, MAX_NAME) && is_short(&part.raw_name, MAX_RAW_NAME);
    let facts = part.facts.invitation.as_ref().is_none_or(|invitation| facts::is_bounded(invitation));
    let types = is_type(&part.content_type) && part.detected_type.as_deref().is_none_or(is_type);
    fits && types && names && facts && is_short(&part.content_id, MAX_LINE)
}

fn is_finding(finding: &Finding) -> bool {
    is_place(&finding.place)
}

/// Whether this can be the name of a place: none of them holds more than our own few words and a number.
fn is_place(place: &str) -> bool {
    place.len() <= MAX_PLACE && place.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'.'))
}

fn is_intent(intent: &Intent) -> bool {
    let is_command = (1..=32).contains(&intent.command.len())
        && intent.command.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    is_command && intent.argument.as_ref().is_none_or(|argument| argument.expose().len() <= MAX_ARGUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::{Code, Kind, Noticed, Obstacle};
    use crate::mail::decode::{PartAddress, Segment};
    use crate::mail::facts::{Facts, Invitation, MAX_TEXT};
    use crate::mail::model::Severity;
    use crate::mail::parse::parse;

    const RAW: &[u8] = b"From: a@b.example\r\nSubject: Deploy: now\r\nContent-Type: text/plain\r\n\r\nhello\r\n";

    fn verdict(change: impl FnOnce(&mut ParsedMail)) -> Result<(), Untrue> {
        let limits = Limits::default();
        let mut mail = parse(RAW, &limits, &[]).unwrap();
        change(&mut mail);
        super::parse(Ok(&mail), RAW.len() as u64, &limits)
    }

    #[test]
    fn an_honest_answer_passes() {
        assert_eq!(verdict(|_| {}), Ok(()));
    }

    #[test]
    fn a_walk_says_each_class_once_and_names_that_can_be_shown() {
        let obstacle = |code, member: &str| Obstacle { code, kind: Kind::Zip, member: member.to_owned().into() };
        let verdict = |obstacles| walked(&Walked { obstacles, members: 1, expanded: 1, ..Walked::default() });
        let honest = vec![obstacle(Code::Encrypted, "a / b.txt"), obstacle(Code::TooDeep, "")];
        assert_eq!(verdict(honest), Ok(()));
        let twice = vec![obstacle(Code::Damaged, ""), obstacle(Code::Hidden, "")];
        assert_eq!(verdict(twice), Err(Untrue("obstacles")));
        for name in ["x".repeat(MAX_PATH + 1), "a\u{202e}b".to_owned(), "a\nb".to_owned()] {
            assert_eq!(verdict(vec![obstacle(Code::Damaged, &name)]), Err(Untrue("member")), "{name}");
        }
        let noticed = |codes: &[FindingCode]| {
            let noticed = codes.iter().map(|code| Noticed { code: *code, kind: Kind::Zip }).collect();
            walked(&Walked { noticed, ..Walked::default() })
        };
        let (program, script) = (FindingCode::ExecutableAttachment, FindingCode::ScriptAttachment);
        assert_eq!(noticed(&[program, script]), Ok(()));
        for untrue in [[program, program], [program, FindingCode::BlockedSender]] {
            assert_eq!(noticed(&untrue), Err(Untrue("members' types")));
        }
    }

    #[test]
    fn a_lie_is_caught_by_what_it_is_about() {
        let segment = |start, end| Segment { start, end, encoding: Encoding::Base64 };
        let len = RAW.len() as u64;
        for (path, why) in [
            (vec![], "no path"),
            (vec![segment(0, len + 1)], "beyond the mail"),
            (vec![segment(9, 8)], "reversed"),
            (vec![segment(0, len), segment(0, len + 1)], "beyond the outer part"),
            (vec![segment(0, len); 9], "too deep"),
            (vec![segment(0, 3)], "shorter than its content"),
        ] {
            assert_eq!(verdict(|mail| mail.parts[0].address = PartAddress(path)), Err(Untrue("parts")), "{why}");
        }
        assert_eq!(verdict(|mail| mail.raw.len += 1), Err(Untrue("length")));
        assert_eq!(verdict(|mail| mail.parts = vec![mail.parts[0].clone(); 1_002]), Err(Untrue("parts")));
        assert_eq!(verdict(|mail| mail.parts = vec![mail.parts[0].clone(); 900]), Err(Untrue("work")));
        let inside = PartAddress(vec![segment(0, len), segment(0, 10)]);
        let work = |mail: &mut ParsedMail, limit: u64| {
            mail.parts[0].address = inside.clone();
            mail.parts = vec![mail.parts[0].clone(); usize::try_from(limit / len).unwrap() + 1];
        };
        let limits = Limits { encoded_work: 900 * len, ..Limits::default() };
        let mut mail = parse(RAW, &limits, &[]).unwrap();
        work(&mut mail, limits.encoded_work);
        assert_eq!(super::parse(Ok(&mail), len, &limits), Err(Untrue("work")), "inside an encoded message");
        assert_eq!(verdict(|mail| mail.parts[0].content_type = "a b@c".to_owned()), Err(Untrue("parts")));
        assert_eq!(verdict(|mail| mail.parts[0].detected_type = Some("a b@c".to_owned())), Err(Untrue("parts")));
        assert_eq!(verdict(|mail| mail.text = Some("x".repeat(2 << 20).into())), Err(Untrue("text")));
        assert_eq!(verdict(|mail| mail.reply = Some("x".repeat(2 << 20).into())), Err(Untrue("text")));
        assert_eq!(verdict(|mail| mail.parts[0].raw_name = Some("x".repeat(2_000).into())), Err(Untrue("parts")));
        let invitation = Invitation { summary: Some("x".repeat(MAX_TEXT + 1).into()), ..Invitation::default() };
        let facts = Facts { invitation: Some(Box::new(invitation)), image: None };
        assert_eq!(verdict(|mail| mail.parts[0].facts = facts), Err(Untrue("parts")));
        assert_eq!(verdict(|mail| mail.html = Some("x".repeat(17 << 20).into())), Err(Untrue("html")));
        assert_eq!(verdict(|mail| mail.subject = Some("x".repeat(999).into())), Err(Untrue("identifiers")));
        assert_eq!(verdict(|mail| mail.headers[0].name = "a b".to_owned()), Err(Untrue("headers")));
        assert_eq!(verdict(|mail| mail.from[0].address = "x".repeat(999).into()), Err(Untrue("mailboxes")));
        assert_eq!(verdict(|mail| mail.intent.as_mut().unwrap().command = "A".to_owned()), Err(Untrue("intent")));
        assert_eq!(verdict(|mail| mail.structure[0].content_type = "a b@c".to_owned()), Err(Untrue("structure")));
        assert_eq!(verdict(|mail| mail.structure[0].part = Some(7)), Err(Untrue("structure")));
        assert_eq!(verdict(|mail| mail.tags.push(FindingCode::FromMissing)), Err(Untrue("tags")));
        let finding =
            Finding { code: FindingCode::FromMissing, severity: Severity::Info, place: "a@b.example".to_owned() };
        assert_eq!(verdict(|mail| mail.findings.push(finding)), Err(Untrue("findings")));
    }
}
