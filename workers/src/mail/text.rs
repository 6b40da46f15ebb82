//! The bodies of a mail: the plain text and the sanitised HTML.

use mail_parser::{MessagePart, MessageRef, PartKind, html_to_text, text_to_html};
use shared::pii::Pii;

use super::findings::Findings;
use super::limits::Limits;
use super::model::{FindingCode, Severity};
use super::names::cut;
use super::sanitise::sanitise;

/// What a reader would see.
pub(super) struct Bodies {
    pub(super) text: Option<Pii<String>>,
    pub(super) html: Option<Pii<String>>,
}

/// The bodies of a message. Where there is no text part the text comes from the sanitised HTML, or, when that was
/// refused, from the beginning of the HTML as it was (as text it can do no harm).
pub(super) fn bodies(message: &MessageRef<'_>, limits: &Limits, findings: &mut Findings) -> Bodies {
    let raw_html = html(message, limits);
    let html = raw_html.as_deref().and_then(|raw| clean(raw, limits, findings));
    let own = plain(message, limits, findings);
    let derived =
        || Some(tidy(&html_to_text(html.as_deref().or(raw_html.as_deref().map(|raw| cut(raw, limits.html)))?)));
    let text = own.or_else(derived).map(|text| bounded(text, limits, findings)).filter(|text| !text.trim().is_empty());
    Bodies { text: text.map(Pii::new), html: html.map(Pii::new) }
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
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
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

fn clean(raw: &str, limits: &Limits, findings: &mut Findings) -> Option<String> {
    match sanitise(raw, limits) {
        Ok(sanitised) => {
            if sanitised.removed.is_active() {
                findings.add(FindingCode::ActiveContentRemoved, Severity::Info, "html");
            }
            Some(sanitised.html)
        }
        Err(_) => {
            findings.add(FindingCode::HtmlRefused, Severity::Warning, "html");
            None
        }
    }
}
