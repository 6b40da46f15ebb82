//! Mails that hide a payload by being readable in two ways. Whatever the trick, the payload is among what is scanned
//! (a part that decodes to it), or the mail goes no further.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::ordinary::{admission, stopped};
use crate::mail::{decode::PartReader, limits::Limits, parse::parse};

/// Stands in for a virus.
const PAYLOAD: &str = "X5O!P%@AP[4 a harmless text in place of the test virus, long enough for two lines of base64 \
                       and some more";

/// Ways to write the type of the whole; `b1` is the boundary that encloses the parts.
const TYPES: [&str; 22] = [
    "Content-Type: multipart/mixed; boundary=b1",
    "Content-Type: multipart/mixed; boundary=b1; boundary=zz",
    "Content-Type: multipart/mixed; boundary=zz; boundary=b1",
    "Content-Type: multipart/mixed; boundary=zz\nContent-Type: multipart/mixed; boundary=b1",
    "Content-Type: multipart/mixed; boundary=b1\nContent-Type: text/plain",
    "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b1",
    "Content-Type: multipart/mixed; boundary*0=b; boundary*1=1",
    "Content-Type: multipart/mixed; boundary*=us-ascii''b1",
    "Content-Type: multipart/mixed; boundary=(comment)b1",
    "Content-Type: multipart/mixed; boundary=\"b1",
    "Content-Type: multipart/mixed boundary=b1",
    "Content-Type: multipart/mixed; boundary",
    "Content-Type : multipart/mixed; boundary=b1",
    "Content-Type\t: multipart/mixed; boundary=b1",
    "X-A: b\rContent-Type: multipart/mixed; boundary=b1",
    "X-A: b\0\nContent-Type: multipart/mixed; boundary=b1",
    "Content-Type: multipart/mixed;\n\n boundary=b1",
    "Content-Type: multipart /mixed; boundary=b1",
    "Content-Type: multipart /mixed; boundary=b1\nContent-Transfer-Encoding: quoted-printable",
    "Content-Type: =?utf-8?q?multipart/mixed?=; boundary=b1",
    "Content-Type: =?utf-8?q?multipart/mixed=3B_boundary=3Db1?=",
    "Content-Type: text/plain; =?utf-8?q?boundary=3Db1?=",
];

/// Ways to write the encoding of the part that holds the payload.
const ENCODINGS: [&str; 12] = [
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: BASE64 ",
    "Content-Transfer-Encoding: base64;",
    "Content-Transfer-Encoding: \"base64\"",
    "Content-Transfer-Encoding: base64 (comment)",
    "Content-Transfer-Encoding: (comment) base64",
    "Content-Transfer-Encoding: x-base64",
    "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit",
    "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64",
    "Content-Transfer-Encoding:\n base64",
    "Content-Transfer-Encoding : base64",
    "Content-Transfer-Encoding: base64\nno field",
];

/// Ways to write a delimiter line, its line end included.
const DELIMITERS: [&str; 9] =
    ["--b1\n", "--b1 \n", "--b1\t\n", "--b1x\n", " --b1\n", "--b1--\n\n--b1\n", "x--b1\n", "\r--b1\n", "--b1\rX: y\n"];

/// Ways to write the encoded payload.
fn bodies() -> Vec<String> {
    let encoded = BASE64_STANDARD.encode(PAYLOAD);
    let (head, tail) = encoded.split_at(40);
    let wrapped: String =
        encoded.as_bytes().chunks(7).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    vec![
        format!("{encoded}\n"),
        wrapped,
        format!("{head}!{tail}\n"),
        format!("{head} \t\n\n{tail}\n"),
        format!("{head}=={tail}\n"),
        format!("={head}{tail}\n"),
        format!("{}\n", encoded.trim_end_matches('=')),
        format!("comment: x\n\n{encoded}\n"),
    ]
}

fn mail(content_type: &str, encoding: &str, delimiter: &str, body: &str) -> Vec<u8> {
    let raw = format!(
        "From: Ann <ann@a.example>\nTo: desk@example.org\nSubject: Hi\nDate: Tue, 24 Nov 2026 10:00:00 +0100\n\
         MIME-Version: 1.0\n{content_type}\n\n--b1\n\nhello\n{delimiter}Content-Type: application/octet-stream\n\
         {encoding}\n\n{body}--b1--\n"
    );
    raw.replace('\n', "\r\n").into_bytes()
}

/// Whether a part decodes to something that holds the payload.
fn is_scanned(raw: &[u8]) -> bool {
    let parts = parse(raw, &Limits::default(), &[]).map(|mail| mail.parts).unwrap_or_default();
    parts.iter().any(|part| {
        let mut reader = PartReader::new(&part.address);
        let range = reader.outer_range();
        let mut decoded = Vec::new();
        reader.push(&raw[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()], &mut decoded);
        reader.finish(&mut decoded);
        decoded.windows(PAYLOAD.len()).any(|window| window == PAYLOAD.as_bytes())
    })
}

#[test]
fn whatever_the_trick_the_payload_is_scanned_or_the_mail_is_stopped() {
    let (admission, bodies) = (admission(), bodies());
    let mut variants = Vec::new();
    for content_type in TYPES {
        for encoding in ENCODINGS {
            variants.push((content_type, encoding, DELIMITERS[0], &bodies[0]));
        }
        for delimiter in DELIMITERS {
            for body in &bodies {
                variants.push((content_type, ENCODINGS[0], delimiter, body));
            }
        }
    }
    let (mut scanned, mut missed) = (0, Vec::new());
    for variant in &variants {
        let (content_type, encoding, delimiter, body) = *variant;
        let raw = mail(content_type, encoding, delimiter, body);
        let is_stopped = stopped(&admission, &raw).0.is_some();
        scanned += usize::from(!is_stopped);
        if !is_stopped && !is_scanned(&raw) {
            missed.push(variant);
        }
    }
    assert!(variants.len() > 1_400, "{}", variants.len());
    assert!(scanned > 20, "{scanned}: everything is stopped, whether it hides something or not");
    assert!(missed.is_empty(), "{} of {} missed: {missed:?}", missed.len(), variants.len());
}
