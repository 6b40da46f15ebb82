//! Base64 (RFC 2045 §6.8), read as mail clients read it.
//!
//! Bytes outside the alphabet are skipped, missing padding is accepted, and after `=` decoding goes on with a
//! new group: a client that stops at the padding sees a beginning of what we see, never something else. The
//! clean path is `encodify`'s, many lines at once; only what stops it is looked at byte by byte.

use encodify::base64::MIME;
use memchr::{memchr, memchr_iter, memrchr};

use super::Damage;

/// The state between two chunks.
#[derive(Debug)]
pub(super) struct Base64 {
    decoder: encodify::base64::Decoder,
    /// Symbols in the group that is open, 0 to 3.
    open: usize,
    padding: Padding,
    damage: Damage,
}

/// What the last padding says about symbols that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    /// There was none.
    None,
    /// One more `=` belongs to it.
    Due,
    /// It closed a group as it should.
    Complete,
    /// It stood where none belongs.
    Misplaced,
}

impl Default for Base64 {
    fn default() -> Self {
        let decoder = MIME.decoder();
        Self { decoder, open: 0, padding: Padding::None, damage: Damage::default() }
    }
}

impl Base64 {
    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() / 4 * 3 + 3);
        // The end of a line that was begun before, then as many whole lines as are clean, then what is left.
        let (begun, rest) = input.split_at(memchr(b'\n', input).map_or(input.len(), |end| end + 1));
        self.push_bytes(begun, out);
        let clean = self.push_lines(rest, out);
        self.push_bytes(rest.get(clean..).unwrap_or_default(), out);
    }

    /// Decodes whole lines up to the first padding, if nothing has to be forgiven in them. Returns how many bytes that are.
    fn push_lines(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let is_between_groups = self.open == 0 && self.padding == Padding::None;
        let unpadded = input.get(..memchr(b'=', input).unwrap_or(input.len())).unwrap_or_default();
        let Some(last) = memrchr(b'\n', unpadded).filter(|_| is_between_groups) else { return 0 };
        let lines = unpadded.get(..=last).unwrap_or_default();
        let symbols = lines.len() - memchr_iter(b'\n', lines).count() - memchr_iter(b'\r', lines).count();
        let before = out.len();
        // Fewer bytes than that many symbols make: some are none, or a group goes on in the next line.
        let is_clean =
            MIME.decode_append(lines, out).is_ok_and(|len| symbols.is_multiple_of(4) && len == symbols / 4 * 3);
        if is_clean {
            return lines.len();
        }
        out.truncate(before);
        0
    }

    fn push_bytes(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            let symbols = self.decoder.decode_symbols(input, out);
            if symbols > 0 {
                self.symbols(symbols);
            }
            let Some((&stop, rest)) = input.get(symbols..).and_then(<[u8]>::split_first) else { return };
            match stop {
                b'=' => self.pad(out),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => self.damage.stray += 1,
            }
            input = rest;
        }
    }

    fn symbols(&mut self, count: usize) {
        self.open = (self.open + count) % 4;
        match self.padding {
            Padding::None => {}
            Padding::Complete => self.damage.resumed = true,
            Padding::Due | Padding::Misplaced => {
                self.damage.resumed = true;
                self.damage.conflicting = true;
            }
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        self.padding = match (std::mem::take(&mut self.open), self.padding) {
            (2, _) => Padding::Due,
            (3, _) | (0, Padding::Due) => Padding::Complete,
            (0, padding @ (Padding::Complete | Padding::Misplaced)) => {
                self.damage.stray += 1;
                padding
            }
            _ => {
                self.damage.stray += 1;
                Padding::Misplaced
            }
        };
        self.decoder.pad(out);
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) -> Damage {
        self.decoder.finish(out);
        self.damage
    }
}
