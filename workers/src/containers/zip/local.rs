//! The local headers (APPNOTE §4.3.7) and data descriptors (§4.3.9): the second reading of a zip.

use std::ops::Range;

use memchr::memmem;

use super::bounded;
use super::end::End;
use super::entry::Entry;
use crate::containers::bytes::{slice, u16_at, u32_at, u64_at};
use crate::containers::obstacle::Code;

pub(super) const SIGNATURE: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// The length of a header without its name and extra field.
const LEN: usize = 30;

/// Where a member lies.
#[derive(Debug)]
pub(super) struct Local {
    /// All of it: header, data, descriptor.
    pub(super) whole: Range<usize>,
    /// Its compressed data.
    pub(super) data: Range<usize>,
    /// Every name that it has here.
    pub(super) names: Vec<Vec<u8>>,
    /// Whether a scanner finds it.
    pub(super) is_in_reach: bool,
}

/// Finds each entry's local header, which has to say what the entry says.
pub(super) fn read_all(bytes: &[u8], end: &End, entries: &[Entry<'_>]) -> Result<Vec<Local>, Code> {
    entries.iter().map(|entry| read(bytes, end, entry)).collect()
}

fn read(bytes: &[u8], end: &End, entry: &Entry<'_>) -> Result<Local, Code> {
    let start = bounded((end.start as u64).saturating_add(entry.offset), bytes)?;
    let header = slice(bytes, start, LEN).filter(|header| header.starts_with(SIGNATURE)).ok_or(Code::Contradictory)?;
    let len = |at| u16_at(header, at).map(usize::from).ok_or(Code::Damaged);
    let (name_len, extra_len) = (len(26)?, len(28)?);
    let name = slice(bytes, start + LEN, name_len).ok_or(Code::Damaged)?;
    let extra = slice(bytes, start + LEN + name_len, extra_len).ok_or(Code::Damaged)?;
    let local = Entry::read(header.get(6..).ok_or(Code::Damaged)?, name, extra, None)?;
    if !entry.agrees(&local) {
        return Err(Code::Contradictory);
    }
    let data = start + LEN + name_len + extra_len;
    let data_end = bounded((data as u64).saturating_add(entry.packed), bytes)?;
    if data_end > end.directory.start {
        return Err(Code::Overlapping);
    }
    let descriptor = if local.has_descriptor() { descriptor(bytes, data_end, entry)? } else { 0 };
    if local.has_descriptor() && entry.is_stored() {
        // A reader that streams looks for the descriptor to know where the data ends.
        let content = bytes.get(data..data_end).unwrap_or_default();
        if local.packed != entry.packed && memmem::find(content, DESCRIPTOR).is_some() {
            return Err(Code::Contradictory);
        }
    }
    let is_in_reach = entry.is_in_reach(&local);
    let names = local.names();
    Ok(Local { whole: start..data_end + descriptor, data: data..data_end, names, is_in_reach })
}

/// How long the descriptor is: with or without signature, with narrow or wide lengths.
fn descriptor(bytes: &[u8], at: usize, entry: &Entry<'_>) -> Result<usize, Code> {
    let signature = if slice(bytes, at, 4) == Some(DESCRIPTOR) { 4 } else { 0 };
    for skipped in [signature, 0] {
        let at = at + skipped;
        if u32_at(bytes, at) != Some(entry.crc) {
            continue;
        }
        let narrow = u32_at(bytes, at + 4).zip(u32_at(bytes, at + 8));
        if narrow.is_some_and(|(packed, len)| (u64::from(packed), u64::from(len)) == (entry.packed, entry.len)) {
            // Zeros alone fit both widths: the wide one is what is left over then, and it is a gap without content.
            return Ok(skipped + 12);
        }
        if u64_at(bytes, at + 4).zip(u64_at(bytes, at + 12)) == Some((entry.packed, entry.len)) {
            return Ok(skipped + 20);
        }
    }
    Err(Code::Contradictory)
}
