//! What is said of attachments, mail by mail.

use crate::containers::Kind;
use crate::mail::limits::Limits;
use crate::mail::model::{FindingCode as Code, ParsedMail, Severity};
use crate::mail::parse::parse;

const TYPES: [Code; 10] = [
    Code::ExecutableAttachment,
    Code::ScriptAttachment,
    Code::SourceAttachment,
    Code::ShortcutAttachment,
    Code::MacroAttachment,
    Code::DiskImageAttachment,
    Code::HtmlAttachment,
    Code::TypeMismatch,
    Code::DoubleExtension,
    Code::HiddenExtension,
];

fn mail(fields: &[u8], content: &[u8]) -> ParsedMail {
    let body = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, content);
    let head = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n";
    let encoding = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    parse(&[head, fields, encoding, body.as_bytes(), b"\r\n--x--\r\n"].concat(), &Limits::default(), &[]).unwrap()
}

fn found(fields: &[u8], content: &[u8]) -> Vec<Code> {
    let mut codes: Vec<Code> =
        mail(fields, content).findings.iter().map(|finding| finding.code).filter(|code| TYPES.contains(code)).collect();
    codes.sort_unstable();
    codes
}

fn named(name: &str, content: &[u8]) -> Vec<Code> {
    found(format!("Content-Disposition: attachment; filename=\"{name}\"").as_bytes(), content)
}

#[test]
fn ordinary_attachments_are_silent() {
    for (name, content) in [
        ("a.pdf", &b"%PDF-1.7"[..]),
        ("a.docx", b"PK\x03\x04"),
        ("a.doc", b"{\\rtf1"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a.zip", b"PK\x03\x04"),
        ("photo.of.me.JPG", b"\xff\xd8\xff\xe0\0\x10JFIF"),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
        ("a.txt", b"BM and MZ are letters, and caf\xc3\xa9 is a word."),
        ("a.csv", b"MZ;BM;GIF8\r\n1;2;3\r\n"),
        ("no extension", b"anything\0"),
        ("a.unknown", b"\0\x01\x02"),
        ("Minutes v1.2 (final).docx", b"PK\x03\x04"),
    ] {
        assert_eq!(named(name, content), [], "{name}");
    }
}

#[test]
fn dangerous_types_are_named_by_extension_type_or_bytes() {
    let pe = [&b"MZ\x90\0"[..], &[0; 80]].concat();
    for (name, content, code) in [
        ("setup.exe", &pe[..], Code::ExecutableAttachment),
        ("setup", &pe, Code::ExecutableAttachment),
        ("a.bin", b"\x7fELF\x02\x01\x01", Code::ExecutableAttachment),
        ("a.jar", b"PK\x03\x04", Code::ExecutableAttachment),
        ("a.scr ", b"x", Code::ExecutableAttachment),
        ("a.exe...", b"x", Code::ExecutableAttachment),
        ("a.ps1", b"x", Code::ScriptAttachment),
        ("a.\u{ff4a}\u{ff53}", b"x", Code::ScriptAttachment),
        ("a", b"#@~^encoded", Code::ScriptAttachment),
        ("a.py", b"print()", Code::SourceAttachment),
        ("run", b"#!/bin/sh", Code::SourceAttachment),
        ("a.one", b"x", Code::MacroAttachment),
        ("a.lnk", b"x", Code::ShortcutAttachment),
        ("a", b"L\0\0\0\x01\x14\x02\0", Code::ShortcutAttachment),
        ("a.docm", b"PK\x03\x04", Code::MacroAttachment),
        ("a.iso", b"x", Code::DiskImageAttachment),
        ("a", &[&vec![0; 0x8001][..], b"CD001"].concat(), Code::DiskImageAttachment),
        ("a.html", b"<html>", Code::HtmlAttachment),
        ("a.svg", b"x", Code::HtmlAttachment),
        ("a.shtml", b"  <!-- --> <!DOCTYPE html>", Code::HtmlAttachment),
    ] {
        assert_eq!(named(name, content), [code], "{name}");
    }
    for (name, code) in [
        ("a.appref-ms", Code::ExecutableAttachment),
        ("a.msu", Code::ExecutableAttachment),
        ("a.cpl", Code::ExecutableAttachment),
        ("a.xll", Code::ExecutableAttachment),
        ("a.gadget", Code::ExecutableAttachment),
        ("a.jnlp", Code::ExecutableAttachment),
        ("a.application", Code::ExecutableAttachment),
        ("a.AppImage", Code::ExecutableAttachment),
        ("a.mobileconfig", Code::ExecutableAttachment),
        ("a.wsb", Code::ScriptAttachment),
        ("a.msc", Code::ScriptAttachment),
        ("a.diagcab", Code::ScriptAttachment),
        ("a.job", Code::ScriptAttachment),
        ("a.terminal", Code::ScriptAttachment),
        ("a.vbscript", Code::ScriptAttachment),
        ("a.scf", Code::ShortcutAttachment),
        ("a.settingcontent-ms", Code::ShortcutAttachment),
        ("a.fileloc", Code::ShortcutAttachment),
    ] {
        assert_eq!(named(name, b"x"), [code], "{name}");
    }
    let typed = |content_type: &str| found(format!("Content-Type: {content_type}; name=a.dat").as_bytes(), b"x");
    assert_eq!(typed("application/x-msdownload"), [Code::ExecutableAttachment]);
    assert_eq!(typed("application/vnd.ms-excel.sheet.macroEnabled.12"), [Code::MacroAttachment]);
    assert_eq!(named("invoice.pdf.exe", b"x"), [Code::ExecutableAttachment, Code::DoubleExtension]);
    assert_eq!(named("invoice      .exe", b"x"), [Code::ExecutableAttachment, Code::DoubleExtension]);
}

#[test]
fn a_name_that_some_reader_sees_otherwise_counts_as_the_worst_of_them() {
    for fields in [
        "Content-Disposition: =?utf-8?q?attachment=3B_filename=3Da.exe?=",
        "Content-Disposition: attachment; filename=\"a.ex\r\n e\"",
        "Content-Disposition: attachment; filename=\"=?cp037?q?=81K=85=A7=85?=\"",
        "Content-Disposition: attachment; filename*=ibm500''%81K%85%A7%85",
        "Content-Disposition: attachment; filename*0*=cp1140''%81%4B; filename*1*=%C5%E7%C5",
        "Content-Disposition: =?utf-8?b?YXR0YWNobWVudDsgZmlsZW5hbWU9YS5leGU=?=",
        "Content-Disposition: attachment; filename=a.pdf; =?utf-8?q?filename=3Da.exe?=",
        "Content-Type: application/pdf; =?utf-8?q?name=3Da.exe?=",
        "Content-Type: application/pdf; name=\"a.exe\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"",
        "Content-Disposition: attachment; filename=\"a.pdf\"; filename=\"a.exe\"",
        "Content-Disposition: attachment; filename=a.pdf; filename*=utf-8''a%2Eexe",
        "Content-Disposition: attachment; filename=a.pdf; filename*0=\"a.\"; filename*1=exe",
        "Content-Disposition: attachment; filename=a.pdf; filename*1=exe; filename*0=\"a.\"",
        "Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU=?=\"; name=\"a.pdf\"",
        "Content-Disposition: attachment; filename=\"=?utf-8?q?a=2Eexe?=\"; name=\"a.pdf\"",
        "Content-Disposition: attachment; filename=\"a.exe\\\".pdf\"",
        "Content-Disposition: attachment; filename=a.exe .pdf",
        "Content-Disposition: attachment; filename=\"a.exe:.pdf\"",
        "Content-Disposition: attachment; filename=\"a.exe%00.pdf\"",
        "Content-Disposition: attachment; filename=a.pdf;b.exe",
        "Content-Disposition: attachment; filename=a.pdf\r\nContent-Disposition: attachment; filename=a.exe",
        "Content-Disposition: attachment; filename = a.pdf; FileName* = ''a.exe",
        "Content-Disposition: attachment; x=\"; filename=a.exe\"; filename=a.pdf",
    ] {
        let mail = mail(fields.as_bytes(), b"%PDF-1.7");
        let has = |code| mail.findings.iter().find(|finding| finding.code == code).map(|finding| finding.severity);
        assert_eq!(has(Code::ExecutableAttachment), Some(Severity::Warning), "{fields}: {:?}", mail.findings);
        let shown = mail.parts[1].name.as_ref().map(|name| name.expose().clone()).unwrap_or_default();
        let is_hidden = !shown.ends_with(".exe");
        assert_eq!(has(Code::HiddenExtension).is_some(), is_hidden, "{fields} shows {shown}");
    }
}

#[test]
fn formats_that_contradict_each_other_are_mismatches() {
    for (fields, content) in [
        ("Content-Disposition: attachment; filename=a.pdf", &b"PK\x03\x04"[..]),
        ("Content-Disposition: attachment; filename=a.pdf", b"not one"),
        ("Content-Disposition: attachment; filename=a.png", b"%PDF-1.7"),
        ("Content-Disposition: attachment; filename=a.docx", b"\x7fELF\x02\x01\x01"),
        ("Content-Disposition: attachment; filename=a.txt", b"\0\x01\x02\x03"),
        ("Content-Type: image/png; name=a.pdf", b"%PDF-1.7"),
        ("Content-Type: image/png", b"%PDF-1.7"),
    ] {
        assert!(found(fields.as_bytes(), content).contains(&Code::TypeMismatch), "{fields}");
    }
}

#[test]
fn the_body_and_the_pages_of_a_forwarded_mail_are_no_attachments() {
    let html = b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<html><p>hello</p></html>\r\n";
    let alone = parse(html, &Limits::default(), &[]).unwrap();
    assert!(alone.findings.iter().all(|finding| !TYPES.contains(&finding.code)), "{:?}", alone.findings);
    assert_eq!(found(b"Content-Type: message/rfc822", html), [], "encoded");
    assert!(found(b"Content-Type: text/html; name=a.htm", b"<html>").contains(&Code::HtmlAttachment));
}

/// The only part, or the first of several: it is shown as the text, and saved by its name.
#[test]
fn a_text_that_has_the_name_of_a_script_is_one() {
    let codes = |raw: &str| -> Vec<Code> {
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        mail.findings.iter().map(|finding| finding.code).filter(|code| TYPES.contains(code)).collect()
    };
    for fields in [
        "Content-Type: text/plain; name=evil.js",
        "Content-Type: text/plain\r\nContent-Disposition: inline; filename=evil.js",
        "Content-Type: text/html; name=evil.js",
    ] {
        let body = "<html><p>hello</p></html>";
        assert_eq!(codes(&format!("{fields}\r\n\r\n{body}\r\n")), [Code::ScriptAttachment], "{fields}");
        let mixed =
            format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n{fields}\r\n\r\n{body}\r\n--x--\r\n");
        assert_eq!(codes(&mixed), [Code::ScriptAttachment], "{fields}");
    }
    for fields in ["Content-Type: text/plain; name=a.txt", "Content-Type: text/html; name=a.html", "X: y"] {
        assert_eq!(codes(&format!("{fields}\r\n\r\nhello\r\n")), [], "{fields}");
    }
}

#[test]
fn a_type_that_contradicts_a_harmless_name_and_bytes_is_a_mismatch() {
    let declared = |kind: &str, name: &str, content: &[u8]| {
        found(format!("Content-Type: {kind}; name={name}").as_bytes(), content)
    };
    let program = "application/x-msdownload";
    for (name, content) in
        [("a.pdf", &b"%PDF-1.7"[..]), ("a.png", b"\x89PNG\r\n\x1a\n"), ("a.docx", b"PK\x03\x04"), ("a.txt", b"a text")]
    {
        assert_eq!(declared(program, name, content), [Code::TypeMismatch], "{name}");
    }
    for (name, content) in [("a.pdf", &b"PK\x03\x04"[..]), ("a.dat", b"x"), ("a.zip", b"PK\x03\x04"), ("a.com", b"x")] {
        assert!(declared(program, name, content).contains(&Code::ExecutableAttachment), "{name}");
    }
    assert!(declared("application/hta", "a.txt", b"a text").contains(&Code::ScriptAttachment));
}

#[test]
fn an_address_is_no_program() {
    assert_eq!(named("ann@company.com", b"hello there"), []);
    assert_eq!(named("ann@company.com", b"%PDF-1.7"), []);
    let pe = [&b"MZ\x90\0"[..], &[0; 80]].concat();
    for (name, content) in [
        ("ann@company.com", &pe[..]),
        ("ann@company.com", b"\xb4\x09\xcd\x21\0"),
        ("company.com", b"x"),
        ("ann@company.exe", b"x"),
    ] {
        assert_eq!(named(name, content), [Code::ExecutableAttachment], "{name}");
    }
}

#[test]
fn a_container_is_known_by_its_bytes_wherever_it_lies() {
    let container = |fields: &[u8], content: &[u8]| mail(fields, content).parts.last().unwrap().container;
    assert_eq!(container(b"Content-Type: text/plain", b"PK\x03\x04 and more"), Some(Kind::Zip));
    assert_eq!(container(b"Content-Type: image/png; name=a.png", b"\x1f\x8b\x08"), Some(Kind::Gzip));
    assert_eq!(container(b"Content-Type: application/zip; name=a.zip", b"text"), None);
    let hidden = [&b"\xff\xd8\xff\xe0"[..], &vec![7; 100_000], b"PK\x05\x06 and more"].concat();
    assert_eq!(container(b"Content-Type: image/jpeg", &hidden), Some(Kind::Carrier));
    // In a mail that is itself encoded, and in the body.
    let inner = b"From: a@b.example\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBAAAAAAAAAAA\r\n";
    assert_eq!(container(b"Content-Type: message/rfc822", inner), Some(Kind::Zip));
    let body = parse(inner, &Limits::default(), &[]).unwrap();
    assert_eq!(body.parts[0].container, Some(Kind::Zip));
}
