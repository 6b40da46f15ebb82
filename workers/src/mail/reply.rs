//! What the sender wrote: a text without the mail that it answers and without the signature.
//!
//! Only what is recognised goes. A quote that answers stand between loses its own lines alone; where the rest of the
//! text is another mail (Outlook's header block, a separator), it is cut off. Forwarded mail stays: it is what was sent.

use std::borrow::Cow;

pub(super) use own::own;

mod own;

/// How long a line of attribution can be, in bytes, and over how many lines it is wrapped.
const MAX_ATTRIBUTION: usize = 400;
const MAX_WRAPPED: usize = 4;
/// How far below `From:` the rest of a header block stands.
const HEADER_LINES: usize = 6;
/// A signature marker without its space has at most so many lines below it.
const MAX_SIGNATURE: usize = 12;

/// `On Tuesday … wrote:` as mail programs write it: how it begins, and a word that is in it.
const ATTRIBUTIONS: [(&str, &str); 24] = [
    ("On ", " wrote"),
    ("Am ", " schrieb"),
    ("Le ", " a écrit"),
    ("El ", " escribió"),
    ("Il ", " ha scritto"),
    ("Em ", " escreveu"),
    ("A ", " escreveu"),
    ("Op ", " schreef"),
    ("Den ", " skrev"),
    ("På ", " skrev"),
    ("Dne ", " napsal"),
    ("W dniu ", " pisze"),
    ("W dniu ", " napisał"),
    ("", " napisał(a)"),
    ("", " kirjoitti"),
    ("", " пишет"),
    ("", " написал"),
    ("", " ezt írta"),
    ("", " şunu yazdı"),
    ("", " schrieb am "),
    ("", " a écrit le "),
    ("", "写道"),
    ("", "のメール"),
    ("", "님이 작성"),
];
/// What stands between the dashes of a separator.
const SEPARATORS: [&str; 12] = [
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message d’origine",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
    "oorspronkelijk bericht",
    "ursprungligt meddelande",
    "исходное сообщение",
];
/// `From`, and the fields that stand below it in a header block.
const FROM: [&str; 10] = ["From", "Von", "De", "Da", "Van", "Från", "Fra", "Od", "От", "差出人"];
const BELOW: [&str; 34] = [
    "Sent",
    "Date",
    "To",
    "Cc",
    "Subject",
    "Gesendet",
    "Datum",
    "An",
    "Betreff",
    "Envoyé",
    "Date ",
    "À",
    "Objet",
    "Enviado",
    "Para",
    "Asunto",
    "Fecha",
    "Inviato",
    "A",
    "Oggetto",
    "Data",
    "Assunto",
    "Verzonden",
    "Aan",
    "Onderwerp",
    "Skickat",
    "Till",
    "Ämne",
    "Sendt",
    "Til",
    "Emne",
    "Wysłano",
    "Отправлено",
    "件名",
];
/// What telephones and apps sign with.
const APPS: [&str; 22] = [
    "sent from my ",
    "sent from mail for",
    "sent from outlook",
    "sent from yahoo",
    "sent from proton",
    "sent via ",
    "sent with ",
    "get outlook for ",
    "von meinem ",
    "gesendet von ",
    "diese nachricht wurde von meinem ",
    "envoyé de mon ",
    "envoyé depuis ",
    "enviado desde ",
    "enviado do meu ",
    "enviado de mi ",
    "inviato da ",
    "verzonden vanaf ",
    "skickat från ",
    "sendt fra ",
    "wysłane z ",
    "отправлено с ",
];

/// The reply in a text. The text itself where nothing was recognised.
pub(super) fn reply(text: &str) -> Cow<'_, str> {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = own_lines(&lines);
    drop_signature(&mut kept);
    while kept.last().is_some_and(|line| is_blank(line) || is_app(line)) {
        kept.pop();
    }
    let all = lines.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
    if kept.len() == all { Cow::Borrowed(text) } else { Cow::Owned(kept.join("\n")) }
}

/// The lines that are no quote.
fn own_lines<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::with_capacity(lines.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let rest = lines.get(at..).unwrap_or_default();
        if is_quoted(line) {
            at += 1;
        } else if let Some(len) = attribution(rest) {
            let below = lines.get(at + len..).unwrap_or_default();
            if !below.iter().find(|line| !is_blank(line)).is_some_and(|line| is_quoted(line)) {
                break;
            }
            at += len;
        } else if is_separator(line) || is_header_block(rest) {
            break;
        } else {
            kept.push(*line);
            at += 1;
        }
    }
    while kept.last().is_some_and(|line| is_blank(line)) {
        kept.pop();
    }
    kept
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// Over how many lines a line of attribution goes that begins here.
fn attribution(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim();
    if first.is_empty() || !ATTRIBUTIONS.iter().any(|(start, _)| first.starts_with(start)) {
        return None;
    }
    let mut joined = String::new();
    for (index, line) in lines.iter().take(MAX_WRAPPED).enumerate() {
        let line = line.trim();
        if line.is_empty() || joined.len() + line.len() > MAX_ATTRIBUTION || is_quoted(line) {
            return None;
        }
        if index > 0 {
            joined.push(' ');
        }
        joined.push_str(line);
        // What is wrapped begins with its date, or a line of an answer above could go with it.
        let is_whole = index == 0 || first.starts_with(|c: char| c.is_ascii_digit());
        if joined.ends_with([':', '：']) && (is_attribution(&joined) || is_whole && is_dated_address(&joined)) {
            return Some(index + 1);
        }
    }
    None
}

fn is_attribution(line: &str) -> bool {
    let matches = |(start, word): &(&str, &str)| line.starts_with(start) && line.contains(word);
    // A date, or an address at least: `On that I wrote:` is a sentence.
    let tells_when_or_who = line.bytes().any(|b| b.is_ascii_digit() || b == b'@');
    tells_when_or_who && ATTRIBUTIONS.iter().any(matches)
}

/// `2026-11-24 10:00 GMT+01:00 Ada <ada@a.example>:`, which is of no language.
fn is_dated_address(line: &str) -> bool {
    let before = line.trim_end_matches([':', '：', ' ']).strip_suffix('>').and_then(|line| line.rsplit_once('<'));
    before.is_some_and(|(before, address)| address.contains('@') && has_moment(before))
}

/// Whether a date or a time stands in a text: `2026`, `24/11`, `10:00`.
fn has_moment(text: &str) -> bool {
    let [mut digits, mut joins] = [0; 2];
    text.bytes().any(|byte| {
        match byte {
            b'0'..=b'9' => digits += 1,
            b':' | b'/' | b'.' | b'-' if digits > 0 => [digits, joins] = [0, joins + 1],
            _ => [digits, joins] = [0, 0],
        }
        digits == 4 || digits > 0 && joins > 0
    })
}

fn is_separator(line: &str) -> bool {
    let line = line.trim();
    let inner = line.trim_matches(['-', '_', '*', ' ']);
    let has_dashes = line.starts_with("--") && line.ends_with("--");
    has_dashes && inner.len() < 40 && SEPARATORS.contains(&inner.to_lowercase().as_str())
}

/// Whether the header of another mail begins here, a rule above it or not.
fn is_header_block(lines: &[&str]) -> bool {
    let Some(first) = lines.first().map(|line| line.trim()) else { return false };
    let is_rule = is_rule(first);
    let mut lines =
        lines.iter().take(2 + HEADER_LINES).skip(usize::from(is_rule)).filter(|line| !is_rule || !is_blank(line));
    let begins = lines.next().and_then(|line| field(line)).is_some_and(|name| FROM.contains(&name));
    begins && lines.filter_map(|line| field(line)).filter(|name| BELOW.contains(name)).count() >= 2
}

fn is_rule(line: &str) -> bool {
    line.len() >= 10 && line.bytes().all(|b| matches!(b, b'_' | b'-'))
}

/// The name of a field, whatever marks it: `From:`, `*From:*`.
fn field(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches('*');
    let end = line.find([':', '：']).filter(|end| *end <= 24)?;
    let name = line.get(..end)?.trim_matches(['*', ' ']);
    (!name.is_empty()).then_some(name)
}

fn drop_signature(lines: &mut Vec<&str>) {
    let is_marker =
        |(index, line): (usize, &&str)| *line == "-- " || *line == "--" && lines.len() - index <= MAX_SIGNATURE;
    if let Some(marker) = lines.iter().enumerate().position(is_marker) {
        lines.truncate(marker);
    }
}

fn is_app(line: &str) -> bool {
    let line = line.trim();
    line.len() < 120 && {
        let lower = line.to_lowercase();
        APPS.iter().any(|start| lower.starts_with(start))
    }
}

#[cfg(test)]
mod tests;
