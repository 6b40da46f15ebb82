//! Lines that some readers take for a delimiter and the parser does not: with more behind the boundary (which
//! RFC 2046 §5.1.1 lets a reader ignore) or before it, after a bare carriage return, or where their multipart is closed.
//!
//! One pass over the mail, whatever the number of multiparts.

use std::collections::{BTreeMap, BTreeSet};

use mail_parser::{Message, MessagePart, PartId, Source};
use memchr::{memchr2, memmem};

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::structure::place;

/// How much of a delimiter line is looked through for its beginning, beside the boundary.
const WINDOW: usize = 1_000;
/// Comparisons for one mail; no ordinary mail needs a tenth.
const MAX_WORK: usize = 20_000_000;
/// How many bytes are compared at the price of one.
const STEP: usize = 64;

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
        if let Some(place) = delimiters.first_hidden(MAX_WORK) {
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

    /// The place of the multipart whose delimiter is hidden first; `body` when it takes too much to tell.
    fn first_hidden(&self, work: usize) -> Option<&str> {
        let (dashes, mut work) = (memmem::Finder::new(b"--"), Work(work));
        let mut at = 0;
        while let Some(found) = dashes.find(self.source.get(at..)?) {
            let opener = at + found;
            let rest = self.source.get(opener..).unwrap_or_default();
            let line = rest.get(..end_of_line(rest)).unwrap_or_default();
            let place = match self.begins_a_line(opener) {
                true if self.taken.contains(&opener) => Some(None),
                true => self.begins_with(line.get(2..).unwrap_or_default(), &mut work),
                false => self.ends_with(line, &mut work),
            };
            match place {
                None => return Some("body"),
                Some(None) => at = opener + line.len(),
                Some(place) => return place,
            }
        }
        None
    }

    fn begins_a_line(&self, opener: usize) -> bool {
        let before = self.source.get(opener.saturating_sub(WINDOW)..opener).unwrap_or_default();
        let before = before.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
        matches!(before, Some(b'\n' | b'\r')) || before.is_none() && opener < WINDOW
    }

    /// The multipart whose boundary a line begins with behind its dashes, unless it closes it: that closes nothing once
    /// more. `None` where it takes too much to tell.
    fn begins_with(&self, line: &[u8], work: &mut Work) -> Option<Option<&str>> {
        for length in self.lengths.iter().rev() {
            let Some((boundary, rest)) = line.split_at_checked(*length) else { continue };
            work.spend(*length)?;
            if let Some(place) = self.boundaries.get(boundary) {
                return Some((rest != b"--").then_some(place));
            }
        }
        Some(None)
    }

    /// The multipart whose delimiter a line ends with. `None` where it takes too much to tell.
    fn ends_with(&self, line: &[u8], work: &mut Work) -> Option<Option<&str>> {
        for length in self.lengths.iter().rev() {
            let cut = line.len().checked_sub(*length).and_then(|cut| line.split_at_checked(cut));
            let Some((before, boundary)) = cut else { continue };
            work.spend(0)?;
            if before.ends_with(b"--") {
                work.spend(*length)?;
                if let Some(place) = self.boundaries.get(boundary) {
                    return Some(Some(place));
                }
            }
        }
        Some(None)
    }
}

/// What may still be compared, in steps of up to [`STEP`] bytes.
struct Work(usize);

impl Work {
    /// Takes what comparing so many bytes costs. `None` when there is not so much left.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.checked_sub(1 + bytes / STEP)?;
        Some(())
    }
}

fn end_of_line(text: &[u8]) -> usize {
    memchr2(b'\n', b'\r', text).unwrap_or(text.len())
}

fn opener(boundary: &str) -> Vec<u8> {
    [b"--", boundary.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    const HEAD: &str = "From: a@b.example\nContent-Type: multipart/mixed; boundary=o\n\n";

    fn hidden(body: &str, work: usize) -> Option<String> {
        let raw = format!("{HEAD}{body}").replace('\n', "\r\n");
        let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
        let mut delimiters = Delimiters::of(message.raw());
        message.parts().for_each(|part| delimiters.add(&part));
        delimiters.first_hidden(work).map(str::to_owned)
    }

    #[test]
    fn what_another_reader_takes_for_a_delimiter_is_seen() {
        let nested = "--o\nContent-Type: multipart/mixed; boundary=o-in\n\n--o-in\n\na\n--o-in--\n";
        for (body, expected) in [
            ("preamble\n--o\n\na\n--o \n\nb\n--o--\nepilogue -- o\n", None),
            ("--o\n\na\n--o--\n--o--\n", None),
            (&format!("{nested}--o--\n"), None),
            ("--o\n\na --o b\n-- o\n--O\n--o--\n", None),
            ("--o\n\na\n--ox\n\nb\n--o--\n", Some("part 1")),
            ("--o\n\na\n --o\n\nb\n--o--\n", Some("part 1")),
            ("--o\n\na --o\n\nb\n--o--\n", Some("part 1")),
            ("--o\n\na -----o\n\nb\n--o--\n", Some("part 1")),
            ("--o\n\na -- b --o\n\nb\n--o--\n", Some("part 1")),
            ("--o\n\na\r--o\r\rb\n--o--\n", Some("part 1")),
            ("--o\n\na\n--o--\n--o\n\nb\n--o--\n", Some("part 1")),
            (&format!("{nested}--o\n\n--o-in\n\nb\n--o--\n"), Some("part 2")),
        ] {
            assert_eq!(hidden(body, MAX_WORK).as_deref(), expected, "{body:?}");
        }
    }

    #[test]
    fn what_takes_too_much_to_tell_is_not_told_clean() {
        let body = format!("--o\n\n{}--o--\n", "a -- b\n".repeat(100));
        assert_eq!(hidden(&body, MAX_WORK), None);
        assert_eq!(hidden(&body, 50).as_deref(), Some("body"));
        // A line costs no more for having many dashes.
        let table = format!("--o\n\n{}--o--\n", "+----+--------+\n".repeat(100));
        assert_eq!(hidden(&table, 250), None);
    }
}
