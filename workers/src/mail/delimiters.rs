//! Lines that some readers take for a delimiter and the parser does not: with more behind the boundary (which
//! RFC 2046 §5.1.1 lets a reader ignore) or before it, after a bare carriage return, or where their multipart is closed.
//!
//! One pass over the mail, whatever the number of multiparts.

use std::collections::{BTreeMap, BTreeSet};

use mail_parser::{Message, MessagePart, PartId, Source};
use memchr::{memchr2_iter, memmem};

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::structure::place;

/// How much of a delimiter line is looked through for its beginning, beside the boundary.
const WINDOW: usize = 1_000;
/// Comparisons for one mail; no ordinary mail needs a hundredth.
const MAX_WORK: usize = 20_000_000;

/// Notes such lines.
pub(super) fn check(message: &Message<'_>, findings: &mut Findings) {
    let mut sources: BTreeMap<Option<PartId>, Delimiters<'_>> = BTreeMap::new();
    for part in message.parts() {
        let source = match part.message().source() {
            Source::Raw => None,
            Source::Decoded(container) => Some(container),
        };
        let bytes = part.message().source_bytes();
        sources.entry(source).or_insert_with(|| Delimiters::of(bytes)).add(&part);
    }
    for delimiters in sources.values() {
        if let Some(place) = delimiters.first_hidden() {
            findings.add(FindingCode::BoundaryDamaged, Severity::Ambiguous, place);
        }
    }
}

/// The delimiters of one buffer.
struct Delimiters<'m> {
    source: &'m [u8],
    /// Every boundary with the place of its multipart.
    boundaries: BTreeMap<&'m [u8], String>,
    /// How long boundaries are.
    lengths: BTreeSet<usize>,
    /// Where the delimiters are that the parser went by.
    taken: BTreeSet<usize>,
}

impl<'m> Delimiters<'m> {
    fn of(source: &'m [u8]) -> Self {
        Self { source, boundaries: BTreeMap::new(), lengths: BTreeSet::new(), taken: BTreeSet::new() }
    }

    fn add(&mut self, part: &MessagePart<'m>) {
        if let Some(boundary) = part.delimiter() {
            let end = part.offset_header() as usize;
            let start = end.saturating_sub(boundary.len() + WINDOW);
            let line = self.source.get(start..end).unwrap_or_default();
            self.taken.extend(memmem::rfind(line, &opener(boundary)).map(|at| start + at));
        }
        if let Some(boundary) = part.boundary().filter(|boundary| !boundary.is_empty()) {
            self.boundaries.insert(boundary.as_bytes(), place(part));
            self.lengths.insert(boundary.len());
        }
    }

    /// The place of the multipart whose delimiter is hidden first.
    fn first_hidden(&self) -> Option<&str> {
        if self.boundaries.is_empty() {
            return None;
        }
        let (mut work, mut start) = (MAX_WORK, 0);
        for end in memchr2_iter(b'\n', b'\r', self.source).chain([self.source.len()]) {
            let line = self.source.get(start..end).unwrap_or_default();
            let indent = line.iter().take(WINDOW).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let begun = line.get(indent..).and_then(|line| line.strip_prefix(b"--"));
            let Some(left) = work.checked_sub(self.lengths.len()) else { return Some("body") };
            work = left;
            let place = match begun {
                Some(_) if self.taken.contains(&(start + indent)) => None,
                Some(begun) => self.begins_with(begun),
                None => self.ends_with(line),
            };
            if place.is_some() {
                return place;
            }
            start = end + 1;
        }
        None
    }

    /// The multipart whose boundary a line begins with, unless it closes it: that closes nothing once more.
    fn begins_with(&self, line: &[u8]) -> Option<&str> {
        let known = |length: &usize| Some((self.boundaries.get(line.get(..*length)?)?, line.get(*length..)?));
        let (place, rest) = self.lengths.iter().rev().find_map(known)?;
        (rest != b"--").then_some(place)
    }

    /// The multipart whose delimiter a line ends with.
    fn ends_with(&self, line: &[u8]) -> Option<&str> {
        self.lengths.iter().rev().find_map(|length| {
            let (before, boundary) = line.split_at_checked(line.len().checked_sub(*length)?)?;
            before.ends_with(b"--").then(|| self.boundaries.get(boundary)).flatten().map(String::as_str)
        })
    }
}

fn opener(boundary: &str) -> Vec<u8> {
    [b"--", boundary.as_bytes()].concat()
}
