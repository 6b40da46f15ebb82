//! Files that Office documents and Outlook messages hold in streams of their own, with the names that they are saved by.

use memchr::memmem;

use super::bytes::{slice, u32_at};

/// What a stream holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Embedded<'b> {
    /// Names of files.
    pub(super) names: Vec<Vec<u8>>,
    /// The file itself, where the stream is more than that.
    pub(super) content: Option<&'b [u8]>,
}

/// The stream of a packaged file (MS-OLEDS §2.3.6).
const PACKAGE: &str = "\u{1}Ole10Native";
/// The properties with an attachment's names: long and short (MS-OXPROPS §2.595, §2.587).
const LONG_NAME: u16 = 0x3707;
const SHORT_NAME: u16 = 0x3704;
/// The types of texts: UTF-16 and one of the system's own code pages (MS-OXCDATA §2.11.1).
const UNICODE: u16 = 0x001f;
const STRING8: u16 = 0x001e;
/// The most names that are read of one list of properties.
const MOST: usize = 16;

/// What a stream of this name in a compound file holds.
pub(super) fn of_stream<'b>(name: &str, content: &'b [u8]) -> Embedded<'b> {
    if name.eq_ignore_ascii_case(PACKAGE) {
        return content.get(4..).map(of_package).unwrap_or_default();
    }
    let is = |id: u16, kind: u16| name.eq_ignore_ascii_case(&format!("__substg1.0_{id:04X}{kind:04X}"));
    let names = if is(LONG_NAME, UNICODE) || is(SHORT_NAME, UNICODE) {
        vec![narrow(content)]
    } else if is(LONG_NAME, STRING8) || is(SHORT_NAME, STRING8) {
        vec![content.to_vec()]
    } else {
        Vec::new()
    };
    Embedded { names, content: None }
}

/// The names in a list of properties as TNEF has it (MS-OXTNEF §2.1.3.4), wherever in it they are.
pub(super) fn names_in(properties: &[u8]) -> Vec<Vec<u8>> {
    let of_type = |kind: u16, id: u16| {
        let tag = [kind.to_le_bytes(), id.to_le_bytes()].concat();
        let places: Vec<usize> = memmem::find_iter(properties, &tag).take(MOST).collect();
        places.into_iter().filter_map(move |at| {
            // One value, its length, its bytes.
            let len = u32_at(properties, at + 8)? as usize;
            let value = slice(properties, at + 12, len).filter(|_| u32_at(properties, at + 4) == Some(1))?;
            Some(if kind == UNICODE { narrow(value) } else { value.to_vec() })
        })
    };
    let ids = [LONG_NAME, SHORT_NAME];
    ids.into_iter().flat_map(|id| of_type(UNICODE, id).chain(of_type(STRING8, id))).collect()
}

/// The file that a package is, behind its size.
pub(super) fn of_package(native: &[u8]) -> Embedded<'_> {
    package(native).unwrap_or_default()
}

/// Two bytes, label, path, eight bytes of which four say how long the next path is, that path, length, content.
fn package(stream: &[u8]) -> Option<Embedded<'_>> {
    let (label, at) = text(stream, 2)?;
    let (path, at) = text(stream, at)?;
    let temporary = u32_at(stream, at + 4)? as usize;
    let copy = slice(stream, at + 8, temporary)?;
    let start = at.checked_add(8)?.checked_add(temporary)?;
    let content = slice(stream, start.checked_add(4)?, u32_at(stream, start)? as usize)?;
    let names = [label, path, copy].map(|name| name.strip_suffix(b"\0").unwrap_or(name).to_vec());
    Some(Embedded { names: names.to_vec(), content: Some(content) })
}

/// A text that ends with a NUL, and where the next field begins.
fn text(stream: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = stream.get(at..)?;
    let len = memchr::memchr(0, rest)?;
    Some((rest.get(..len)?, at + len + 1))
}

/// UTF-16 as UTF-8, without the NUL at its end.
fn narrow(wide: &[u8]) -> Vec<u8> {
    let units: Vec<u16> =
        wide.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(unit.try_into().ok()?))).collect();
    String::from_utf16_lossy(&units).trim_end_matches('\0').as_bytes().to_vec()
}
