//! Parsing, from raw bytes to the mail: ordinary mails, damaged ones, and those made to hurt.
//!
//! Whatever the mail, every part's address is read back from the raw bytes and must give the digest that the
//! parse gave: what is scanned is what is delivered.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mailtri::mail::decode::{Encoding, PartReader};
use mailtri::mail::limits::Limits;
use mailtri::mail::model::{FindingCode, IntentSource, ParsedMail, PartRole, Severity};
use mailtri::mail::parse::{Refusal, RefusalCode, parse};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use shared::pii::Pii;

const EICAR_LIKE: &str = "X5O!P%@AP[4 a harmless text that stands in for the test virus";

fn run(raw: &[u8]) -> Result<ParsedMail, Refusal> {
    let mail = parse(raw, &Limits::default(), &[])?;
    mail.parts.iter().for_each(|part| {
        let mut reader = PartReader::new(&part.address);
        let range = reader.outer_range();
        let outer = &raw[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let mut decoded = Vec::new();
        outer.chunks(1_000).for_each(|chunk| reader.push(chunk, &mut decoded));
        reader.finish(&mut decoded);
        assert_eq!(decoded.len() as u64, part.content.len, "{:?}", part.address);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&decoded)), part.content.sha256, "{:?}", part.address);
    });
    Ok(mail)
}

fn read(raw: &str) -> ParsedMail {
    run(raw.as_bytes()).unwrap()
}

/// A mail with CRLF line breaks, from lines with the headers that every mail has.
fn mail(rest: &str) -> String {
    format!("From: Ann <ann@a.example>\nTo: box@b.example\nSubject: Hi\nDate: Tue, 24 Nov 2026 10:00:00 +0100\n{rest}")
        .replace('\n', "\r\n")
}

fn multipart(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b1\n{part}\n")).collect();
    mail(&format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n{parts}--b1--\n"))
}

fn attachment(name: &str, body: &str) -> String {
    format!(
        "Content-Type: application/octet-stream; name=\"{name}\"\nContent-Disposition: attachment; filename=\"{name}\"\n\
         Content-Transfer-Encoding: base64\n\n{}",
        wrapped(body.as_bytes())
    )
}

fn wrapped(bytes: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(bytes);
    let lines: Vec<_> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

fn worst(mail: &ParsedMail) -> Option<Severity> {
    mail.findings.iter().map(|finding| finding.severity).max()
}

fn found(mail: &ParsedMail, code: FindingCode) -> Option<Severity> {
    mail.findings.iter().filter(|finding| finding.code == code).map(|finding| finding.severity).max()
}

fn contents(raw: &str, mail: &ParsedMail) -> Vec<String> {
    let content = |part: &mailtri::mail::model::Part| {
        let mut reader = PartReader::new(&part.address);
        let range = reader.outer_range();
        let mut out = Vec::new();
        reader.push(
            &raw.as_bytes()[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()],
            &mut out,
        );
        reader.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    mail.parts.iter().map(content).collect()
}

fn text(mail: &ParsedMail) -> &str {
    mail.text.as_ref().unwrap().expose()
}

#[test]
fn an_ordinary_mail_comes_out_whole_and_without_findings() {
    let html = "<html><body><p>Hello <b>you</b><img src=\"cid:i1\"></p></body></html>";
    let raw = multipart(&[
        &format!(
            "Content-Type: multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/plain; charset=iso-8859-1\n\
             Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe=\n!\n--b2\nContent-Type: text/html\n\n{html}\n--b2--"
        ),
        "Content-Type: image/png\nContent-ID: <i1>\nContent-Disposition: inline\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=",
        &attachment("report.pdf", "%PDF-1.4"),
    ]);
    let mail = read(&raw);
    assert_eq!(mail.findings, []);
    assert_eq!(text(&mail), "Grüße!");
    assert_eq!(mail.html.as_ref().unwrap().expose(), "<p>Hello <b>you</b><img src=\"cid:i1\"></p>\n");
    assert_eq!(mail.from[0].address.expose(), "ann@a.example");
    assert_eq!(mail.from[0].name.as_ref().unwrap().expose(), "Ann");
    assert_eq!(mail.date.unwrap().to_string(), "2026-11-24T09:00:00Z");
    assert_eq!(mail.headers.len(), 6);
    assert_eq!(mail.headers[5].name, "Content-Type");
    let parts: Vec<_> = mail.parts.iter().map(|part| (part.content_type.as_str(), part.role)).collect();
    assert_eq!(
        parts,
        [
            ("text/plain", PartRole::Body),
            ("text/html", PartRole::Body),
            ("image/png", PartRole::Inline),
            ("application/octet-stream", PartRole::Attachment)
        ]
    );
    assert_eq!(mail.parts[2].content_id.as_ref().unwrap().expose(), "i1");
    assert_eq!(mail.parts[3].name.as_ref().unwrap().expose(), "report.pdf");
    assert_eq!(contents(&raw, &mail)[3], "%PDF-1.4");
}

#[test]
#[rustfmt::skip]
fn ordinary_and_slightly_sloppy_mails_are_not_stopped() {
    for (what, raw) in [
        ("plain", mail("\nhello\n")),
        ("no body", mail("\n")),
        ("headers alone", mail("")),
        ("LF alone", mail("\nhello\n").replace('\r', "")),
        ("mbox line", format!("From ann@a.example Tue Nov 24\r\n{}", mail("\nhello\n"))),
        ("8 bit", mail("\ngrüße\n")),
        ("no closing boundary", multipart(&["\nhello", &attachment("a", "b")]).replace("--b1--\r\n", "")),
        ("no last line break", multipart(&["\nhello"]).trim_end().to_owned()),
        ("close delimiter in the last line", multipart(&["\nhello"]).replace("hello\r\n--b1--", "hello--b1--")),
        ("truncated", multipart(&["\nhello", &attachment("a", &"b".repeat(1_000))]).split_at(700).0.to_owned()),
        ("inner multipart not closed", multipart(&["Content-Type: multipart/alternative; boundary=b2\n\n--b2\n\nhi", "\nrest"])),
        ("headers of a bounced mail", multipart(&["\nfailed", "Content-Type: message/rfc822\n\nFrom: a@b.example\nContent-Type: multipart/mixed; boundary=x\n", ])),
        ("filename twice, old and new", multipart(&["Content-Disposition: attachment; filename=a.txt; filename*=UTF-8''b.txt\n\nx"])),
        ("two To, two MIME-Version", mail("To: c@d.example\nMIME-Version: 1.0\nMIME-Version: 1.0\n\nx")),
        ("footer after base64", mail("Content-Transfer-Encoding: base64\n\naGVsbG8=\n____\nlist footer\n")),
        ("encoding that is a charset", mail("Content-Transfer-Encoding: utf-8\n\nhello\n")),
        ("space before the colon", mail("X-Old : yes\n\nhello\n")),
        ("preamble and epilogue", mail("Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\nhello\n--b--\npost\n")),
    ] {
        let mail = read(&raw);
        assert!(worst(&mail) < Some(Severity::Ambiguous), "{what}: {:?}", mail.findings);
    }
}

#[test]
#[rustfmt::skip]
fn structure_that_can_be_read_in_two_ways_is_ambiguous() {
    use FindingCode::{
        BareCrInHeaders, BoundaryDamaged, EncodingConflict, EncodingDamaged, HeadersMissing, NulInHeaders,
        ParameterConflict, PartHeadersDamaged, RepeatedHeader,
    };
    let two_boundaries = "Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b\n\nx\n--c\n\ny\n--b--\n--c--\n";
    for (what, raw, code) in [
        ("two From", mail("From: eve@c.example\n\nx"), RepeatedHeader),
        ("NUL", mail("X-A: b\0c\n\nx"), NulInHeaders),
        ("bare CR", mail("X-A: b\rSubject: c\n\nx"), BareCrInHeaders),
        ("no headers", "\r\nhello".to_owned(), HeadersMissing),
        ("two boundaries", mail(two_boundaries), ParameterConflict),
        ("two types", mail("Content-Type: text/plain\nContent-Type: text/html\n\nx"), ParameterConflict),
        ("two names", multipart(&["Content-Disposition: attachment; filename=a.txt; filename=b.exe\n\nx"]), ParameterConflict),
        ("base64 in disguise", mail("Content-Transfer-Encoding: base64;\n\naGVsbG8=\n"), EncodingConflict),
        ("uuencode", mail("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n"), EncodingConflict),
        ("padding out of place", mail("Content-Transfer-Encoding: base64\n\naG=VsbG8=\n"), EncodingDamaged),
        ("boundary never comes", mail("Content-Type: multipart/mixed; boundary=b\n\n--c\n\nx\n--c--\n"), BoundaryDamaged),
        ("no boundary", mail("Content-Type: multipart/mixed\n\n--c\n\nx\n--c--\n"), BoundaryDamaged),
        ("closed before it opens", mail("Content-Type: multipart/mixed; boundary=b\n\nx\n--b--\n"), BoundaryDamaged),
        ("delimiter within a line", mail("Content-Type: multipart/mixed; boundary=b\n\nx --b\n\ny\n--b--\n"), BoundaryDamaged),
        ("payload among headers", multipart(&["Content-Type: text/plain\nX5O!P payload\n"]), PartHeadersDamaged),
        ("blank line with a space", multipart(&["Content-Type: text/plain\n \nContent-Transfer-Encoding: base64\n\naGVsbG8="]), PartHeadersDamaged),
    ] {
        let mail = read(&raw);
        assert_eq!(found(&mail, code), Some(Severity::Ambiguous), "{what}: {:?}", mail.findings);
    }
}

#[test]
fn base64_with_a_stray_byte_is_decoded_and_noted() {
    let encoded = wrapped(EICAR_LIKE.as_bytes());
    let (head, tail) = encoded.split_at(10);
    let raw = multipart(&[&format!(
        "Content-Type: application/x-msdownload\nContent-Transfer-Encoding: base64\n\n{head}!{tail}"
    )]);
    let mail = read(&raw);
    assert_eq!(contents(&raw, &mail), [EICAR_LIKE]);
    assert_eq!(found(&mail, FindingCode::EncodingDamaged), Some(Severity::Warning));
}

#[test]
fn nested_messages_are_walked_into_plain_and_encoded() {
    let inner = multipart(&["\ninner text", &attachment("inner.txt", EICAR_LIKE)]);
    let twice = multipart(&[
        "\nmiddle",
        &format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}", wrapped(inner.as_bytes())),
    ]);
    for (what, raw, depth) in [
        (
            "plain",
            multipart(&[
                "\nouter",
                &format!("Content-Type: message/rfc822\n\n{}", inner.replace("b1", "b3").replace('\r', "")),
            ]),
            1,
        ),
        (
            "base64",
            multipart(&[
                "\nouter",
                &format!(
                    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
                    wrapped(inner.as_bytes())
                ),
            ]),
            2,
        ),
        (
            "base64 twice",
            multipart(&[
                "\nouter",
                &format!(
                    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
                    wrapped(twice.as_bytes())
                ),
            ]),
            3,
        ),
    ] {
        let mail = read(&raw);
        assert_eq!(text(&mail), "outer", "{what}");
        let last = mail.parts.last().unwrap();
        assert_eq!((last.address.0.len(), last.role), (depth, PartRole::Attachment), "{what}");
        assert_eq!(contents(&raw, &mail).last().unwrap(), EICAR_LIKE, "{what}");
    }
}

#[test]
fn what_lies_beyond_a_limit_is_covered_as_one_binary_part() {
    let stacked = "Content-Type: message/rfc822\n\n".repeat(30_000) + EICAR_LIKE;
    let many = multipart(&vec!["\nx"; 3_000]);
    let mut matryoshka = mail("\ninnermost");
    for _ in 0..5 {
        matryoshka = mail(&format!(
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}\n",
            wrapped(matryoshka.as_bytes())
        ));
    }
    let boundaries =
        (0..200).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}x\n\n--b{n}x\n")).collect::<String>();
    for (what, raw, code) in [
        ("messages", stacked, FindingCode::DepthExceeded),
        ("parts", many, FindingCode::PartsExceeded),
        ("encoded messages", matryoshka, FindingCode::DepthExceeded),
        ("multiparts", mail(&format!("{boundaries}\n{EICAR_LIKE}")), FindingCode::DepthExceeded),
    ] {
        let mail = read(&raw);
        assert_eq!(found(&mail, code), Some(Severity::Ambiguous), "{what}: {:?}", mail.findings);
        let last = mail.parts.last().unwrap();
        let outer = last.address.outer_range();
        assert!(raw.len() as u64 - outer.end < 100, "{what}: the end of the mail is not covered");
        assert!(mail.parts.len() <= 1_001, "{what}");
    }
}

#[test]
fn reading_parts_of_encoded_messages_cannot_cost_more_than_allowed() {
    let inner = multipart(&vec!["\nx"; 100]);
    let raw = multipart(&[&format!(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
        wrapped(inner.as_bytes())
    )]);
    let limits = Limits { encoded_work: 10 * raw.len() as u64, ..Limits::default() };
    let mail = parse(raw.as_bytes(), &limits, &[]).unwrap();
    assert_eq!(found(&mail, FindingCode::PartsExceeded), Some(Severity::Ambiguous));
    assert_eq!(mail.parts.len(), 1);
    assert_eq!(mail.parts[0].address.0[0].encoding, Encoding::Base64);
    assert_eq!(mail.parts[0].content.len, inner.len() as u64);
}

#[test]
fn quadratic_html_is_dropped_and_the_text_kept() {
    let html = format!("<p>Read me</p>{}", "<div>".repeat(50_000));
    let raw = mail(&format!("Content-Type: text/html\n\n{html}\n"));
    let mail_ = read(&raw);
    assert_eq!(found(&mail_, FindingCode::HtmlRefused), Some(Severity::Warning));
    assert_eq!((mail_.html.as_ref(), text(&mail_).trim()), (None, "Read me"));
    let huge = read(&mail(&format!("Content-Type: text/html\n\n{}\n", "<p>x</p>".repeat(200_000))));
    assert_eq!(found(&huge, FindingCode::HtmlRefused), Some(Severity::Warning));
    assert!(text(&huge).len() <= Limits::default().text);
}

#[test]
fn html_alone_gives_its_text_and_scripts_are_noted() {
    let mail = read(&mail(
        "Content-Type: text/html; charset=utf-8\n\n<h1>Hi</h1><script>evil()</script><p>you &amp; me</p>\n",
    ));
    assert_eq!(found(&mail, FindingCode::ActiveContentRemoved), Some(Severity::Info));
    assert_eq!(mail.html.as_ref().unwrap().expose(), "<h1>Hi</h1><p>you &amp; me</p>\n\n");
    assert!(text(&mail).contains("you & me") && !text(&mail).contains("evil"));
}

#[test]
fn what_is_long_is_cut_and_noted() {
    let long = mail(&format!("X-Long: {}\n\n{}", "a".repeat(20_000), "é ".repeat(600_000)));
    let cut = read(&long);
    assert_eq!(found(&cut, FindingCode::TextTruncated), Some(Severity::Warning));
    assert_eq!(found(&cut, FindingCode::HeadersExceeded), Some(Severity::Warning));
    assert!(text(&cut).len() <= 1 << 20 && cut.headers.iter().all(|field| field.value.expose().len() <= 8_192));
    let many = read(&mail(&format!("{}\nx", "X-Many: a\n".repeat(600))));
    assert_eq!((many.headers.len(), found(&many, FindingCode::HeadersExceeded)), (500, Some(Severity::Ambiguous)));
}

#[test]
fn names_and_subject_are_safe_to_show() {
    let raw = multipart(&["Content-Disposition: attachment; filename*=UTF-8''..%2Finvoice%E2%80%AEfdp.exe\n\nx"])
        .replace("Subject: Hi", "Subject: =?utf-8?q?a=E2=80=AEb=1B=5Bm?=");
    let mail = read(&raw);
    assert_eq!(mail.subject.as_ref().unwrap().expose(), "ab[m");
    assert_eq!(mail.parts[0].name.as_ref().unwrap().expose(), ".._invoicefdp.exe");
    assert_eq!(found(&mail, FindingCode::ControlCharacters), Some(Severity::Warning));
    let bidi = mail.findings.iter().filter(|finding| finding.code == FindingCode::BidiCharacters);
    assert_eq!(bidi.map(|finding| finding.place.as_str()).collect::<Vec<_>>(), ["part 2", "header Subject"]);
}

#[test]
fn commands_are_found_in_their_order() {
    let raw = mail("\n#task from the body\n").replace("Subject: Hi", "Subject: Send Invoice: Q1");
    let source = |recipient: &str| {
        let recipients = [Pii::new(recipient.to_owned())];
        parse(raw.as_bytes(), &Limits::default(), &recipients).unwrap().intent.unwrap().source
    };
    assert_eq!(source("task+notion@b.example"), IntentSource::Recipient);
    assert_eq!(source("box@b.example"), IntentSource::Subject);
    assert_eq!(read(&mail("\n#task from the body\n")).intent.unwrap().command, "task");
}

#[test]
fn what_is_no_mail_is_refused_with_a_reason() {
    let limits = Limits { raw: 1_000, ..Limits::default() };
    let refused = |raw: &[u8]| parse(raw, &limits, &[]).map_err(|refusal| refusal.code).err();
    assert_eq!(refused(b""), Some(RefusalCode::Empty));
    assert_eq!(refused(b"neither headers nor an empty line"), Some(RefusalCode::NotAMail));
    assert_eq!(refused(&[b'a'; 1_001]), Some(RefusalCode::TooLarge));
    let headers = |raw: String| run(raw.as_bytes()).map_err(|refusal| refusal.code).err();
    assert_eq!(headers("A: b\r\n".repeat(1_000_000)), Some(RefusalCode::HeadersTooLarge));
    assert_eq!(headers(format!("A: {}\r\n\r\n", "b".repeat(2 << 20))), Some(RefusalCode::HeadersTooLarge));
}

/// Pieces of mails, for putting together wrongly.
#[rustfmt::skip]
const PIECES: [&str; 26] = [
    "From: a@b.example\r\n", "Subject: x\r\n", "\r\n", "\r\n\r\n", "--b\r\n", "--b--\r\n", "--c\r\n", "--c--",
    "hello", "\n", " ", "\0", "\r", "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=\"c\"\r\n", "Content-Type: message/rfc822\r\n",
    "Content-Type: text/html\r\n", "Content-Type: ", "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n", "RnJvbTogYUBiLmV4YW1wbGUNCg0KaGVsbG8=\r\n",
    "Q29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KPGI+aGk=\r\n", "=41=\r\n", "<p>x<script>y", "; name=\"a/b\"", "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_pieces_give_a_mail_or_a_refusal_and_true_addresses(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40)) {
        let raw = pieces.concat();
        if let Ok(mail) = run(raw.as_bytes()) {
            prop_assert!(mail.parts.len() <= 1_001);
        }
    }

    #[test]
    fn any_damage_to_a_mail_gives_a_mail_or_a_refusal_and_true_addresses(at in 0usize..2_000, with in any::<u8>(), cut in 0usize..2_000) {
        let inner = multipart(&["\ninner", &attachment("x", EICAR_LIKE)]);
        let encoded = format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}", wrapped(inner.as_bytes()));
        let mut raw = multipart(&["\nouter", &encoded]).into_bytes();
        let len = raw.len();
        raw[at % len] = with;
        raw.truncate(len - cut % len);
        let _ = run(&raw).map_err(|refusal| refusal.code);
    }
}
