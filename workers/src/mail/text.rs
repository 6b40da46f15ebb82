//! The bodies of a mail: the plain text, the reply in it and the sanitised HTML.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mail_parser::{MessagePart, MessageRef, PartKind, html_to_text, text_to_html};
use shared::pii::Pii;

use super::findings::Findings;
use super::limits::Limits;
use super::model::{FindingCode, Severity};
use super::names::cut;
use super::reply::reply;
use super::sanitise::{Removed, Sanitised, sanitise, text_of};

/// What a reader would see.
pub(super) struct Bodies {
    pub(super) text: Option<Pii<String>>,
    /// The text without quotes and signature, where that is another.
    pub(super) reply: Option<Pii<String>>,
    pub(super) html: Option<Pii<String>>,
    pub(super) removed: Removed,
    /// The parts that the HTML refers to, by `Content-ID`.
    pub(super) references: BTreeSet<String>,
}

/// The bodies of a message. Where there is no text part the text comes from the sanitised HTML, or, when that was
/// refused, from the beginning of the HTML as it was (as text it can do no harm).
pub(super) fn bodies(message: &MessageRef<'_>, limits: &Limits, findings: &mut Findings) -> Bodies {
    let raw_html = html(message, limits);
    let sanitised = raw_html.as_deref().and_then(|raw| clean(raw, limits, findings));
    let text = match (plain(message, limits, findings), &sanitised, &raw_html) {
        (Some(own), _, _) => Some(own),
        (None, Some(sanitised), _) => Some(derived(&sanitised.html, limits, findings)),
        (None, None, Some(raw)) => Some(tidy(&html_to_text(cut(raw, limits.html)))),
        (None, None, None) => None,
    };
    let text = text.map(|text| bounded(text, limits, findings)).filter(|text| !text.trim().is_empty());
    let reply = text.as_deref().and_then(|text| match reply(text) {
        Cow::Owned(reply) => Some(Pii::new(reply)),
        Cow::Borrowed(_) => None,
    });
    let (html, removed, references) = match sanitised {
        Some(Sanitised { html, removed, references }) => (Some(Pii::new(html)), removed, references),
        None => (None, Removed::default(), BTreeSet::new()),
    };
    Bodies { text: text.map(Pii::new), reply, html, removed, references }
}

/// The text parts of the text body, joined.
fn plain(message: &MessageRef<'_>, limits: &Limits, findings: &mut Findings) -> Option<String> {
    let mut joined = String::new();
    for part in message.text_body().filter(|part| matches!(part.kind(), PartKind::Text)) {
        let text = part.text_prefix_bytes(limits.text + 1).unwrap_or_default();
        if text.len() > limits.text {
            // Also where it is short enough once its line breaks are shorter: the rest was not read.
            findings.add(FindingCode::TextTruncated, Severity::Warning, "text");
        }
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(&tidy(&text));
        if joined.len() > limits.text {
            return Some(bounded(joined, limits, findings));
        }
    }
    (!joined.trim().is_empty()).then_some(joined)
}

/// The text of HTML.
fn derived(html: &str, limits: &Limits, findings: &mut Findings) -> String {
    let (text, is_whole) = text_of(html, limits.text, limits.html_budget);
    if !is_whole && text.len() <= limits.text {
        findings.add(FindingCode::TextTruncated, Severity::Warning, "text");
    }
    text
}

/// Cuts a text at its limit.
fn bounded(text: String, limits: &Limits, findings: &mut Findings) -> String {
    if text.len() <= limits.text {
        return text;
    }
    findings.add(FindingCode::TextTruncated, Severity::Warning, "text");
    cut(&text, limits.text).to_owned()
}

/// Line feeds alone as line breaks, and no other control characters but tabs.
fn tidy(text: &str) -> String {
    text.split(|c: char| c.is_control() && !matches!(c, '\n' | '\t')).collect()
}

/// The HTML body, joined, text parts that stand between its parts included; read a little beyond the limit at most.
/// `None` where no part is HTML.
fn html(message: &MessageRef<'_>, limits: &Limits) -> Option<String> {
    let is_html = |part: &MessagePart<'_>| matches!(part.kind(), PartKind::Html);
    if !message.html_body().any(|part| is_html(&part)) {
        return None;
    }
    let mut joined = String::new();
    for part in message.html_body().filter(MessagePart::is_text) {
        let text = part.text_prefix_bytes((limits.html + 1).saturating_sub(joined.len()))?;
        if is_html(&part) {
            joined.push_str(&text)
        } else {
            joined.push_str(&text_to_html(&text))
        }
        if joined.len() > limits.html {
            break;
        }
        joined.push('\n');
    }
    Some(joined)
}

fn clean(raw: &str, limits: &Limits, findings: &mut Findings) -> Option<Sanitised> {
    match sanitise(raw, limits) {
        Ok(sanitised) => {
            if sanitised.removed.is_active() {
                findings.add(FindingCode::ActiveContentRemoved, Severity::Info, "html");
            }
            Some(sanitised)
        }
        Err(_) => {
            findings.add(FindingCode::HtmlRefused, Severity::Warning, "html");
            None
        }
    }
}

#[cfg(test)]
mod tests;
