//! The bytes of a container that are no member's content: extra fields, comments, padding, free sectors. Its own readers
//! skip them; another reader, which looks for its signature anywhere, may find an archive there.
//!
//! The rule for every kind: a signature of an archive lies within one member, where the walk of that member meets it, or
//! it is [`Code::Hidden`](super::Code::Hidden).

use std::ops::Range;

use flate2::bufread::GzDecoder;
use memchr::memmem;

use super::kind::{Kind, RAR, SEVEN_ZIP, is_another};
use super::obstacle::Code;
use super::sniff::ZIP_END;
use super::walk::Walker;
use super::{carrier, pdf, rar, zip};

/// How a gzip of one compressed content begins.
const GZIP: &[u8] = b"\x1f\x8b\x08";

/// What of a container is accounted for.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The contents of members, each walked by itself.
    contents: Vec<Range<usize>>,
    /// Signatures of the container itself.
    own: Vec<Range<usize>>,
}

impl Known {
    /// A member's content. One that follows the last without a gap goes on from it, if they are of `one` member.
    pub(super) fn content(&mut self, range: Range<usize>, is_same: bool) {
        match self.contents.last_mut().filter(|last| is_same && last.end == range.start) {
            Some(last) => last.end = range.end,
            None if range.is_empty() => {}
            None => self.contents.push(range),
        }
    }

    /// The container's own signature.
    pub(super) fn own(&mut self, range: Range<usize>) {
        self.own.push(range);
    }

    /// How many pieces it holds.
    pub(super) fn len(&self) -> u64 {
        (self.contents.len() + self.own.len()) as u64
    }

    /// Notes what lies beside the contents, from `from` on.
    ///
    /// # Errors
    /// A limit that ended the walk.
    pub(super) fn check(mut self, walker: &mut Walker<'_>, bytes: &[u8], from: usize) -> Result<(), Code> {
        self.contents.sort_unstable_by_key(|range| range.start);
        self.own.sort_unstable_by_key(|range| range.start);
        if self.is_clean(walker.kind(), bytes, from) { Ok(()) } else { walker.note(Code::Hidden) }
    }

    fn is_clean(&self, kind: Kind, bytes: &[u8], from: usize) -> bool {
        let searched = bytes.get(from..).unwrap_or_default();
        let beside = |signature: &'static [u8]| {
            let at = memmem::find_iter(searched, signature).map(move |at| from + at);
            at.filter(move |at| holder(&self.contents, *at, signature.len()).is_none())
                .filter(move |at| holder(&self.own, *at, signature.len()).is_none())
        };
        let rest = |at: usize| bytes.get(at..).unwrap_or_default();
        let is_archive = beside(ZIP_END).next().is_some()
            || beside(RAR).any(|at| rar::has_a_header(rest(at)))
            || beside(SEVEN_ZIP).any(|at| carrier::has_a_start_header(rest(at)))
            || beside(GZIP).any(|at| is_gzip(rest(at)))
            || beside(b"%PDF-").next().is_some_and(|at| at < pdf::HEADER_WITHIN);
        !is_archive && !is_another(kind, bytes) && !self.has_a_torn_zip(bytes, from)
    }

    /// Whether an end of a zip lies in one member and its directory elsewhere.
    fn has_a_torn_zip(&self, bytes: &[u8], from: usize) -> bool {
        zip::candidates(bytes).filter(|at| *at >= from).any(|at| {
            let content = holder(&self.contents, at, ZIP_END.len());
            content.is_some_and(|range| {
                let within = at - range.start;
                !zip::is_candidate(bytes.get(range).unwrap_or_default(), within)
            })
        })
    }
}

/// The range that holds all of a signature.
fn holder(ranges: &[Range<usize>], at: usize, len: usize) -> Option<Range<usize>> {
    let before = ranges.partition_point(|range| range.start <= at);
    ranges.get(before.checked_sub(1)?).filter(|range| at + len <= range.end).cloned()
}

/// Whether something comes out of it: three bytes alone are found anywhere.
fn is_gzip(bytes: &[u8]) -> bool {
    let mut first = [0];
    std::io::Read::read_exact(&mut GzDecoder::new(bytes), &mut first).is_ok()
}
