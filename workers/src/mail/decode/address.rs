//! Where the bytes of a part are, and how to read them from the raw mail in one sequential pass.
//!
//! A part may lie inside an encoded message, so its address is a path of (range, encoding) from the outside in:
//! the first range is in the raw mail, each further one in the decoded bytes of the one before.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Damage, Decoder, Encoding};

/// A range and how its bytes are encoded. On the wire it is `[start, end, encoding]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "(u64, u64, Encoding)", try_from = "(u64, u64, Encoding)")]
pub struct Segment {
    /// Where it starts, in bytes.
    pub start: u64,
    /// Where it ends, in bytes: never before its start.
    pub end: u64,
    /// How the range is encoded.
    pub encoding: Encoding,
}

impl Segment {
    /// Its length before decoding, in bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Segment> for (u64, u64, Encoding) {
    fn from(segment: Segment) -> Self {
        (segment.start, segment.end, segment.encoding)
    }
}

impl TryFrom<(u64, u64, Encoding)> for Segment {
    type Error = &'static str;

    fn try_from((start, end, encoding): (u64, u64, Encoding)) -> Result<Self, Self::Error> {
        if start <= end { Ok(Self { start, end, encoding }) } else { Err("a range that ends before it starts") }
    }
}

/// The path to a part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartAddress(pub Vec<Segment>);

impl PartAddress {
    /// The range of the raw mail that has to be read. Empty for an empty path.
    pub fn outer_range(&self) -> Range<u64> {
        self.0.first().map_or(0..0, |segment| segment.start..segment.end)
    }

    /// How long the part can be at most: decoding never makes bytes more.
    pub fn max_len(&self) -> u64 {
        self.0.iter().map(Segment::len).min().unwrap_or(0)
    }
}

/// Reads a part from the bytes of its [`PartAddress::outer_range`], pushed in order in chunks of any size.
#[derive(Debug)]
pub struct PartReader {
    stages: Vec<Stage>,
    outer: Range<u64>,
}

/// A step of the path: skip, take, decode.
#[derive(Debug)]
struct Stage {
    skip: u64,
    take: u64,
    decoder: Decoder,
    out: Vec<u8>,
}

impl PartReader {
    /// A reader at the start of the outer range.
    pub fn new(address: &PartAddress) -> Self {
        let mut stages: Vec<_> = address.0.iter().map(Stage::new).collect();
        if let Some(outermost) = stages.first_mut() {
            outermost.skip = 0;
        }
        Self { stages, outer: address.outer_range() }
    }

    /// The range of the raw mail that has to be pushed, whole and in order.
    pub fn outer_range(&self) -> Range<u64> {
        self.outer.clone()
    }

    /// Takes the next raw bytes and appends what they give of the part to `out`.
    pub fn push(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        self.feed(0, raw, out);
    }

    /// Ends the outer range: appends what was held back and says what the decoders had to forgive.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Damage {
        let mut all = Damage::default();
        for index in 0..self.stages.len() {
            let Some(stage) = self.stages.get_mut(index) else { break };
            let mut tail = Vec::new();
            let damage = stage.decoder.finish(&mut tail);
            all.stray += damage.stray;
            all.resumed |= damage.resumed;
            all.conflicting |= damage.conflicting;
            if index + 1 < self.stages.len() {
                self.feed(index + 1, &tail, out);
            } else {
                out.append(&mut tail);
            }
        }
        all
    }

    /// Feeds a stage, and with what it gives the next ones.
    fn feed(&mut self, from: usize, input: &[u8], out: &mut Vec<u8>) {
        let Some((last, inner)) = self.stages.get_mut(from..).and_then(<[Stage]>::split_last_mut) else { return };
        let mut bytes = input;
        for stage in inner {
            let mut buffer = std::mem::take(&mut stage.out);
            buffer.clear();
            stage.push(bytes, &mut buffer);
            stage.out = buffer;
            bytes = &stage.out;
        }
        last.push(bytes, out);
    }
}

impl Stage {
    fn new(segment: &Segment) -> Self {
        Self { skip: segment.start, take: segment.len(), decoder: Decoder::new(segment.encoding), out: Vec::new() }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let skipped = at_most(self.skip, input.len());
        let taken = at_most(self.take, input.len() - skipped);
        self.skip -= skipped as u64;
        self.take -= taken as u64;
        self.decoder.push(input.get(skipped..skipped + taken).unwrap_or_default(), out);
    }
}

/// The smaller of the two.
fn at_most(left: u64, len: usize) -> usize {
    usize::try_from(left).map_or(len, |left| left.min(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[u8] = b"skip me|Y2Fm\r\nw6k=|tail";

    fn read(address: &PartAddress, raw: &[u8], chunk: usize) -> Vec<u8> {
        let mut reader = PartReader::new(address);
        let range = reader.outer_range();
        let outer = &raw[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let mut out = Vec::new();
        outer.chunks(chunk).for_each(|chunk| reader.push(chunk, &mut out));
        assert!(reader.finish(&mut out).is_clean());
        out
    }

    #[test]
    fn a_part_inside_an_encoded_message_is_read_in_one_pass_whatever_the_chunks() {
        let raw = format!("head {} tail", ::base64::Engine::encode(&::base64::prelude::BASE64_STANDARD, INNER));
        let end = raw.len() as u64 - 5;
        let address = PartAddress(vec![
            Segment { start: 5, end, encoding: Encoding::Base64 },
            Segment { start: 8, end: 18, encoding: Encoding::Base64 },
        ]);
        for chunk in 1..raw.len() {
            assert_eq!(read(&address, raw.as_bytes(), chunk), "café".as_bytes(), "{chunk}");
        }
    }

    #[test]
    fn an_address_is_compact_json_and_a_reversed_range_is_refused() {
        let address = PartAddress(vec![Segment { start: 3, end: 9, encoding: Encoding::QuotedPrintable }]);
        let json = serde_json::to_string(&address).unwrap();
        assert_eq!(json, r#"[[3,9,"qp"]]"#);
        assert_eq!(serde_json::from_str::<PartAddress>(&json).unwrap(), address);
        assert!(serde_json::from_str::<PartAddress>(r#"[[9,3,"qp"]]"#).is_err());
    }

    #[test]
    fn an_empty_path_gives_nothing() {
        let mut reader = PartReader::new(&PartAddress(Vec::new()));
        let mut out = Vec::new();
        reader.push(b"x", &mut out);
        reader.finish(&mut out);
        assert!(out.is_empty());
    }
}
