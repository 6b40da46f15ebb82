//! PDF (ISO 32000-1): whether a document is encrypted.
//!
//! It says so by `/Encrypt` in a trailer or in the dictionary of a cross-reference stream (§7.5.5, §7.5.8), neither of
//! which can be compressed. A document may have several of them, anywhere, and readers repair what is damaged: so any
//! such entry counts, wherever it stands, if its value can be an encryption dictionary.

use memchr::{memchr_iter, memmem};

/// A header counts within so many first bytes (§7.5.2, implementation note 13 of Annex H in the 1.7 reference).
pub(super) const HEADER_WITHIN: usize = 1024;
/// The longest form of the name: each of its characters written as `#xx`.
const LONGEST: usize = 3 * KEY.len();
const KEY: &[u8] = b"Encrypt";

/// Whether a content begins like a PDF.
pub(super) fn begins(head: &[u8]) -> bool {
    memmem::find(head.get(..HEADER_WITHIN).unwrap_or(head), b"%PDF-").is_some()
}

/// Whether it is encrypted.
pub(super) fn is_encrypted(bytes: &[u8]) -> bool {
    memchr_iter(b'/', bytes).filter_map(|slash| bytes.get(slash + 1..)).any(|rest| is_entry(rest).unwrap_or(false))
}

/// Whether a name is the key, and a reference or a dictionary follows.
fn is_entry(rest: &[u8]) -> Option<bool> {
    // Most names are told apart by their first byte.
    if !matches!(rest.first()?, b'E' | b'#') {
        return None;
    }
    let (name, value) = name(rest);
    Some(name == KEY && is_value(value))
}

/// Reads a name (§7.3.5) of at most [`KEY`]'s length, with what follows it.
fn name(rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let len = rest.iter().take(LONGEST + 1).take_while(|byte| is_regular(**byte)).count();
    let (written, value) = rest.split_at(len);
    let mut name = Vec::new();
    let mut left = written;
    while let [first, more @ ..] = left {
        let escaped = (*first == b'#').then(|| more.get(..2)).flatten().and_then(hex);
        name.push(escaped.unwrap_or(*first));
        left = escaped.and(more.get(2..)).unwrap_or(more);
    }
    (name, value)
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a value can be an encryption dictionary: a reference to one, or itself. `null` is neither.
fn is_value(mut rest: &[u8]) -> bool {
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b"\0").unwrap_or(rest);
        match rest {
            [b'%', ..] => {
                let line = rest.iter().take_while(|byte| !matches!(byte, b'\r' | b'\n')).count();
                rest = rest.get(line..).unwrap_or_default();
            }
            [b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b'\0', ..] => {}
            [digit, ..] if digit.is_ascii_digit() => return true,
            _ => return rest.starts_with(b"<<"),
        }
    }
}

/// Neither white space nor a delimiter (§7.2.2).
fn is_regular(byte: u8) -> bool {
    !matches!(byte, 0 | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'(' | b')' | b'<' | b'>')
        && !matches!(byte, b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_read_however_it_is_written() {
        for (text, encrypted) in [
            ("trailer << /Size 9 /Encrypt 5 0 R >>", true),
            ("trailer <</Encrypt<</Filter/Standard>>>>", true),
            ("<</Type/XRef/Encrypt 5 0 R/Length 9>>stream", true),
            ("trailer << /#45n#63rypt\n5 0 R >>", true),
            ("trailer << /#45#6E#63#72#79#70#74\n5 0 R >>", true),
            ("trailer << /#45#6e#63#72#79#70#74%x\r\0 % y\n 5 0 R >>", true),
            ("trailer << /Size 9 /Root 1 0 R >>", false),
            ("trailer << /Encrypt null >>", false),
            ("<< /Filter/Standard /EncryptMetadata true >>", false),
            ("/Encrypted 5 0 R /Encryp 5 0 R /XEncrypt 5 0 R", false),
            ("(see /Encrypt) Tj", false),
            ("/Encrypt", false),
            ("/", false),
        ] {
            assert_eq!(is_encrypted(format!("%PDF-1.7\n{text}\n%%EOF").as_bytes()), encrypted, "{text}");
        }
    }
}
