//! Whether the scanner takes a content for a mail. It goes by the first bytes, programs go by the name: what it takes for a
//! text it does not decode, and it calls clean what is encoded in it.
//!
//! What is in reach here is less than what a scanner recognises, and each rule was tried with clamd 1.4.

use memchr::{memchr_iter, memmem};

use super::ole;

/// A mail that begins with one of these is one, whatever follows.
const STARTS: [&[u8]; 12] = [
    b"From: ",
    b"From ",
    b"To: ",
    b"Date: ",
    b"Subject: ",
    b"Message-ID: ",
    b"Message-Id: ",
    b"Received: ",
    b"Return-Path: ",
    b"Return-path: ",
    b"Delivered-To: ",
    b"Envelope-to: ",
];

/// The other beginnings of the first field: none is that of another format, as `BM` or `MZ` would be.
const FIRST: [&[u8]; 16] = [
    b"x-",
    b"arc-",
    b"authentication-results:",
    b"cc:",
    b"content-",
    b"dkim-signature:",
    b"importance:",
    b"in-reply-to:",
    b"list-",
    b"mime-version:",
    b"received-spf:",
    b"references:",
    b"reply-to:",
    b"sender:",
    b"thread-",
    b"user-agent:",
];

/// A field that makes a mail of what has a `Content-Type` behind it: where it begins at the latest, and within how many
/// bytes the other one does.
const FIELDS: [(&[u8], usize, usize); 3] =
    [(b"From: ", 1_000, 2_000), (b"Received: ", 1_000, 2_000), (b"MIME-Version: ", 64_000, 1_000)];
const TYPE: &[u8] = b"\nContent-Type: ";

/// Formats that the scanner prefers to a mail, by their place.
const ELSEWHERE: [(usize, &[u8]); 4] = [(4, &ole::SIGNATURE), (257, b"ustar"), (510, b"\x55\xaa"), (512, b"EFI PART")];

/// Whether the scanner looks into a content as into a mail.
pub(super) fn is_recognised(bytes: &[u8]) -> bool {
    let is_elsewhere =
        |(at, signature): &(usize, &[u8])| bytes.get(*at..).is_some_and(|rest| rest.starts_with(signature));
    if ELSEWHERE.iter().any(is_elsewhere) {
        return false;
    }
    if STARTS.iter().any(|start| bytes.starts_with(start)) {
        return true;
    }
    let begins = |name: &[u8]| bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    FIRST.iter().any(|name| begins(name)) && FIELDS.iter().any(|field| has(bytes, field))
}

/// Whether a field stands in the header, with a type behind it.
fn has(bytes: &[u8], (field, latest, gap): &(&[u8], usize, usize)) -> bool {
    let section = memmem::find(bytes, b"\n\r\n").into_iter().chain(memmem::find(bytes, b"\n\n")).min();
    let header = bytes.get(..section.unwrap_or(bytes.len()).min(*latest)).unwrap_or(bytes);
    let starts = std::iter::once(0).chain(memchr_iter(b'\n', header).map(|at| at + 1));
    let mut fields = starts.filter(|at| bytes.get(*at..).is_some_and(|line| line.starts_with(field)));
    fields.any(|at| {
        let behind = bytes.get(at..).unwrap_or_default();
        memmem::find(behind.get(..*gap).unwrap_or(behind), TYPE).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_as_programs_save_them_are_in_reach() {
        for mail in [
            "From: <Saved by Blink>\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related\r\n",
            "Return-Path: <a@b.example>\r\nDelivered-To: c@d.example\r\n",
            "From a@b.example Tue Nov 24 10:00:00 2026\n",
            "X-Mozilla-Status: 0001\r\nFrom: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n",
            "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\nContent-Type: text/html\r\n",
        ] {
            assert!(is_recognised(mail.as_bytes()), "{mail}");
        }
    }

    #[test]
    fn what_the_scanner_takes_for_something_else_is_not() {
        let far = format!("X-Y: z\r\nMIME-Version: 1.0\r\nX: {}\r\nContent-Type: text/html\r\n", "a".repeat(5_000));
        let tar = format!("From: a@b.example\r\nX: {}ustar\r\n", "a".repeat(235));
        let mail = "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n";
        let begun = ["", "A: b\r\n", "BM: z\r\n", "\r\n", "\u{feff}", "garbage\r\n"];
        let begun = begun.map(|start| format!("{start}{}", if start.is_empty() { "" } else { mail }));
        let others = [
            "X-Y: z\r\nContent-Type: text/html\r\n",
            "from: a@b.example\r\n",
            "X-Y: z\r\n\r\nMIME-Version: 1.0\r\n\nContent-Type: ",
        ];
        for bytes in begun.iter().map(String::as_str).chain(others).chain([&*far, &*tar]) {
            assert!(!is_recognised(bytes.as_bytes()), "{bytes}");
        }
    }
}
