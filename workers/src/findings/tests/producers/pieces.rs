//! What mails are put together from.

use base64::{Engine, prelude::BASE64_STANDARD};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

pub(super) const WORDS: [&str; 24] = [
    "river", "table", "seven", "green", "paper", "cloud", "north", "corner", "modern", "bell", "wool", "claim",
    "order", "meeting", "invoice", "thanks", "regards", "project", "budget", "a", "the", "of", "and", "with",
];
pub(super) const NAMES: [&str; 10] = [
    "Ann Lee",
    "J\u{f6}rg M\u{fc}ller",
    "\u{418}\u{432}\u{430}\u{43d} \u{41f}\u{435}\u{442}\u{440}\u{43e}\u{432}",
    "\u{7530}\u{4e2d} \u{592a}\u{90ce}",
    "O'Neil, Pat",
    "Sales (EMEA)",
    "Zo\u{eb}",
    "Dr. A. B. Smith-Jones",
    "noreply",
    "\u{5d3}\u{5e0}\u{5d4}",
];
pub(super) const DOMAINS: [&str; 14] = [
    "river.example",
    "mail.river.example",
    "north-cloud.test",
    "paper.co.uk",
    "bells.example",
    "wools.example",
    "modernmail.example",
    "corners.example",
    "xn--mller-kva.example",
    "acme.example",
    "example.com",
    "claims.example",
    "green.github.io",
    "news.green.example",
];

pub(super) fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    *from.choose(rng).unwrap()
}

pub(super) fn words(rng: &mut StdRng, most: usize) -> String {
    let count = rng.random_range(1..=most);
    (0..count).map(|_| pick(rng, &WORDS)).collect::<Vec<_>>().join(" ")
}

/// Lines of text with the given line end; some are empty.
pub(super) fn text(rng: &mut StdRng, lines: usize) -> String {
    let count = rng.random_range(1..=lines);
    (0..count).map(|_| if rng.random_ratio(1, 6) { "\n".to_owned() } else { words(rng, 12) + "\n" }).collect()
}

pub(super) fn encoded(word: &str) -> String {
    if word.is_ascii() { word.to_owned() } else { format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(word)) }
}

pub(super) fn address(rng: &mut StdRng) -> String {
    let local = format!("{}.{}", pick(rng, &WORDS), rng.random_range(1..999));
    format!("{local}@{}", pick(rng, &DOMAINS))
}

pub(super) fn mailbox(rng: &mut StdRng) -> String {
    let (name, address) = (pick(rng, &NAMES), address(rng));
    match rng.random_range(0..4) {
        0 => address,
        _ if !name.is_ascii() => format!("{} <{address}>", encoded(name)),
        _ => format!("\"{name}\" <{address}>"),
    }
}

pub(super) fn date(rng: &mut StdRng) -> String {
    let day = pick(rng, &["Mon, 2", "Tue, 3", "Wed, 4"]);
    let zone = pick(rng, &["+0000", "-0800", "+0530", "GMT", "+0100 (CET)"]);
    format!(
        "{day} Nov 2026 {:02}:{:02}:{:02} {zone}",
        rng.random_range(0..24),
        rng.random_range(0..60),
        rng.random_range(0..60)
    )
}

/// The fields that every mail has, after what servers put before them.
pub(super) fn head(rng: &mut StdRng) -> String {
    let mut head = String::new();
    for hop in 0..rng.random_range(0..5) {
        head += &format!(
            "Received: from mx{hop}.{} (mx{hop} [192.0.2.{hop}])\n\tby in.example.org with ESMTPS id {:x}\n\tfor <desk@example.org>; {}\n",
            pick(rng, &DOMAINS),
            rng.random::<u64>(),
            date(rng)
        );
    }
    if rng.random_bool(0.5) {
        let signature = base64(rng, 192).replace('\n', "\n ");
        head += &format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={}; s=k1;\n h=from:to:subject; bh=abc=; b={}\n",
            pick(rng, &DOMAINS),
            signature.trim_end()
        );
    }
    let subject = if rng.random_ratio(1, 4) { encoded("Gr\u{fc}\u{df}e \u{2013} \u{1f389}") } else { words(rng, 8) };
    let to = (0..rng.random_range(1..4)).map(|_| mailbox(rng)).collect::<Vec<_>>().join(",\n ");
    head += &format!(
        "Message-ID: <{:x}@{}>\nDate: {}\nFrom: {}\nTo: {to}\nSubject: {subject}\n",
        rng.random::<u64>(),
        pick(rng, &DOMAINS),
        date(rng),
        mailbox(rng)
    );
    if rng.random_ratio(1, 3) {
        head += &format!(
            "Cc: {}\nReply-To: {}\nReferences: <a@b.example>\n <c@d.example>\nIn-Reply-To: <c@d.example>\n",
            mailbox(rng),
            mailbox(rng)
        );
    }
    head
}

pub(super) fn crlf(mail: String) -> Vec<u8> {
    mail.replace('\n', "\r\n").into_bytes()
}

pub(super) fn base64(rng: &mut StdRng, bytes: usize) -> String {
    let content: Vec<u8> = (0..bytes).map(|_| rng.random()).collect();
    lines_of_base64(&content)
}

pub(super) fn lines_of_base64(content: &[u8]) -> String {
    content.chunks(57).map(|line| BASE64_STANDARD.encode(line) + "\n").collect()
}

/// Quoted-printable with its soft line breaks (RFC 2045 §6.7).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for line in text.split('\n') {
        let mut width = 0;
        for byte in line.bytes() {
            let piece = if byte.is_ascii_graphic() && byte != b'=' || byte == b' ' {
                char::from(byte).to_string()
            } else {
                format!("={byte:02X}")
            };
            if width + piece.len() > 75 {
                out += "=\n";
                width = 0;
            }
            width += piece.len();
            out += &piece;
        }
        out += "\n";
    }
    out
}

pub(super) fn boundary(rng: &mut StdRng, style: &str) -> String {
    style.replace('#', &format!("{:012x}", rng.random::<u64>()))
}

pub(super) fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("Content-Type: {kind}; boundary=\"{boundary}\"\n\n{parts}--{boundary}--\n")
}

pub(super) fn html(rng: &mut StdRng, rows: usize) -> String {
    let count = rng.random_range(1..=rows);
    let row = |rng: &mut StdRng| {
        format!(
            "<tr><td style=\"color:#333;padding:4px\"><a href=\"https://{}/{}\">{}</a></td></tr>\n",
            pick(rng, &DOMAINS),
            pick(rng, &WORDS),
            words(rng, 8)
        )
    };
    let rows: String = (0..count).map(|_| row(rng)).collect();
    format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><style>td {{ color: red }}</style></head><body><table>\n{rows}</table></body></html>\n"
    )
}

pub(super) fn alternative(rng: &mut StdRng, style: &str, charset: &str) -> String {
    let inner = boundary(rng, style);
    let (text, html) = (quoted(&text(rng, 20)), quoted(&html(rng, 20)));
    let part = |kind: &str, body: &str| {
        format!("Content-Type: {kind}; charset=\"{charset}\"\nContent-Transfer-Encoding: quoted-printable\n\n{body}")
    };
    multipart("multipart/alternative", &inner, &[part("text/plain", &text), part("text/html", &html)])
}

pub(super) fn message(rng: &mut StdRng) -> String {
    format!("{}\n{}", head(rng), text(rng, 10))
}
