//! Where in a compound file the bytes of its streams are (MS-CFB §2.1 to §2.6). `cfb` reads streams and does not tell.

use std::ops::Range;

use crate::containers::beside::Known;
use crate::containers::bytes::{position, slice, u16_at, u32_at, u64_at};

/// Numbers of sectors from here on are marks, not places (§2.1).
const MARKS: u32 = 0xffff_fffa;
/// The length of a directory entry, and of a sector of the mini stream.
const ENTRY: usize = 128;
const MINI: usize = 64;
/// Streams below this length are in the mini stream.
const CUTOFF: u64 = 4096;
const STREAM: u8 = 2;
const ROOT: u8 = 5;

/// A file with its sectors.
struct Sectors<'b> {
    bytes: &'b [u8],
    /// The length of a sector.
    len: usize,
    /// The sectors that hold the allocation table.
    tables: Vec<u32>,
}

/// The bytes of all streams, if there are as many as the reader of streams saw: an entry that is in no tree is no stream.
pub(super) fn of_streams(bytes: &[u8], count: usize) -> Option<Known> {
    let file = Sectors::read(bytes)?;
    let all = bytes.len() / file.len;
    let directory = file.chain(u32_at(bytes, 48)?, all);
    let entries: Vec<&[u8]> =
        directory.iter().filter_map(|at| file.sector(*at)).flat_map(|s| s.chunks(ENTRY)).collect();
    let of_type = |kind: u8| entries.iter().filter(move |entry| entry.get(66) == Some(&kind));
    if of_type(STREAM).count() != count {
        return None;
    }
    let mini_stream =
        of_type(ROOT).next().and_then(|root| Some(file.chain(u32_at(root, 116)?, all))).unwrap_or_default();
    let mini_tables = file.chain(u32_at(bytes, 60)?, all);
    let lens: u64 = of_type(STREAM).filter_map(|entry| file.stream_len(entry)).fold(0, u64::saturating_add);
    if lens > bytes.len() as u64 {
        return None;
    }
    let mut known = Known::default();
    for entry in of_type(STREAM) {
        let (start, mut left) = (u32_at(entry, 116)?, file.stream_len(entry)?);
        let is_mini = left < CUTOFF;
        let chain = if is_mini {
            file.follow(start, &mini_tables, position(left).div_ceil(MINI))
        } else {
            file.chain(start, position(left).div_ceil(file.len))
        };
        for (index, sector) in chain.into_iter().enumerate() {
            let place = if is_mini { file.mini(sector, &mini_stream) } else { file.place(sector) }?;
            let len = place.len().min(position(left));
            known.content(place.start..place.start + len, index > 0);
            left -= len as u64;
        }
    }
    Some(known)
}

impl<'b> Sectors<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let len = match u16_at(bytes, 30)? {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let mut file = Self { bytes, len, tables: Vec::new() };
        file.tables.extend((0..109).filter_map(|i| u32_at(bytes, 76 + 4 * i)).filter(|sector| *sector < MARKS));
        // The rest of the list is in sectors of its own, each of which ends with the number of the next.
        let mut next = u32_at(bytes, 68)?;
        for _ in 0..bytes.len() / len {
            let Some(list) = file.sector(next).filter(|_| next < MARKS) else { break };
            let numbers = list.len() / 4 - 1;
            file.tables.extend((0..numbers).filter_map(|i| u32_at(list, 4 * i)).filter(|sector| *sector < MARKS));
            next = u32_at(list, 4 * numbers)?;
        }
        Some(file)
    }

    /// Where a sector is; the last one may be cut off.
    fn place(&self, sector: u32) -> Option<Range<usize>> {
        let start = (sector as usize).checked_add(1)?.checked_mul(self.len)?;
        let end = start.checked_add(self.len)?.min(self.bytes.len());
        (start < end).then_some(start..end)
    }

    fn sector(&self, sector: u32) -> Option<&'b [u8]> {
        self.bytes.get(self.place(sector)?)
    }

    fn chain(&self, start: u32, most: usize) -> Vec<u32> {
        self.follow(start, &self.tables, most)
    }

    /// The sectors that follow each other from `start` on, by a table that is in these sectors: at most so many, since
    /// they may come back to themselves.
    fn follow(&self, start: u32, tables: &[u32], most: usize) -> Vec<u32> {
        let per_sector = self.len / 4;
        let next = |sector: &u32| {
            let (table, index) = (*sector as usize / per_sector, *sector as usize % per_sector);
            let next = u32_at(slice(self.sector(*tables.get(table)?)?, 4 * index, 4)?, 0)?;
            (next < MARKS).then_some(next)
        };
        let first = (start < MARKS).then_some(start);
        std::iter::successors(first, next).take(most).collect()
    }

    /// Where a sector of the mini stream is.
    fn mini(&self, sector: u32, mini_stream: &[u32]) -> Option<Range<usize>> {
        let at = (sector as usize).checked_mul(MINI)?;
        let outer = self.place(*mini_stream.get(at / self.len)?)?;
        let start = outer.start + at % self.len;
        Some(start..start + MINI).filter(|mini| mini.end <= outer.end)
    }

    /// How long a stream is: files with short sectors write four bytes of it (§2.6.1).
    fn stream_len(&self, entry: &[u8]) -> Option<u64> {
        if self.len == 512 { u32_at(entry, 120).map(u64::from) } else { u64_at(entry, 120) }
    }
}
