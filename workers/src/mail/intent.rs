//! The commands of the original router: `task+notion@domain`, `Send Invoice: Q1`, `#task Create new feature`.
//!
//! The recipient goes before the subject, the subject before the body. A command is `[a-z0-9-]{1,32}` and
//! begins with a letter.

use shared::pii::Pii;

use super::model::{Intent, IntentSource};
use super::names::{cut, visible};

const MAX_COMMAND: usize = 32;
/// The longest argument, in bytes.
pub const MAX_ARGUMENT: usize = 998;
/// Lines of the body that are looked at.
const MAX_LINES: usize = 1_000;

/// Marks of replies and forwards in the languages that mail clients write them in. None is a command.
const REPLY_MARKS: [&str; 28] = [
    "re", "fw", "fwd", "aw", "wg", "sv", "vs", "vb", "antw", "tr", "ref", "rif", "i", "r", "rv", "res", "enc", "odp",
    "pd", "ynt", "ilt", "vl", "doorst", "atb", "bls", "trs", "fs", "tfwd",
];

/// The command that a mail carries, if it carries one.
pub fn find(recipients: &[Pii<String>], subject: Option<&str>, text: Option<&str>) -> Option<Intent> {
    from_recipients(recipients).or_else(|| from_subject(subject?)).or_else(|| from_body(text?))
}

fn from_recipients(recipients: &[Pii<String>]) -> Option<Intent> {
    recipients.iter().find_map(|recipient| {
        let (local, _) = recipient.expose().rsplit_once('@')?;
        let (word, tag) = local.split_once('+')?;
        Some(intent(IntentSource::Recipient, command(word)?, tag))
    })
}

fn from_subject(subject: &str) -> Option<Intent> {
    let (head, argument) = subject.trim().split_once(':')?;
    let words: Vec<_> = head.split(' ').collect();
    let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
    if words.len() > 2 || !words.iter().all(is_word) {
        return None;
    }
    let command = command(&words.join("-"))?;
    (!REPLY_MARKS.contains(&command.as_str())).then(|| intent(IntentSource::Subject, command, argument))
}

fn from_body(text: &str) -> Option<Intent> {
    text.lines().take(MAX_LINES).find_map(|line| {
        let rest = line.strip_prefix('#')?;
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Some(intent(IntentSource::Body, command(word)?, argument))
    })
}

fn command(word: &str) -> Option<String> {
    let fits = (1..=MAX_COMMAND).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then(|| word.to_ascii_lowercase())
}

fn intent(source: IntentSource, command: String, argument: &str) -> Intent {
    let argument = visible(argument).0;
    let argument = cut(argument.trim(), MAX_ARGUMENT);
    let argument = (!argument.is_empty()).then(|| Pii::new(argument.to_owned()));
    Intent { source, command, argument }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Option<(IntentSource, String, Option<String>)>;

    fn seen(recipient: &str, subject: &str, text: &str) -> Seen {
        let found = find(&[Pii::new(recipient.to_owned())], Some(subject), Some(text))?;
        Some((found.source, found.command, found.argument.map(Pii::into_inner)))
    }

    fn expected(source: IntentSource, command: &str, argument: &str) -> Seen {
        Some((source, command.to_owned(), (!argument.is_empty()).then(|| argument.to_owned())))
    }

    #[test]
    fn the_three_ways_and_their_order() {
        use IntentSource::{Body, Recipient, Subject};
        for (recipient, subject, text, wanted) in [
            ("task+notion@a.example", "Send Invoice: Q1", "#task x", expected(Recipient, "task", "notion")),
            ("Task+@a.example", "", "", expected(Recipient, "task", "")),
            ("box@a.example", "Send Invoice: Q1", "#task x", expected(Subject, "send-invoice", "Q1")),
            ("box@a.example", "Deploy:now", "", expected(Subject, "deploy", "now")),
            ("box@a.example", "Hi", "a\n#task Create new feature\nb", expected(Body, "task", "Create new feature")),
            ("box@a.example", "", "#done", expected(Body, "done", "")),
        ] {
            assert_eq!(seen(recipient, subject, text), wanted, "{subject}");
        }
    }

    #[test]
    fn ordinary_mail_is_no_command() {
        for (recipient, subject, text) in [
            ("box@a.example", "Re: Send Invoice: Q1", ""),
            ("box@a.example", "", "On Monday somebody wrote:\n> #task quoted\n"),
            ("box@a.example", "", "see issue\n#12 and C#sharp\n ##task"),
            ("box@a.example", "AW: Termin", ""),
            ("box@a.example", "Fwd: x", ""),
            ("box@a.example", "the meeting: notes", ""),
            ("box@a.example", "Three Word Head: x", ""),
            ("box@a.example", "Grüße Ümlaut: x", ""),
            ("j.doe+news@a.example", "", "# Title\n## Sub\n#1 first\ntext #task"),
            ("+x@a.example", "", "#"),
            ("a@b+c@a.example", "", ""),
        ] {
            assert_eq!(seen(recipient, subject, text), None, "{recipient} {subject}");
        }
    }
}
