//! Files within a text, encoded as before MIME: uuencode and yEnc. Some programs show an attachment there, others the text.

use mail_parser::{Encoding, Message, MessagePart, PartKind};
use memchr::memmem;

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::structure::place;
use super::truth;

/// How many of a text's files are looked at.
const MOST: usize = 32;
/// How much of a file's name is looked at, in bytes.
const MOST_NAME: usize = 1024;

/// Notes such files and what is dangerous about their names. They are read in texts that are not encoded otherwise: no
/// program looks for one encoding inside another.
pub(super) fn check(message: &Message<'_>, findings: &mut Findings) {
    let is_text = |part: &MessagePart<'_>| matches!(part.kind(), PartKind::Text) && part.encoding() == Encoding::None;
    for part in message.parts().filter(is_text) {
        for (index, File { name, severity }) in files(part.raw_body()).take(MOST + 1).enumerate() {
            let place = place(&part);
            for code in truth::dangers_of_name(&String::from_utf8_lossy(name)) {
                findings.add(code, Severity::Warning, &place);
            }
            // Of those that follow nothing is known.
            findings.add(FindingCode::FileInText, if index < MOST { severity } else { Severity::Ambiguous }, place);
        }
    }
}

struct File<'m> {
    name: &'m [u8],
    severity: Severity,
}

/// The files whose first lines stand in a text.
fn files(text: &[u8]) -> impl Iterator<Item = File<'_>> {
    let of = |mark: &'static [u8], read: fn(&[u8]) -> Option<File<'_>>| {
        let begins_a_line =
            move |at: &usize| at.checked_sub(1).is_none_or(|before| matches!(text.get(before), Some(b'\n' | b'\r')));
        memmem::find_iter(text, mark).filter(begins_a_line).filter_map(move |at| {
            let rest = text.get(at + mark.len()..)?;
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            read(rest.get(..end)?)
        })
    };
    of(b"begin", uuencode).chain(of(b"=ybegin ", yenc))
}

/// ` 644 name`, as `begin` or `begin-base64` is followed by (POSIX `uuencode`). The scanner decodes it in the raw mail.
fn uuencode(rest: &[u8]) -> Option<File<'_>> {
    let rest = rest.strip_prefix(b"-base64").unwrap_or(rest).strip_prefix(b" ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = rest.get(digits..)?.strip_prefix(b" ").filter(|_| matches!(digits, 3 | 4))?;
    Some(File { name: shortened(name)?, severity: Severity::Warning })
}

/// `line=128 size=10 name=a.bin`. The scanner does not decode it, so that nobody would have looked at what is shown.
fn yenc(rest: &[u8]) -> Option<File<'_>> {
    let at = memmem::find(rest, b"name=")
        .filter(|at| memmem::find(rest.get(..*at).unwrap_or_default(), b"line=").is_some())?;
    Some(File { name: shortened(rest.get(at + 5..)?)?, severity: Severity::Ambiguous })
}

fn shortened(name: &[u8]) -> Option<&[u8]> {
    let name = name.trim_ascii();
    let end = name.len().saturating_sub(MOST_NAME);
    // The extension is at its end.
    name.get(end..).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{limits::Limits, parse::parse};

    #[test]
    fn files_in_texts_are_found_where_a_program_would_show_them() {
        use FindingCode::{ExecutableAttachment, FileInText, ScriptAttachment};
        use Severity::{Ambiguous, Warning};
        let uu = "\n#35J0\n`\nend\n";
        let part = |kind: &str, body: &str| {
            format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n{kind}\n\n{body}\n--b--\n")
        };
        for (rest, expected) in [
            (format!("\nhello\n\nbegin 644 report.pdf{uu}"), vec![(FileInText, Warning)]),
            (format!("\nbegin 0755 invoice.exe{uu}"), vec![(ExecutableAttachment, Warning), (FileInText, Warning)]),
            (format!("\nbegin-base64 644 a.js{uu}"), vec![(ScriptAttachment, Warning), (FileInText, Warning)]),
            (
                part("Content-Type: text/plain", &format!("begin 644 a b.exe {uu}")),
                vec![(ExecutableAttachment, Warning), (FileInText, Warning)],
            ),
            ("\n=ybegin line=128 size=3 name=a.bin\nabc\n=yend size=3\n".to_owned(), vec![(FileInText, Ambiguous)]),
            // Prose, quotes, and what is a file of its own.
            (
                "\nbegin 644 \nbegin the day\nbegin 12 of them\nplease begin 644 a.exe\n> begin 644 a.exe\n=ybegin x\n"
                    .to_owned(),
                vec![],
            ),
            (format!("Content-Transfer-Encoding: quoted-printable\n\nbegin 644 a.exe{uu}"), vec![]),
            (part("Content-Type: application/octet-stream", &format!("begin 644 a.exe{uu}")), vec![]),
        ] {
            let raw = format!("From: a@b.example\n{rest}").replace('\n', "\r\n");
            let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
            let known = |code| matches!(code, FileInText | ExecutableAttachment | ScriptAttachment);
            let found = mail.findings.iter().filter(|found| known(found.code));
            assert_eq!(found.map(|found| (found.code, found.severity)).collect::<Vec<_>>(), expected, "{rest}");
        }
    }

    #[test]
    fn a_flood_of_them_is_ambiguous_and_nothing_hides_at_the_end_of_a_name() {
        let raw = format!("From: a@b.example\r\n\r\n{}", "begin 644 a.txt\r\n".repeat(500_000));
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        assert!(mail.findings.iter().any(|found| found.severity == Severity::Ambiguous));
        let long = format!("From: a@b.example\r\n\r\nbegin 644 {}.exe\r\n", "a".repeat(5_000));
        let mail = parse(long.as_bytes(), &Limits::default(), &[]).unwrap();
        assert!(mail.findings.iter().any(|found| found.code == FindingCode::ExecutableAttachment));
    }
}
