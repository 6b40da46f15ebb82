//! 300 mails from a seed, like the corpus that the goals were measured with: mean 312 KB, 223 with an HTML body of 42 KB on
//! average, a third with attachments.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

const MAILS: usize = 300;
const WITH_HTML: usize = 223;
/// What the attachments come to in all, decoded.
const ATTACHED: usize = 58_000_000;
const WORDS: [&str; 24] = [
    "invoice", "delivery", "the", "of", "your", "order", "meeting", "and", "please", "with", "report", "for", "team",
    "new", "offer", "Grüße", "café", "in", "to", "we", "about", "tomorrow", "quarter", "results",
];

/// The corpus.
pub(super) fn generate() -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(312);
    (0..MAILS).map(|number| mail(number, &mut rng)).collect()
}

fn mail(number: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut mail = format!(
        "Received: from mx.sender.example ([192.0.2.1]) by mail.example; Tue, 24 Nov 2026 10:00:00 +0000\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=s; h=from:subject; bh=x; b={}\r\n\
         From: \"Ada {number}\" <ada{number}@sender.example>\r\nTo: desk@mail.example\r\nSubject: {}\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@sender.example>\r\nMIME-Version: 1.0\r\n",
        BASE64_STANDARD.encode(number.to_string().repeat(60)),
        words(6, rng)
    );
    let attachments = if number % 3 == 1 { 1 + number % 2 } else { 0 };
    if attachments > 0 {
        mail.push_str("Content-Type: multipart/mixed; boundary=mix\r\n\r\n--mix\r\n");
    }
    // Spread over the corpus, exactly so many.
    if number * WITH_HTML / MAILS != (number + 1) * WITH_HTML / MAILS {
        let html = newsletter(number, rng);
        let _ = write!(
            mail,
            "Content-Type: multipart/alternative; boundary=alt\r\n\r\n--alt\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--alt\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--alt--\r\n",
            quoted_printable(&words(250, rng)),
            quoted_printable(&html)
        );
    } else {
        let text = quoted_printable(&words(900, rng));
        let _ = write!(
            mail,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{text}\r\n"
        );
    }
    for attachment in 0..attachments {
        // Half of them small, a few very large: the mean is what is missing for the total.
        let size = ATTACHED / 150 * [1, 1, 2, 8][(number / 3 + attachment) % 4] / 3;
        let mut content = vec![0; size];
        rng.fill_bytes(&mut content);
        let _ = write!(
            mail,
            "--mix\r\nContent-Type: application/pdf; name=\"report {attachment}.pdf\"\r\nContent-Disposition: attachment; \
             filename=\"report {attachment}.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        for line in BASE64_STANDARD.encode(content).as_bytes().chunks(76) {
            mail.push_str(std::str::from_utf8(line).unwrap());
            mail.push_str("\r\n");
        }
    }
    if attachments > 0 {
        mail.push_str("--mix--\r\n");
    }
    mail.into_bytes()
}

/// A newsletter as they are: tables in tables, a style at every element, tracked links; one in twenty with something that
/// does not belong into a mail, one in ten with tags in bad order.
fn newsletter(number: usize, rng: &mut StdRng) -> String {
    let mut html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>{}</title><style>{}</style>\
         <!--[if mso]><style>td{{font-family:Arial}}</style><![endif]--></head><body bgcolor=\"#f4f4f4\" style=\"margin:0;padding:0\">\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\"><tr><td align=\"center\">\n",
        words(4, rng),
        ".a{color:red;padding:0} @media (max-width:600px){.b{width:100%!important}}\n".repeat(40)
    );
    let length = 15_000 + (number * 7919) % 54_000;
    while html.len() < length {
        block(&mut html, rng);
    }
    if number.is_multiple_of(20) {
        html.push_str("<script>track()</script><form action=\"https://a.example/\"><input name=\"mail\"></form><p onclick=\"x()\">x</p>");
    }
    if number % 10 == 3 {
        html.push_str("<b><i>bold</b> both</i><p><div>x</p></div><font color=\"red\"><table><tr></font><td>x</table>");
    }
    html.push_str(
        "</td></tr></table><img src=\"https://t.example/open.gif\" width=\"1\" height=\"1\"></body></html>\n",
    );
    html
}

fn block(html: &mut String, rng: &mut StdRng) {
    let number: u32 = rng.random_range(0..100_000);
    let _ = write!(
        html,
        "<table class=\"b\" width=\"600\" border=\"0\" cellpadding=\"0\" cellspacing=\"0\" style=\"border-collapse:collapse;width:600px;\
         max-width:600px;mso-table-lspace:0pt\"><tr><td class=\"a\" valign=\"top\" style=\"padding:20px 30px 20px 30px;font-family:\
         Helvetica,Arial,sans-serif;font-size:16px;line-height:24px;color:#333333;background-color:#ffffff\">\n\
         <h2 style=\"margin:0 0 10px 0;font-size:22px\">{}</h2>\n<p style=\"margin:0 0 16px 0\">{}&nbsp;&amp; {} <strong>{}</strong><br>\
         {} <span style=\"color:#999999;font-size:12px\">{}</span></p>\n\
         <a href=\"https://click.example/ls/click?upn={number}&amp;c={number}&amp;utm_source=mail&amp;utm_medium=email\" target=\"_blank\" \
         style=\"display:inline-block;padding:12px 24px;background:#0066cc;color:#ffffff;text-decoration:none;border-radius:4px\">{}</a>\n\
         <img src=\"https://img.example/{number}.png\" alt=\"{}\" width=\"540\" style=\"display:block;border:0;max-width:100%\"></td></tr></table>\n",
        words(5, rng),
        words(25, rng),
        words(20, rng),
        words(3, rng),
        words(30, rng),
        words(8, rng),
        words(2, rng),
        words(2, rng),
    );
}

fn words(count: usize, rng: &mut StdRng) -> String {
    let words: Vec<&str> = (0..count).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect();
    words.join(" ")
}

/// RFC 2045 §6.7, lines of at most 76.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    let mut column = 0;
    for byte in text.bytes() {
        if byte == b'\n' {
            out.push_str("\r\n");
            column = 0;
            continue;
        }
        let plain = matches!(byte, b' '..=b'<' | b'>'..=b'~');
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.push_str("=\r\n");
            column = 0;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "={byte:02X}");
        }
        column += width;
    }
    out
}
