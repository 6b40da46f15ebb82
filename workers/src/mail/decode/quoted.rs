//! Quoted-printable (RFC 2045 §6.7), read as mail clients read it.
//!
//! Lower-case digits are accepted, white space before a line break (and at the end) is deleted, soft breaks may
//! have white space between `=` and the line break, a bare carriage return is dropped, and a bad escape stays
//! as it is written. A run of white space is held until its end is known, or until it is longer than [`MOST_BLANKS`]: then
//! it is kept, which is wrong if the line ends after it, and said so. The clean path is `encodify`'s, many lines at once.

use encodify::qp::{BODY, QuotedPrintable};
use memchr::{memchr, memchr3, memrchr};

use super::Damage;
use crate::mail::hex32::digit;

/// Refuses what is no escape.
const STRICT: QuotedPrintable = BODY.strict();
/// How much white space is held. No line of a mail that anybody wrote has as much of it.
const MOST_BLANKS: usize = 64 * 1024;

/// The state between two chunks.
#[derive(Debug, Default)]
pub(super) struct Quoted {
    state: State,
    /// White space that is deleted if the line, or the soft break, ends after it.
    blanks: Vec<u8>,
    /// Whether white space before it was let go already.
    let_go: bool,
    damage: Damage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// A carriage return that may be the first half of a line break.
    Return,
    /// `=`.
    Escape,
    /// `=` and a hex digit.
    Digit(u8),
    /// `=` and white space.
    Blank,
    /// `=`, perhaps white space, and a carriage return.
    SoftReturn,
}

impl Quoted {
    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        // The end of a line that was begun before, then as many whole lines as are clean, then what is left.
        let (begun, rest) = input.split_at(memchr(b'\n', input).map_or(input.len(), |end| end + 1));
        self.push_bytes(begun, out);
        let clean = self.push_lines(rest, out);
        self.push_bytes(rest.get(clean..).unwrap_or_default(), out);
    }

    /// Decodes whole lines, if nothing has to be forgiven in them, and fewer than can hold too much white space. Returns how
    /// many bytes that are.
    fn push_lines(&self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let is_between_lines = self.state == State::Text && self.blanks.is_empty();
        let first = input.get(..MOST_BLANKS).unwrap_or(input);
        let Some(last) = memrchr(b'\n', first).filter(|_| is_between_lines) else { return 0 };
        let lines = first.get(..=last).unwrap_or_default();
        if STRICT.decode_append(lines, out).is_ok() { lines.len() } else { 0 }
    }

    fn push_bytes(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some((&byte, rest)) = input.split_first() {
            if self.state == State::Text {
                input = self.text(input, out);
            } else if self.step(byte, out) {
                input = rest;
            }
        }
    }

    /// Takes a run of text and what ends it: the fast path. Returns the rest.
    fn text<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = memchr3(b'=', b'\r', b'\n', input).unwrap_or(input.len());
        let (run, rest) = input.split_at(end);
        self.run(run, out);
        match rest {
            [] => rest,
            [b'=', high, low, rest @ ..] if let Some(byte) = pair(*high, *low) => {
                self.keep_blanks(out);
                out.push(byte);
                rest
            }
            [b'\r', b'\n', rest @ ..] => {
                self.drop_blanks();
                out.extend_from_slice(b"\r\n");
                rest
            }
            [b'\n', rest @ ..] => {
                self.drop_blanks();
                out.push(b'\n');
                rest
            }
            [b'=', rest @ ..] => {
                self.keep_blanks(out);
                self.state = State::Escape;
                rest
            }
            [_, rest @ ..] => {
                self.state = State::Return;
                rest
            }
        }
    }

    /// Text without escapes and line breaks.
    fn run(&mut self, run: &[u8], out: &mut Vec<u8>) {
        let blanks = run.iter().rev().take_while(|byte| is_blank(**byte)).count();
        let (text, blanks) = run.split_at(run.len() - blanks);
        if !text.is_empty() {
            self.keep_blanks(out);
            out.extend_from_slice(text);
        }
        self.hold(blanks, out);
    }

    /// Holds white space, and lets it go where there is too much of it: always after as many bytes, however they came.
    fn hold(&mut self, mut blanks: &[u8], out: &mut Vec<u8>) {
        while self.blanks.len() + blanks.len() > MOST_BLANKS {
            let (first, rest) = blanks.split_at(MOST_BLANKS - self.blanks.len());
            self.blanks.extend_from_slice(first);
            self.keep_blanks(out);
            self.let_go = true;
            blanks = rest;
        }
        self.blanks.extend_from_slice(blanks);
    }

    /// The line ends after the white space. Some of it may be among the text by now: other readers do not have it there.
    fn drop_blanks(&mut self) {
        self.damage.conflicting |= std::mem::take(&mut self.let_go);
        self.blanks.clear();
    }

    fn keep_blanks(&mut self, out: &mut Vec<u8>) {
        self.let_go = false;
        if !self.blanks.is_empty() {
            out.append(&mut self.blanks);
        }
    }

    /// One byte in any other state than text. Returns whether it was consumed.
    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let state = std::mem::take(&mut self.state);
        match (state, byte) {
            (State::Return, b'\n') => {
                self.drop_blanks();
                out.extend_from_slice(b"\r\n");
                true
            }
            (State::Escape | State::Blank | State::SoftReturn, b'\n') => {
                self.drop_blanks();
                true
            }
            (State::Escape | State::Blank, b'\r') => {
                self.state = State::SoftReturn;
                true
            }
            (State::Blank, _) if is_blank(byte) && self.blanks.len() == MOST_BLANKS => {
                self.not_soft(out);
                self.let_go = true;
                false
            }
            (State::Escape | State::Blank, _) if is_blank(byte) => {
                self.blanks.push(byte);
                self.state = State::Blank;
                true
            }
            (State::Escape, _) if digit(byte).is_some() => {
                self.state = State::Digit(byte);
                true
            }
            (State::Escape, _) => {
                self.literal(Some(byte), out);
                true
            }
            (State::Digit(high), _) => self.second_digit(high, byte, out),
            (State::Blank | State::SoftReturn, _) => {
                self.not_soft(out);
                false
            }
            (State::Text | State::Return, _) => false,
        }
    }

    fn second_digit(&mut self, high: u8, low: u8, out: &mut Vec<u8>) -> bool {
        let Some(byte) = pair(high, low) else {
            self.literal(Some(high), out);
            return false;
        };
        out.push(byte);
        true
    }

    /// `=` that is no escape stays, and so does the byte after it.
    fn literal(&mut self, next: Option<u8>, out: &mut Vec<u8>) {
        self.damage.stray += 1;
        out.push(b'=');
        out.extend(next);
    }

    /// What looked like a soft break is none: of its white space the first stays whatever follows.
    fn not_soft(&mut self, out: &mut Vec<u8>) {
        let first = (!self.blanks.is_empty()).then(|| self.blanks.remove(0));
        self.literal(first, out);
    }

    /// What is reserved for white space, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.blanks.capacity()
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Damage {
        match self.state {
            State::Digit(high) => self.literal(Some(high), out),
            State::SoftReturn => self.not_soft(out),
            State::Text | State::Return | State::Escape | State::Blank => {}
        }
        self.drop_blanks();
        self.damage
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn pair(high: u8, low: u8) -> Option<u8> {
    digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
}
