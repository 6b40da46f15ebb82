//! Every reading of the names in a MIME field: quoted, unquoted and cut short (RFC 2045 §5.1), in pieces and encoded
//! (RFC 2231), as encoded words (RFC 2047), doubled, and broken in the ways that some reader forgives.

use std::collections::BTreeMap;

use crate::mail::decode::{Decoder, Encoding};

/// What is read of a field, in bytes.
const MOST: usize = 8 * 1024;
/// Parameters that are read.
const MOST_PARAMETERS: usize = 32;
/// What is read of a value, in bytes.
const MOST_VALUE: usize = 1024;
/// Places in a field where `name` stands.
const KEY: &[u8] = b"name";

/// Every name that can be read in a field's value: as it is, and by a reader that decodes all of it before it parses.
pub(super) fn names(value: &[u8]) -> Vec<String> {
    let value = value.get(..MOST).unwrap_or(value);
    let mut all = of_parameters(value);
    if memchr::memmem::find(value, b"=?").is_some() {
        all.extend(of_parameters(words(&String::from_utf8_lossy(value)).as_bytes()));
    }
    all
}

fn of_parameters(value: &[u8]) -> Vec<String> {
    let lower = value.to_ascii_lowercase();
    let mut all = Vec::new();
    let mut pieces: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut in_order = Vec::new();
    for at in memchr::memmem::find_iter(&lower, KEY).take(MOST_PARAMETERS) {
        let Some(parameter) = Parameter::read(value.get(at + KEY.len()..).unwrap_or_default()) else { continue };
        for written in values(parameter.value) {
            if let Some(section) = parameter.section {
                pieces.entry(section).or_insert_with(|| written.clone());
            }
            all.extend(decoded(&written));
        }
        in_order.extend(values(parameter.value).into_iter().next().unwrap_or_default());
    }
    // Pieces in the order of their numbers, and as they come.
    let numbered: Vec<u8> = pieces.into_values().flatten().collect();
    for joined in [numbered, in_order] {
        all.extend(decoded(&joined));
    }
    all
}

/// What follows the key: `*`, a section's number, `*`, `=`, the value.
struct Parameter<'v> {
    section: Option<u32>,
    value: &'v [u8],
}

impl<'v> Parameter<'v> {
    fn read(rest: &'v [u8]) -> Option<Self> {
        let equals = memchr::memchr(b'=', rest)?;
        let (mark, value) = (rest.get(..equals)?.trim_ascii(), rest.get(equals + 1..)?.trim_ascii());
        let is_mark = mark.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b' ' | b'\t'));
        let digits: Vec<u8> = mark.iter().copied().filter(u8::is_ascii_digit).collect();
        let section = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
        is_mark.then_some(Self { section, value })
    }
}

/// The values that readers may take: the strict one first.
fn values(value: &[u8]) -> Vec<Vec<u8>> {
    let value = value.get(..MOST_VALUE).unwrap_or(value);
    let until =
        |ends: &[u8], value: &[u8]| value.iter().copied().take_while(|byte| !ends.contains(byte)).collect::<Vec<u8>>();
    if let Some(quoted) = value.strip_prefix(b"\"") {
        // With and without the meaning of backslashes.
        return vec![unquoted(quoted), until(b"\"", quoted)];
    }
    let mut all = vec![until(b"; \t\r\n", value), until(b";\r\n", value)];
    let line = until(b"\r\n", value);
    // What follows a semicolon is another parameter, or a part of a name that nobody quoted.
    if !line.contains(&b'=') {
        all.push(line);
    }
    all
}

fn unquoted(quoted: &[u8]) -> Vec<u8> {
    let (mut out, mut escaped) = (Vec::new(), false);
    for byte in quoted {
        match byte {
            _ if escaped => {
                escaped = false;
                out.push(*byte);
            }
            b'\\' => escaped = true,
            b'"' => break,
            b'\r' | b'\n' => {}
            _ => out.push(*byte),
        }
    }
    out
}

/// As written, percent-decoded with and without a charset before it, and as encoded words.
fn decoded(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(written).into_owned();
    let percent = |bytes: &[u8]| {
        let bytes: Vec<u8> = percent_encoding::percent_decode(bytes).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut all = vec![text.clone()];
    if memchr::memchr(b'%', written).is_some() {
        all.push(percent(written));
        all.extend(text.splitn(3, '\'').nth(2).map(|rest| percent(rest.as_bytes())));
    }
    if text.contains("=?") {
        all.push(words(&text));
    }
    all
}

/// The text with its encoded words decoded, whatever their charset: an extension is ASCII in all that matter.
fn words(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("=?") {
        out.push_str(before);
        // Padding of base64 and the end of a word look like the begin of another.
        let word = after.split_once('?').and_then(|(_, after)| after.split_once('?'));
        let word = word.and_then(|(encoding, after)| Some((encoding, after.split_once("?=")?)));
        rest = match word {
            Some((encoding, (text, after))) => {
                out.push_str(&word_text(encoding, text));
                after.trim_start()
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

fn word_text(encoding: &str, text: &str) -> String {
    let (mut decoder, text) = if encoding.eq_ignore_ascii_case("b") {
        (Decoder::new(Encoding::Base64), text.to_owned())
    } else {
        (Decoder::new(Encoding::QuotedPrintable), text.replace('_', " "))
    };
    let mut bytes = Vec::new();
    decoder.push(text.as_bytes(), &mut bytes);
    // What had to be forgiven does not matter to an extension.
    let _damage = decoder.finish(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
