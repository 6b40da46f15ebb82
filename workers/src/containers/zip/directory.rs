//! The central directory (APPNOTE §4.3.12).

use super::end::End;
use super::entry::Entry;
use crate::containers::bytes::{slice, u16_at, u32_at};
use crate::containers::obstacle::Code;

const SIGNATURE: &[u8] = b"PK\x01\x02";
/// The length of a header without its name, extra field and comment.
const LEN: usize = 46;

/// Reads every header: as many as the end record says, and nothing else beside them.
///
/// # Errors
/// [`Code::Encrypted`] where the directory itself is encrypted, else what is wrong with it.
pub(super) fn read<'b>(bytes: &'b [u8], end: &End) -> Result<Vec<Entry<'b>>, Code> {
    let directory = bytes.get(end.directory.clone()).ok_or(Code::Damaged)?;
    let mut entries = Vec::new();
    let mut at = 0;
    while at < directory.len() {
        let header = slice(directory, at, LEN).ok_or(Code::Damaged)?;
        if !header.starts_with(SIGNATURE) {
            return Err(not_a_header(bytes, end));
        }
        let len = |offset| u16_at(header, offset).map(usize::from).ok_or(Code::Damaged);
        let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
        if u16_at(header, 34) != Some(0) {
            return Err(Code::Split);
        }
        let names = slice(directory, at + LEN, name).zip(slice(directory, at + LEN + name, extra));
        let (name_bytes, extra_bytes) = names.ok_or(Code::Damaged)?;
        let fields = header.get(8..).ok_or(Code::Damaged)?;
        entries.push(Entry::read(fields, name_bytes, extra_bytes, u32_at(header, 42))?);
        at += LEN + name + extra + comment;
    }
    let is_all = at == directory.len() && entries.len() as u64 == end.entries;
    if is_all { Ok(entries) } else { Err(Code::Contradictory) }
}

/// An encrypted directory does not look like one (APPNOTE §7.3); a record before it says so.
fn not_a_header(bytes: &[u8], end: &End) -> Code {
    let before = bytes.get(end.start..end.directory.end).unwrap_or_default();
    let is_encrypted = memchr::memmem::find(before, b"PK\x06\x08").is_some();
    if is_encrypted { Code::Encrypted } else { Code::Damaged }
}
