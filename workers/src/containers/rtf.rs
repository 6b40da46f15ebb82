//! RTF (Rich Text Format 1.9.1): the objects that it holds, as hexadecimal digits, are its members.
//!
//! Word reads them through groups, control words and escapes in between; the scanner takes some of that for their end. An
//! object that is not written as Word writes it is out of the scanner's reach. (Tried with clamd 1.4.)

use memchr::memmem;

use super::bytes::{slice, u32_at};
use super::obstacle::Code;
use super::walk::Walker;
use super::{carrier, embedded, ole};

/// Word goes by these bytes.
const SIGNATURE: &[u8] = b"{\\rt";
/// The control word before the digits of an object.
const OBJECT: &[u8] = b"\\objdata";

/// Whether a content begins like RTF, or would behind white space, which some readers skip.
pub(super) fn begins(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.trim_ascii_start().starts_with(SIGNATURE)
}

/// Walks every object.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let is_in_place = bytes.starts_with(SIGNATURE);
    for at in memmem::find_iter(bytes, OBJECT) {
        let digits = bytes.get(at + OBJECT.len()..).unwrap_or_default();
        walker.member(b"", |walker| {
            let len = digits.iter().position(|byte| !is_digit_or_space(*byte)).unwrap_or(digits.len());
            let (digits, rest) = digits.split_at_checked(len).unwrap_or_default();
            if !is_in_place || !digits.starts_with(b" ") || !rest.starts_with(b"}") {
                walker.note(Code::OutOfReach)?;
            }
            walker.made((len / 2) as u64, || Ok(decoded(digits)), object)
        })?;
    }
    // Binary data may stand anywhere in it.
    carrier::walk(walker, bytes)
}

/// An object of OLE 1.0 (MS-OLEDS §2.2.5): version, format, class, topic, item, its native data.
fn object(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let Some(native) = native(bytes) else { return walker.content(bytes) };
    let file = embedded::of_package(native);
    // By its class a program reads it as the one or as the other.
    if file.content.is_some() && native.starts_with(&ole::SIGNATURE) {
        walker.note(Code::Contradictory)?;
    }
    embedded::walk(walker, native, file)
}

fn native(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    for _ in 0..3 {
        at += 4 + u32_at(bytes, at)? as usize;
    }
    let len = u32_at(bytes, at)? as usize;
    slice(bytes, at + 4, len).or_else(|| bytes.get(at + 4..))
}

const fn is_digit_or_space(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte.is_ascii_whitespace()
}

/// The bytes that the digits are. One that is left over is none.
fn decoded(digits: &[u8]) -> Vec<u8> {
    let mut values = digits.iter().filter_map(|byte| u8::try_from(char::from(*byte).to_digit(16)?).ok());
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    while let Some(pair) = values.next().zip(values.next()) {
        bytes.push(pair.0 << 4 | pair.1);
    }
    bytes
}
