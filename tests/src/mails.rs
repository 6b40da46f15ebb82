//! Mails from a seed: each with a marker of its own that has to come out in the payload.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use rand::{RngExt, rngs::StdRng};
use sha2::{Digest, Sha256};

/// A raw mail and what identifies it.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What to call it: a file name without its ending.
    pub name: String,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Text in its subject that no other mail holds; empty for fixtures.
    pub marker: String,
}

impl Mail {
    /// The SHA-256 of the raw mail, in hex: what the payload has to say.
    #[must_use]
    pub fn sha256(&self) -> String {
        shared::ids::hex(&Sha256::digest(&self.raw))
    }
}

/// A source of mails.
#[derive(Debug)]
pub struct Mails {
    rng: StdRng,
    prefix: String,
    next: usize,
}

impl Mails {
    /// Mails that differ from those of any other prefix.
    #[must_use]
    pub fn new(prefix: &str, rng: StdRng) -> Self {
        Self { rng, prefix: prefix.to_owned(), next: 0 }
    }

    /// A short text mail.
    pub fn text(&mut self) -> Mail {
        let (marker, mut raw) = self.head();
        let _ = write!(raw, "Content-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n", self.words(40));
        self.mail(marker, raw)
    }

    /// A text mail that holds `needle` in its body.
    pub fn with_text(&mut self, needle: &str) -> Mail {
        let (marker, mut raw) = self.head();
        let _ = write!(raw, "Content-Type: text/plain; charset=utf-8\r\n\r\n{needle}\r\n");
        self.mail(marker, raw)
    }

    /// A mail with a little HTML beside its text.
    pub fn html(&mut self) -> Mail {
        let (text, html) = (self.words(30), self.words(60));
        self.with_html(&text, &format!("<p>{html}<script>x()</script></p>"))
    }

    /// A mail with this HTML beside this text.
    pub fn with_html(&mut self, text: &str, html: &str) -> Mail {
        let (marker, mut raw) = self.head();
        let _ = write!(
            raw,
            "Content-Type: multipart/alternative; boundary=alt\r\n\r\n\
             --alt\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
             --alt\r\nContent-Type: text/html\r\n\r\n{html}\r\n--alt--\r\n"
        );
        self.mail(marker, raw)
    }

    /// A mail with an attachment of `len` random bytes.
    pub fn attachment(&mut self, len: usize) -> Mail {
        let (marker, mut raw) = self.head();
        let mut content = vec![0; len];
        self.rng.fill(&mut content[..]);
        let _ = write!(
            raw,
            "Content-Type: multipart/mixed; boundary=mix\r\n\r\n--mix\r\nContent-Type: text/plain\r\n\r\n{}\r\n\
             --mix\r\nContent-Type: application/octet-stream; name=data.bin\r\n\
             Content-Disposition: attachment; filename=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n{}--mix--\r\n",
            self.words(20),
            base64_lines(&content),
        );
        self.mail(marker, raw)
    }

    /// One of the above: mostly small, now and then up to 200 KB.
    pub fn any(&mut self) -> Mail {
        match self.rng.random_range(0..10) {
            0..5 => self.text(),
            5..8 => self.html(),
            _ => {
                let len = self.rng.random_range(1..200_000);
                self.attachment(len)
            }
        }
    }

    fn head(&mut self) -> (String, String) {
        self.next += 1;
        let marker = format!("{}-{}-{:08x}", self.prefix, self.next, self.rng.random::<u32>());
        let head = format!(
            "Date: Tue, 3 Nov 2026 09:00:00 +0000\r\nFrom: Ada <ada@sender.example>\r\nTo: desk@mail.example\r\n\
             Message-ID: <{marker}@sender.example>\r\nSubject: Report {marker}\r\nMIME-Version: 1.0\r\n"
        );
        (marker, head)
    }

    fn mail(&self, marker: String, raw: String) -> Mail {
        Mail { name: format!("{}-{:05}", self.prefix, self.next), raw: raw.into_bytes(), marker }
    }

    fn words(&mut self, count: usize) -> String {
        const WORDS: [&str; 8] = ["mail", "river", "table", "seven", "green", "paper", "cloud", "north"];
        let words: Vec<_> = (0..count).map(|_| WORDS[self.rng.random_range(0..WORDS.len())]).collect();
        words.chunks(10).map(|line| line.join(" ")).collect::<Vec<_>>().join("\r\n")
    }
}

/// Base64 in lines of 76 characters (RFC 2045 §6.8).
#[must_use]
pub fn base64_lines(content: &[u8]) -> String {
    let mut lines = String::with_capacity(content.len() * 3 / 2);
    for line in content.chunks(57) {
        BASE64_STANDARD.encode_string(line, &mut lines);
        lines.push_str("\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_mails_and_every_mail_its_own_marker() {
        let mails = || {
            let mut mails = Mails::new("m", StdRng::seed_from_u64(1));
            (0..50).map(|_| mails.any()).collect::<Vec<_>>()
        };
        let (one, two) = (mails(), mails());
        assert!(one.iter().zip(&two).all(|(a, b)| a.raw == b.raw));
        let markers: std::collections::BTreeSet<_> = one.iter().map(|m| &m.marker).collect();
        assert_eq!(markers.len(), one.len());
    }
}
