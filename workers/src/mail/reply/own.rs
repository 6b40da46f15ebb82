//! What can hold commands: what the sender wrote above anything that may be another mail.
//!
//! Invariant: in doubt a line begins another mail. Its text stays in the reply, but commands nobody.

use super::{ATTRIBUTIONS, BELOW, FROM, field, is_blank, is_rule};

/// How long a line can be that begins another mail, in bytes.
const MAX_LINE: usize = 120;
/// How a forwarded mail begins, below what its sender wrote about it.
const FORWARDS: [&str; 18] = [
    "forwarded message",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht",
    "message transféré",
    "début du message transféré",
    "début du message réexpédié",
    "mensaje reenviado",
    "inicio del mensaje reenviado",
    "messaggio inoltrato",
    "inizio messaggio inoltrato",
    "doorgestuurd bericht",
    "begin doorgestuurd bericht",
    "mensagem encaminhada",
    "vidarebefordrat meddelande",
    "videresendt melding",
    "пересылаемое сообщение",
    "転送メッセージ",
];

/// What the sender wrote in a reply, without the mail that may begin below it.
pub(in crate::mail) fn own(reply: &str) -> &str {
    let (mut end, mut above) = (0, "");
    for line in reply.split_inclusive('\n') {
        let (shown, start) = (line.trim(), end);
        end += line.len();
        let below = || reply.get(end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        if shown.len() < MAX_LINE && (is_forward(shown) || is_wrote(shown) || is_from(above, shown, below())) {
            return reply.get(..start).unwrap_or_default();
        }
        above = if is_blank(line) { above } else { shown };
    }
    reply
}

/// A phrase alone on its line, between dashes or not.
fn is_forward(line: &str) -> bool {
    let inner = line.trim_matches(['-', '_', '*', '=', ' ', ':', '：']);
    FORWARDS.contains(&inner.to_lowercase().as_str())
}

/// `Ada wrote:`, without a date.
fn is_wrote(line: &str) -> bool {
    let words = line.strip_suffix([':', '：']).map(str::trim_end);
    words.is_some_and(|words| ATTRIBUTIONS.iter().any(|(_, word)| words.ends_with(word.trim_end())))
}

/// `From: Ada`, where it shows an address or stands as the first field of a block.
fn is_from(above: &str, line: &str, below: &str) -> bool {
    let is_named = field(line).is_some_and(|name| FROM.contains(&name));
    is_named && (line.contains('@') || is_rule(above) || field(below).is_some_and(|name| BELOW.contains(&name)))
}
