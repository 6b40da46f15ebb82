//! tar (POSIX.1-2017 `pax`, and the GNU extensions), read for what its readers could disagree about.

use std::io::Cursor;

use tar::{Archive, EntryType, Header, PaxExtensions};

use super::beside::Known;
use super::bytes::{position, slice};
use super::obstacle::Code;
use super::walk::Walker;

const BLOCK: usize = 512;

/// Whether a content begins like a tar: with the magic of `ustar`, or a block that has its checksum.
pub(super) fn begins(head: &[u8]) -> bool {
    slice(head, 257, 5) == Some(b"ustar") || has_checksum(head).unwrap_or(false)
}

/// Whether a header is one of the old kind, which has no magic: the sum of its bytes stands in it.
fn has_checksum(head: &[u8]) -> Option<bool> {
    let block = head.get(..BLOCK)?;
    let field = slice(block, 148, 8)?;
    let digits = str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    let said = i64::from_str_radix(digits, 8).ok()?;
    let rest = || block.iter().enumerate().filter(|(at, _)| !(148..156).contains(at)).map(|(_, byte)| *byte);
    // Blanks stand for the checksum itself. Some writers took bytes for signed numbers.
    let unsigned: i64 = 8 * 32 + rest().map(i64::from).sum::<i64>();
    let signed: i64 = 8 * 32 + rest().map(|byte| i64::from(byte.cast_signed())).sum::<i64>();
    Some(block.first() != Some(&0) && (said == unsigned || said == signed))
}

/// What headers of their own say about the member that follows them.
#[derive(Default)]
struct Ahead {
    names: Vec<Vec<u8>>,
    size: Option<u64>,
}

/// Walks a tar.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let mut archive = Archive::new(Cursor::new(bytes));
    let mut ahead = Ahead::default();
    let (mut end, mut known) = (0, Known::default());
    for entry in archive.entries().map_err(|_| Code::Damaged)?.raw(true) {
        let entry = entry.map_err(|_| Code::Damaged)?;
        let size = entry.header().entry_size().map_err(|_| Code::Damaged)?;
        let at = position(entry.raw_file_position());
        let data = slice(bytes, at, position(size)).ok_or(Code::Damaged)?;
        end = (at + data.len()).next_multiple_of(BLOCK);
        let padding = bytes.get(at + data.len()..end).unwrap_or_default();
        if padding.iter().any(|byte| *byte != 0) {
            walker.note(Code::Hidden)?;
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => ahead.names.push(data.strip_suffix(b"\0").unwrap_or(data).to_vec()),
            EntryType::GNULongLink => {}
            EntryType::XHeader => extended(data, &mut ahead)?,
            EntryType::XGlobalHeader => {
                let mut all = Ahead::default();
                extended(data, &mut all)?;
                // For every member that follows: few readers agree on what that means.
                if all.size.is_some() || !all.names.is_empty() {
                    return Err(Code::Contradictory);
                }
            }
            // What is left out of a sparse file is not in the archive, and its map can be written in three ways.
            EntryType::GNUSparse => return Err(Code::MethodUnknown),
            kind => {
                if !is_in_reach(kind, entry.header(), size, bytes) {
                    walker.note(Code::OutOfReach)?;
                }
                let mut ahead = std::mem::take(&mut ahead);
                // The size that an extended header gives wins for some readers (POSIX), the header's for others.
                if ahead.size.is_some_and(|other| other != size) {
                    return Err(Code::Contradictory);
                }
                known.content(at..at + data.len(), false);
                ahead.names.push(entry.path_bytes().into_owned());
                if kind.is_dir() && size == 0 {
                    ahead.names.iter_mut().for_each(|name| name.push(b'/'));
                }
                walker.named(ahead.names, |walker| {
                    walker.budget.expand(size)?;
                    walker.content(data)
                })?;
            }
        }
    }
    known.check(walker, bytes, 0)?;
    // Readers stop at the first block of zeros, or read on behind it.
    let rest = bytes.get(end..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Code::Hidden) }
}

/// Whether a scanner finds a member that has content.
fn is_in_reach(kind: EntryType, header: &Header, size: u64, archive: &[u8]) -> bool {
    let magic = |block: &[u8]| slice(block, 257, 5) == Some(b"ustar");
    let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
    // A size may also be written as a binary number, marked by the highest bit.
    let is_octal = header.as_old().size.first().is_some_and(u8::is_ascii);
    let has_name = header.as_old().name.first().is_some_and(|byte| *byte != 0);
    size == 0 || is_file && is_octal && has_name && magic(header.as_bytes()) == magic(archive)
}

/// Takes name and size from an extended header.
fn extended(data: &[u8], ahead: &mut Ahead) -> Result<(), Code> {
    for record in PaxExtensions::new(data) {
        let record = record.map_err(|_| Code::Damaged)?;
        match record.key_bytes() {
            b"size" => {
                let digits = record.value().ok().and_then(|value| value.parse().ok());
                ahead.size = Some(digits.ok_or(Code::Damaged)?);
            }
            b"path" => ahead.names.push(record.value_bytes().to_vec()),
            key if key.starts_with(b"GNU.sparse") => return Err(Code::MethodUnknown),
            _ => {}
        }
    }
    Ok(())
}
