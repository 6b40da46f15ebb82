//! Mails among the members of containers.

use super::forge::{fixture, tar, zip};
use super::{assert_clean, codes, walked};
use crate::containers::{Code, Kind};
use crate::mail::{limits::Limits, parse::parse};

const HEAD: &str = "From: a@a.example\r\nTo: b@b.example\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nSubject: s\r\n";

/// A mail with one attachment.
fn mail(name: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{HEAD}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    [head.as_bytes(), body, b"\r\n--b--\r\n"].concat()
}

fn base64(content: &[u8]) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(content);
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\r\n").into_bytes()
}

#[test]
fn a_mail_in_an_archive_is_walked_as_far_as_its_parts_go() {
    let plain = mail("a.txt", "base64", &base64(b"a text"));
    assert_clean(&zip(&[("a.eml", &plain)]), "a mail");
    assert_clean(&tar(&[("folder/a.EML", &plain)]), "a mail in a tar");
    assert_clean(&zip(&[("a.eml", &format!("{HEAD}\r\nhello\r\n").into_bytes())]), "a mail without parts");
    assert_clean(&zip(&[("a.eml", b""), ("b.eml", b"\r\n")]), "nothing");
    for secret in ["encrypted.docx", "encrypted-zipcrypto.zip", "encrypted.pdf"] {
        let mail = mail(secret, "base64", &base64(&fixture(secret)));
        // By its name, and by its bytes.
        for name in ["a.eml", "a.dat"] {
            assert_eq!(codes(&zip(&[(name, &mail)])), [Code::Encrypted], "{secret} in {name}");
        }
    }
    let inner = mail("a.docx", "base64", &base64(&fixture("encrypted.docx")));
    let outer = mail("inner.eml", "base64", &base64(&inner));
    let found = walked(&zip(&[("outer.eml", &outer)]));
    assert_eq!(found.obstacles.len(), 1);
    assert_eq!(found.obstacles[0].member.expose(), "outer.eml / inner.eml / a.docx / EncryptionInfo");
}

#[test]
fn a_mail_that_can_be_read_in_two_ways_is_an_obstacle() {
    let twice = [base64(b"the 1st"), base64(b" and the second half")].concat();
    let whole = mail("a.txt", "base64", &base64(b"a text"));
    let text = String::from_utf8(whole.clone()).unwrap();
    for (what, content) in [
        ("padding in the middle", mail("a.txt", "base64", &twice)),
        ("an unknown encoding", mail("a.txt", "base-64", &base64(b"a text"))),
        ("two encodings", mail("a.txt", "base64\r\nContent-Transfer-Encoding: 7bit", &base64(b"a text"))),
        ("carriage returns", text.replace("\r\n", "\r").into_bytes()),
        ("no end", whole[..whole.len() - 7].to_vec()),
        ("two boundaries", text.replace("boundary=b", "boundary=x; boundary=b").into_bytes()),
        ("no mail", b"\x89PNG\r\n\x1a\n\0\0".to_vec()),
    ] {
        let found = codes(&zip(&[("a.eml", &content)]));
        assert!(matches!(found[..], [Code::Contradictory | Code::Damaged]), "{what}: {found:?}");
    }
    let nested = format!("{}\r\nx", "Content-Type: message/rfc822\r\n\r\nA: b\r\n".repeat(80));
    assert_eq!(codes(&zip(&[("a.eml", nested.as_bytes())])), [Code::TooDeep]);
}

/// Only a name makes a mail of what does not say that it has MIME parts.
#[test]
fn a_text_that_begins_like_a_mail_is_a_text() {
    for text in [
        &b"From: somebody\r\nSubject: this is no mail\r\nbut a text\r\n"[..],
        b"Note: MIME-Version: 1.0 is a field\r\n\r\nMIME-Version: 1.0\r\n",
        b"A list:\r\n- MIME-Version: 1.0\r\n",
        b"MIME-Version\r\n",
        b"",
    ] {
        assert_eq!(Kind::of(text), None);
        assert_clean(&zip(&[("a.txt", text)]), "a text");
    }
    for mail in [
        "MIME-Version: 1.0\r\n",
        "From a@b Tue Nov 24\nX:\n y\nmime-version: 1.0\n\n",
        "X: %PDF-1.4\nMIME-Version: 1\n",
    ] {
        assert_eq!(Kind::of(mail.as_bytes()), Some(Kind::Mail), "{mail}");
    }
}

/// In a mail a part is looked into as a mail where its name says so, and only there.
#[test]
fn an_attached_file_is_a_mail_by_its_name() {
    let inner = mail("a.txt", "base64", &base64(b"a text"));
    for (name, kind) in [("a.eml", Some(Kind::Mail)), ("a.txt", None)] {
        let outer = parse(&mail(name, "base64", &base64(&inner)), &Limits::default(), &[]).unwrap();
        assert_eq!(outer.parts.last().unwrap().container, kind, "{name}");
    }
}
