//! Whether members, directory and end records fill a zip without lying over each other, and nothing that some reader
//! could take for a member lies between them.

use std::collections::HashSet;
use std::ops::Range;

use memchr::memmem;

use super::end::End;
use super::entry::Entry;
use super::local::{self, Local};
use crate::containers::obstacle::Code;
use crate::containers::sniff::ZIP_END;

/// Checks the layout.
///
/// # Errors
/// The first thing that readers could disagree about.
pub(super) fn check(bytes: &[u8], end: &End, entries: &[Entry<'_>], locals: &[Local]) -> Result<(), Code> {
    let mut names = HashSet::new();
    if !entries.iter().all(|entry| names.insert(entry.name)) {
        return Err(Code::RepeatedName);
    }
    let mut used: Vec<Range<usize>> = locals.iter().map(|local| local.whole.clone()).collect();
    used.extend([end.directory.clone(), end.records.clone()]);
    used.sort_unstable_by_key(|range| (range.start, range.end));
    let mut at = 0;
    for range in used {
        if range.start < at {
            return Err(Code::Overlapping);
        }
        check_gap(bytes.get(at..range.start).unwrap_or_default())?;
        at = range.end;
    }
    check_gap(bytes.get(at..).unwrap_or_default())
}

/// Padding, a signature block or a program that unpacks may lie between; the beginning of a member, a directory or an
/// end may not.
fn check_gap(gap: &[u8]) -> Result<(), Code> {
    let is_member = memmem::find_iter(gap, local::SIGNATURE).any(|at| is_header(gap, at + 4));
    let is_directory = memmem::find_iter(gap, b"PK\x01\x02").any(|at| is_header(gap, at + 6));
    let is_end = memmem::find(gap, ZIP_END).is_some();
    if is_member || is_directory || is_end { Err(Code::Hidden) } else { Ok(()) }
}

/// Whether a version that a reader could need follows: in random bytes, most often none does.
fn is_header(gap: &[u8], version: usize) -> bool {
    gap.get(version).is_some_and(|version| *version <= 100)
}
