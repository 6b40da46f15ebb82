//! The end records of a zip (APPNOTE §4.3.14 to 4.3.16): where its directory is.

use std::ops::Range;

use memchr::memmem;

use super::{Around, bounded};
use crate::containers::bytes::{slice, u16_at, u32_at, u64_at};
use crate::containers::obstacle::Code;
use crate::containers::sniff::ZIP_END;

/// The length of the end record without its comment.
const LEN: usize = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LEN: usize = 20;
const END_64: &[u8] = b"PK\x06\x06";
/// The length of the fixed part of the zip64 end record.
const END_64_LEN: usize = 56;
const DIRECTORY: &[u8] = b"PK\x01\x02";

/// Where things are.
#[derive(Debug)]
pub(super) struct End {
    /// What every offset in the zip counts from.
    pub(super) start: usize,
    /// The central directory.
    pub(super) directory: Range<usize>,
    /// All end records, the comment included.
    pub(super) records: Range<usize>,
    /// The last record without its comment.
    pub(super) signature: Range<usize>,
    /// How many entries the directory has.
    pub(super) entries: u64,
    /// Whether only the zip64 record says some of it.
    pub(super) is_wide: bool,
}

/// What an end record says.
struct Said {
    entries: u64,
    len: u64,
    offset: u64,
}

/// Every end record that points to a directory, by either way of reading its offset.
pub(in crate::containers) fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memmem::find_iter(bytes, ZIP_END).filter(|at| is_candidate(bytes, *at))
}

/// Whether the end record at a place points to a directory.
pub(in crate::containers) fn is_candidate(bytes: &[u8], at: usize) -> bool {
    points_to_a_directory(bytes, at).unwrap_or(false)
}

fn points_to_a_directory(bytes: &[u8], at: usize) -> Option<bool> {
    let has_locator = at.checked_sub(LOCATOR_LEN).is_some_and(|l| slice(bytes, l, 4) == Some(LOCATOR));
    let (len, offset) = (u32_at(bytes, at + 12)? as usize, u32_at(bytes, at + 16)? as usize);
    let is_directory = |at: usize| slice(bytes, at, 4) == Some(DIRECTORY);
    Some(has_locator || at.checked_sub(len).is_some_and(is_directory) && len > 0 || is_directory(offset))
}

/// Finds the end of a zip.
pub(super) fn find(bytes: &[u8], around: Around) -> Result<End, Code> {
    let at = match around {
        // What a reader finds that looks from behind.
        Around::Nothing => memmem::rfind(bytes, ZIP_END),
        Around::Anything => candidates(bytes).next(),
    };
    let at = at.ok_or(Code::Damaged)?;
    let record = slice(bytes, at, LEN).ok_or(Code::Damaged)?;
    let number = |at| u16_at(record, at).ok_or(Code::Damaged);
    let comment = at + LEN;
    let end = comment + usize::from(number(20)?);
    let after = bytes.get(end..).ok_or(Code::Damaged)?;
    if around == Around::Nothing && !after.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(Code::Hidden);
    }
    if number(4)? != 0 || number(6)? != 0 {
        return Err(Code::Split);
    }
    let (on_disk, entries) = (number(8)?, number(10)?);
    if on_disk != entries {
        return Err(Code::Split);
    }
    let wide = |at| u32_at(record, at).map(u64::from).ok_or(Code::Damaged);
    let said = Said { entries: entries.into(), len: wide(12)?, offset: wide(16)? };
    let is_wide = said.entries == 0xffff || said.len == 0xffff_ffff || said.offset == 0xffff_ffff;
    let (said, records) = match zip64(bytes, at)? {
        Some((wide, records)) => (agreed(&said, wide)?, records),
        None => (said, at),
    };
    Ok(End { is_wide, signature: at..comment, ..place(bytes, said, records..end)? })
}

/// Checks that the directory lies right before the end records, where its offset says. Two zips in a row, or a second
/// end in the comment of the first, fail here or in the layout.
fn place(bytes: &[u8], said: Said, records: Range<usize>) -> Result<End, Code> {
    let directory = (records.start as u64).checked_sub(said.len).ok_or(Code::Damaged)?;
    let start = directory.checked_sub(said.offset).ok_or(Code::Contradictory)?;
    let (start, directory) = (bounded(start, bytes)?, bounded(directory, bytes)?);
    let (directory, signature) = (directory..records.start, records.clone());
    Ok(End { start, directory, records, signature, entries: said.entries, is_wide: false })
}

/// The zip64 end record, if there is one: its locator stands right before the end record.
fn zip64(bytes: &[u8], end: usize) -> Result<Option<(Said, usize)>, Code> {
    let Some(locator) = end.checked_sub(LOCATOR_LEN).filter(|at| slice(bytes, *at, 4) == Some(LOCATOR)) else {
        return Ok(None);
    };
    // Its own offset counts from the start, which is not known yet: the record has to end where the locator begins.
    let at = memmem::rfind(bytes.get(..locator).unwrap_or_default(), END_64).ok_or(Code::Damaged)?;
    let number = |offset| u64_at(bytes, at + offset).ok_or(Code::Damaged);
    let is_adjacent = at as u64 + 12 + number(4)? == locator as u64 && locator >= at + END_64_LEN;
    let disks = (u32_at(bytes, at + 16), u32_at(bytes, at + 20), u32_at(bytes, locator + 4));
    if !is_adjacent {
        return Err(Code::Contradictory);
    }
    if disks != (Some(0), Some(0), Some(0)) || number(24)? != number(32)? {
        return Err(Code::Split);
    }
    let said = Said { entries: number(32)?, len: number(40)?, offset: number(48)? };
    let start = (at as u64).checked_sub(said.len).and_then(|directory| directory.checked_sub(said.offset));
    if start.zip(u64_at(bytes, locator + 8)).is_none_or(|(start, offset)| start.checked_add(offset) != Some(at as u64))
    {
        return Err(Code::Contradictory);
    }
    Ok(Some((said, at)))
}

/// The wide numbers, which have to be those of the narrow record where that has any.
fn agreed(narrow: &Said, wide: Said) -> Result<Said, Code> {
    let agrees = |narrow: u64, all_ones: u64, wide: u64| narrow == all_ones || narrow == wide;
    let all = agrees(narrow.entries, 0xffff, wide.entries)
        && agrees(narrow.len, 0xffff_ffff, wide.len)
        && agrees(narrow.offset, 0xffff_ffff, wide.offset);
    if all { Ok(wide) } else { Err(Code::Contradictory) }
}
