//! Files that Office documents and Outlook messages hold in streams of their own, with the names that they are saved by.

use memchr::memmem;

use super::bytes::{slice, u32_at};
use super::obstacle::Code;
use super::walk::Walker;

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
/// The HTML that is the text of a message, and no file (PidTagHtml), without its type.
const BODY: &str = "__substg1.0_1013";
/// Places of one property in a list of them. It stands there once; more are there so that the last is not looked at.
const MOST: usize = 16;
/// The names behind a package's content, which newer programs go by.
const WIDE_NAMES: usize = 3;

/// Looks at a stream, or an object, of these bytes: as the file that it holds, or as a whole.
///
/// # Errors
/// The limit that ended the walk.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8], file: Embedded<'_>) -> Result<(), Code> {
    let Embedded { names, content } = file;
    match content {
        Some(inner) => walker.named(names, |walker| {
            walker.budget.expand(inner.len() as u64)?;
            walker.content(inner)
        }),
        None => {
            names.iter().for_each(|name| walker.notice_name(name));
            walker.content(bytes)
        }
    }
}

/// Whether a stream is the text of a message.
pub(super) fn is_body(name: &str) -> bool {
    name.get(..BODY.len()).is_some_and(|start| start.eq_ignore_ascii_case(BODY))
}

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
///
/// # Errors
/// [`Code::Contradictory`] where so many stand there that not all are read.
pub(super) fn names_in(properties: &[u8]) -> Result<Vec<Vec<u8>>, Code> {
    let mut names = Vec::new();
    for (id, kind) in [(LONG_NAME, UNICODE), (LONG_NAME, STRING8), (SHORT_NAME, UNICODE), (SHORT_NAME, STRING8)] {
        let tag = [kind.to_le_bytes(), id.to_le_bytes()].concat();
        let mut places = memmem::find_iter(properties, &tag);
        for at in places.by_ref().take(MOST) {
            let Some(value) = single_value(properties, at + tag.len()) else { continue };
            names.push(if kind == UNICODE { narrow(value) } else { value.to_vec() });
        }
        if places.next().is_some() {
            return Err(Code::Contradictory);
        }
    }
    Ok(names)
}

/// The number of values, which has to be one, its length, its bytes.
fn single_value(properties: &[u8], at: usize) -> Option<&[u8]> {
    let is_one = u32_at(properties, at)? == 1;
    slice(properties, at + 8, u32_at(properties, at + 4)? as usize).filter(|_| is_one)
}

/// The file that a package is, behind its size.
pub(super) fn of_package(native: &[u8]) -> Embedded<'_> {
    package(native).unwrap_or_default()
}

/// Two bytes, label, path, eight bytes of which four say how long the next path is, that path, length, content, then path,
/// label and path once more in UTF-16, each behind its length.
fn package(stream: &[u8]) -> Option<Embedded<'_>> {
    let (label, at) = text(stream, 2)?;
    let (path, at) = text(stream, at)?;
    let temporary = u32_at(stream, at + 4)? as usize;
    let copy = slice(stream, at + 8, temporary)?;
    let start = at.checked_add(8)?.checked_add(temporary)?;
    let content = slice(stream, start.checked_add(4)?, u32_at(stream, start)? as usize)?;
    let narrow_names = [label, path, copy].map(|name| name.strip_suffix(b"\0").unwrap_or(name).to_vec());
    let behind = stream.get(start + 4 + content.len()..).unwrap_or_default();
    Some(Embedded { names: narrow_names.into_iter().chain(wide_names(behind)).collect(), content: Some(content) })
}

fn wide_names(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let next = || {
        let units = u32_at(rest, 0)? as usize;
        let name = slice(rest, 4, units.checked_mul(2)?)?;
        rest = rest.get(4 + name.len()..)?;
        Some(narrow(name))
    };
    std::iter::from_fn(next).take(WIDE_NAMES).collect()
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
