//! Every reading of the names in a MIME field: quoted, unquoted and cut short (RFC 2045 §5.1), in pieces and encoded
//! (RFC 2231), as encoded words (RFC 2047), doubled, and broken in the ways that some reader forgives.

use std::collections::BTreeMap;

use mail_parser::decoders::charsets::Charset as Known;

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
        all.extend(of_parameters(words(&String::from_utf8_lossy(value), ascii).as_bytes()));
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
        // With and without the meaning of backslashes, and without the white space that a line was folded at.
        let mut all = vec![unquoted(quoted), until(b"\"", quoted)];
        if memchr::memchr(b'\n', quoted).is_some() {
            all.push(unquoted(&unfolded(quoted)));
        }
        return all;
    }
    let mut all = vec![until(b"; \t\r\n", value), until(b";\r\n", value)];
    let line = until(b"\r\n", value);
    // What follows a semicolon is another parameter, or a part of a name that nobody quoted.
    if !line.contains(&b'=') {
        all.push(line);
    }
    all
}

/// Without line ends and the white space after them.
fn unfolded(text: &[u8]) -> Vec<u8> {
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = lines.next().unwrap_or_default().to_vec();
    lines.for_each(|line| out.extend_from_slice(line.trim_ascii_start()));
    out
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
    let percent = |bytes: &[u8]| percent_encoding::percent_decode(bytes).collect::<Vec<u8>>();
    let mut all = vec![text.clone()];
    if memchr::memchr(b'%', written).is_some() {
        all.push(ascii("", &percent(written)));
        let mut fields = text.splitn(3, '\'');
        if let Some((label, rest)) = fields.next().zip(fields.nth(1)) {
            let bytes = percent(rest.as_bytes());
            all.extend([ascii(label, &bytes), ebcdic(label, &bytes)]);
        }
    }
    if text.contains("=?") {
        all.extend([words(&text, ascii), words(&text, ebcdic)]);
    }
    all
}

/// Bytes in the charset of that label as a text, as far as an extension goes.
type Charset = fn(label: &str, bytes: &[u8]) -> String;

/// An extension is ASCII in every charset that the parser knows, but for those that it decodes.
fn ascii(_: &str, bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// In a charset that it does not know, some program may: the letters and digits that all of EBCDIC's code pages share.
fn ebcdic(label: &str, bytes: &[u8]) -> String {
    let label = label.split('*').next().unwrap_or_default();
    if Known::from_label(label.as_bytes()).is_some() {
        return ascii(label, bytes);
    }
    let letter = |first: u8, code: u8, byte: u8| char::from(first + (byte - code));
    let shown = bytes.iter().map(|byte| match *byte {
        byte @ (0x81..=0x89 | 0xc1..=0xc9) => letter(b'a', 0x81, byte & 0xbf),
        byte @ (0x91..=0x99 | 0xd1..=0xd9) => letter(b'j', 0x91, byte & 0xbf),
        byte @ (0xa2..=0xa9 | 0xe2..=0xe9) => letter(b's', 0xa2, byte & 0xbf),
        byte @ 0xf0..=0xf9 => letter(b'0', 0xf0, byte),
        0x4b => '.',
        0x40 => ' ',
        _ => '_',
    });
    shown.collect()
}

/// The text with its encoded words decoded.
fn words(text: &str, charset: Charset) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("=?") {
        out.push_str(before);
        // Padding of base64 and the end of a word look like the begin of another.
        let word = after.split_once('?').and_then(|(label, after)| Some((label, after.split_once('?')?)));
        let word = word.and_then(|(label, (encoding, after))| Some((label, encoding, after.split_once("?=")?)));
        rest = match word {
            Some((label, encoding, (text, after))) => {
                out.push_str(&charset(label, &word_bytes(encoding, text)));
                after.trim_start()
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

fn word_bytes(encoding: &str, text: &str) -> Vec<u8> {
    let (mut decoder, text) = if encoding.eq_ignore_ascii_case("b") {
        (Decoder::new(Encoding::Base64), text.to_owned())
    } else {
        (Decoder::new(Encoding::QuotedPrintable), text.replace('_', " "))
    };
    let mut bytes = Vec::new();
    decoder.push(text.as_bytes(), &mut bytes);
    // What had to be forgiven does not matter to an extension.
    let _damage = decoder.finish(&mut bytes);
    bytes
}
