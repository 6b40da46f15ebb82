//! Mails among the members of containers.

use super::forge::{fixture, tar, zip};
use super::{assert_clean, codes, walked};
use crate::containers::{Code, Kind, WalkLimits, sniff::ZIP_END, walk};
use crate::mail::{limits::Limits, parse::parse};

const HEAD: &str = "From: a@a.example\r\nTo: b@b.example\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nSubject: s\r\n";

/// A mail with one attachment.
pub(super) fn mail(name: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{HEAD}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    [head.as_bytes(), body, b"\r\n--b--\r\n"].concat()
}

pub(super) fn base64(content: &[u8]) -> Vec<u8> {
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
    let kind = |name: &str, content: &[u8]| {
        parse(&mail(name, "base64", &base64(content)), &Limits::default(), &[]).unwrap().parts.last().unwrap().container
    };
    for name in ["a.eml", "a.MHT", "a.mhtml", "a.emlx", "a.eml. ", "a.eml\"; x=\"", "a.txt\"; name*=\"utf-8''a.eml"] {
        assert_eq!(kind(name, &inner), Some(Kind::Mail), "{name}");
    }
    assert_eq!(kind("a.txt", &inner), None);
    // Whatever its bytes are.
    let signature = [HEAD.as_bytes(), b"\r\n", ZIP_END].concat();
    for content in [
        &b"\xef\xbb\xbfFrom: a@b\r\n"[..],
        b"\r\nA: b\r\n",
        b"garbage\r\n",
        b"X: %PDF-1.4\r\n",
        &signature,
        b"PK\x03\x04",
    ] {
        assert_eq!(kind("a.eml", content), Some(Kind::Mail), "{content:?}");
    }
}

/// What is attached is opened as the parse says, without a name; and so is what is in an attached mail.
#[test]
fn a_mail_by_its_name_is_walked_as_one_from_the_start() {
    let as_mail = |content: &[u8]| -> Vec<Code> {
        let found = walk(content, Some(Kind::Mail), "", &WalkLimits::default());
        found.obstacles.iter().map(|obstacle| obstacle.code).collect()
    };
    let plain = mail("a.txt", "base64", &base64(b"a text"));
    assert_eq!(as_mail(&plain), []);
    let secret = mail("a.pdf", "base64", &base64(&fixture("encrypted.pdf")));
    let text = String::from_utf8(secret).unwrap();
    let unversioned = text.replace("MIME-Version: 1.0\r\n", "");
    assert_eq!(codes(unversioned.as_bytes()), []);
    assert_eq!(as_mail(unversioned.as_bytes()), [Code::Encrypted]);
    let padded = format!("X: {}\r\n{text}", "a".repeat(70_000));
    assert_eq!(as_mail(padded.as_bytes()), [Code::OutOfReach, Code::Encrypted]);
    // A part of a mail by another name than the one that is shown.
    let inner = mail("a.txt\"; name*=\"utf-8''a.eml", "base64", &base64(unversioned.as_bytes()));
    assert!(as_mail(&inner).contains(&Code::Encrypted), "{:?}", as_mail(&inner));
    for start in ["\u{feff}", "\r\n", "garbage\r\n"] {
        let found = as_mail(format!("{start}{text}").as_bytes());
        assert!(
            matches!(found[..], [Code::Contradictory | Code::Damaged | Code::OutOfReach, ..]),
            "{start:?}: {found:?}"
        );
    }
}

#[test]
fn an_archive_that_is_named_like_a_mail_is_an_obstacle() {
    let plain = mail("a.txt", "base64", &base64(b"a text"));
    for (what, archive) in [("zip", zip(&[("a", b"b")])), ("tar", tar(&[("a", b"b")])), ("gzip", gzip(None, b"b"))] {
        assert_clean(&zip(&[("a.dat", &archive)]), what);
        assert_eq!(codes(&zip(&[("a.eml", &archive)])), [Code::Contradictory], "{what}");
        let attached = walk(&archive, Some(Kind::Mail), "", &WalkLimits::default());
        assert_eq!(attached.obstacles[0].code, Code::Contradictory, "{what}");
    }
    assert_clean(&zip(&[("a.eml", &plain)]), "a mail");
}

/// By the name in it, or by its own.
#[test]
fn a_compressed_mail_is_a_mail() {
    let secret = mail("a.pdf", "base64", &base64(&fixture("encrypted.pdf")));
    let secret = String::from_utf8(secret).unwrap().replace("MIME-Version: 1.0\r\n", "").into_bytes();
    let attached = |name: &str, was: Option<&str>| -> Vec<Code> {
        let found = walk(&gzip(was, &secret), Some(Kind::Gzip), name, &WalkLimits::default());
        found.obstacles.iter().map(|obstacle| obstacle.code).collect()
    };
    assert_eq!(attached("a.gz", None), []);
    assert_eq!(attached("a.txt", Some("a.txt")), []);
    for (name, was) in [("a.eml.gz", None), ("a.EML.GZ", Some("a.txt")), ("a.gz", Some("a.eml")), ("", Some("a.eml"))] {
        assert_eq!(attached(name, was), [Code::Encrypted], "{name} {was:?}");
        assert_eq!(codes(&zip(&[(name, &gzip(was, &secret))])), [Code::Encrypted], "{name} {was:?} in a zip");
    }
}

fn gzip(name: Option<&str>, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let builder = name.map_or_else(flate2::GzBuilder::new, |name| flate2::GzBuilder::new().filename(name));
    let mut encoder = builder.write(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
