//! The commands of the original router: `task+notion@domain`, `Send Invoice: Q1`, `#task Create new feature`.
//!
//! The recipient goes before the subject, the subject before the body. A command is `[a-z0-9-]{1,32}` and
//! begins with a letter. Of the body only what the sender wrote is looked at: a mail that is quoted, forwarded or signed
//! with carries no commands, or an answer would give them again.

use shared::pii::Pii;

use super::addr_spec::AddrSpec;
use super::model::{Intent, IntentSource};
use super::names::{cut, visible};
use super::reply::own;

const MAX_COMMAND: usize = 32;
/// The longest argument, in bytes.
pub const MAX_ARGUMENT: usize = 998;
/// Lines of the body that are looked at.
const MAX_LINES: usize = 1_000;

/// What begins and ends a block of code in a text.
const FENCE: &str = "```";

/// Marks of replies and forwards in the languages that mail clients write them in. None is a command.
const REPLY_MARKS: [&str; 28] = [
    "re", "fw", "fwd", "aw", "wg", "sv", "vs", "vb", "antw", "tr", "ref", "rif", "i", "r", "rv", "res", "enc", "odp",
    "pd", "ynt", "ilt", "vl", "doorst", "atb", "bls", "trs", "fs", "tfwd",
];

/// What calendars and mail servers put before the subject that they write about. None is a command either.
const MACHINE_MARKS: [&str; 10] = [
    "accepted",
    "declined",
    "tentative",
    "tentatively-accepted",
    "invitation",
    "canceled",
    "cancelled",
    "undeliverable",
    "read",
    "automatic-reply",
];

/// The command that a mail carries, if it carries one. `reply` is the text without the mail that it answers.
pub fn find(recipients: &[Pii<String>], subject: Option<&str>, reply: Option<&str>) -> Option<Intent> {
    from_recipients(recipients).or_else(|| from_subject(subject?)).or_else(|| from_body(own(reply?)))
}

fn from_recipients(recipients: &[Pii<String>]) -> Option<Intent> {
    recipients.iter().find_map(|recipient| {
        let address = AddrSpec::parse(recipient.expose())?;
        let (word, tag) = address.local().split_once('+')?;
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
    let is_mark = REPLY_MARKS.contains(&&*command) || MACHINE_MARKS.contains(&&*command);
    let is_link = argument.starts_with("//");
    (!is_mark && !is_link).then(|| intent(IntentSource::Subject, command, argument))
}

fn from_body(text: &str) -> Option<Intent> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut is_code = false;
    text.lines().take(MAX_LINES).find_map(|line| {
        is_code ^= line.starts_with(FENCE);
        let rest = line.strip_prefix('#').filter(|_| !is_code)?;
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let word = word.strip_suffix(':').unwrap_or(word);
        let command = command(word).filter(|word| !is_style(word, argument) && !is_source(word, argument))?;
        (!are_tags(argument)).then(|| intent(IntentSource::Body, command, argument))
    })
}

/// Whether what follows a hashtag is more of them: `#travel #fun` commands nothing. A number is no tag: `#close #42`.
fn are_tags(argument: &str) -> bool {
    let is_tag = |word: &str| word.strip_prefix('#').is_some_and(|tag| tag.contains(|c: char| !c.is_ascii_digit()));
    let mut words = argument.split_whitespace().peekable();
    words.peek().is_some() && words.all(is_tag)
}

/// Whether a line is one of a program's source.
fn is_source(word: &str, argument: &str) -> bool {
    let is_file = argument.trim_start().starts_with(['<', '"']);
    word == "include" && is_file || ["ifdef", "ifndef", "endif", "pragma", "undef"].contains(&word)
}

/// Whether a line is a piece of a style sheet that got into the text: a rule (`#outlook a{padding:0}`), or a colour.
fn is_style(word: &str, argument: &str) -> bool {
    let is_hex = matches!(word.len(), 3 | 4 | 6 | 8) && word.bytes().all(|b| b.is_ascii_hexdigit());
    let is_colour = is_hex && (argument.trim().is_empty() || word.bytes().any(|b| b.is_ascii_digit()));
    is_colour || argument.contains('{')
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
            ("box@a.example", "", "#task: Create", expected(Body, "task", "Create")),
            ("box@a.example", "", "\u{feff}#task Create", expected(Body, "task", "Create")),
            ("box@a.example", "", "#task see #12", expected(Body, "task", "see #12")),
            ("box@a.example", "", "#close #42", expected(Body, "close", "#42")),
            ("box@a.example", "", "```\n#comment x\n```\n#task x", expected(Body, "task", "x")),
            ("task+a+b@a.example", "", "", expected(Recipient, "task", "a+b")),
            ("TASK+Notion@A.example", "", "", expected(Recipient, "task", "Notion")),
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
            ("box@a.example", "Http://x.example", ""),
            ("box@a.example", "", "#travel #fun  #summer"),
            ("box@a.example", "", "#include <stdio.h>\n#ifdef X\n#endif"),
            ("box@a.example", "", "```c\n#task x\n```"),
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

    #[test]
    fn the_body_is_what_the_sender_wrote() {
        let of = |raw: &str| {
            let mail = crate::mail::parse::parse(raw.as_bytes(), &crate::mail::limits::Limits::default(), &[]).unwrap();
            mail.intent.map(|found| found.command)
        };
        let plain = |text: &str| of(&format!("From: a@b.example\r\nSubject: Re: x\r\n\r\n{text}"));
        assert_eq!(
            plain("Please.\n#task do it\n\nOn 24 Nov 2026, Ada <a@b.example> wrote:\n> x"),
            Some("task".to_owned())
        );
        for below in [
            "On 24 Nov 2026, Ada <a@b.example> wrote:\n\n#task quoted",
            "On 24 Nov 2026, Ada <a@b.example> wrote:\n> x\n> #task quoted",
            "> #task quoted",
            "-----Original Message-----\nFrom: Ada\n\n#task quoted",
            "________________________________\nFrom: Ada\nSent: x\nTo: y\nSubject: z\n\n#task quoted",
            "-- \nBob\n#hiring now",
            "--\n#hiring now",
            "---------- Forwarded message ---------\nFrom: Ada <a@b.example>\n\n#task forwarded",
            "Begin forwarded message:\n\n#task forwarded",
            "-------- Weitergeleitete Nachricht --------\n#task forwarded",
        ] {
            assert_eq!(plain(&format!("Fine.\n\n{below}\n")), None, "{below}");
            let alone = plain(&format!("{below}\n"));
            assert_eq!(alone, None, "nothing above: {below}");
        }
        let html = |body: &str| of(&format!("From: a@b.example\r\nContent-Type: text/html\r\n\r\n{body}"));
        assert_eq!(html("<p>#task do it</p><blockquote>x</blockquote>"), Some("task".to_owned()));
        for body in [
            "<p>Fine.</p><blockquote><p>#task quoted</p></blockquote>",
            "<style>\n#task {color: #fff}\n#fff\n</style><p>Fine.</p>",
            "<p style='color:#fff'>Fine.</p><a href='https://x.example/#task'>x</a>",
        ] {
            assert_eq!(html(body), None, "{body}");
        }
        let attached = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nFine.\r\n--o\r\n\
                        Content-Type: message/rfc822\r\n\r\nFrom: c@d.example\r\nSubject: Send Invoice: Q1\r\n\r\n\
                        #task forwarded\r\n--o--\r\n";
        assert_eq!(of(attached), None);
    }

    #[test]
    fn hostile_texts_are_no_commands() {
        for text in [
            "https://x.example/#task",
            "#/task",
            "#task/sub",
            "#fff",
            "#FFFFFF\n#bada55",
            "#c0ffee 1px solid",
            "#outlook a{padding:0;}",
            "#body-table {",
            "#t\u{430}sk cyrillic",
            "\u{ff03}task full width",
            "#task\u{200b}x hidden",
            "#\u{202e}task",
            "#task\0x",
            &format!("#{}", "a".repeat(33)),
            "#-task",
        ] {
            assert_eq!(seen("box@a.example", "", text), None, "{text:?}");
        }
        assert_eq!(seen("box@a.example", "", "#add milk"), expected(IntentSource::Body, "add", "milk"));
        for (recipient, subject) in [
            ("t\u{430}sk+x@a.example", ""),
            ("task\u{ff0b}x@a.example", ""),
            ("\"task x\"@a.example", ""),
            ("box@task+x.example", ""),
            ("\"task+x@a.example", ""),
            ("box@a.example", "Send\u{a0}Invoice: Q1"),
            ("box@a.example", "Send Invoice\u{ff1a} Q1"),
            ("box@a.example", "S\u{435}nd Invoice: Q1"),
            ("box@a.example", "Send  Invoice: Q1"),
            ("box@a.example", ": x"),
            ("box@a.example", "FW: Send Invoice: Q1"),
            ("box@a.example", "Undeliverable: Send Invoice: Q1"),
            ("box@a.example", "Accepted: Quarterly review"),
        ] {
            assert_eq!(seen(recipient, subject, ""), None, "{recipient} {subject}");
        }
        let tag = seen("\"task+a b\"@a.example", "", "");
        assert_eq!(tag, expected(IntentSource::Recipient, "task", "a b"));
        let argument = seen("box@a.example", "Deploy: a\u{202e}b\u{1b}[2J\tc", "");
        assert_eq!(argument, expected(IntentSource::Subject, "deploy", "ab[2J c"));
        let long = format!("#task {}", "x".repeat(2_000));
        assert_eq!(
            seen("box@a.example", "", &long).and_then(|seen| seen.2).map(|argument| argument.len()),
            Some(MAX_ARGUMENT)
        );
        let many = vec![Pii::new("+@a.example".to_owned()); 100_000];
        assert_eq!(find(&many, Some(&":".repeat(1 << 20)), Some(&"#1 x\n".repeat(1 << 18))), None);
        assert_eq!(
            seen("box@a.example", "", &format!("{}#task x", "\n".repeat(MAX_LINES))),
            None,
            "beyond what is looked at"
        );
    }
}
