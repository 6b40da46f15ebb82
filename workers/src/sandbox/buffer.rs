//! Where the child reads frames into, one after the other.
//!
//! What one mail left is overwritten by the next, so that a child that serves many asks the kernel for memory once, and
//! finds it in its cache. Memory grows only with what was truly sent.

use std::io::{self, Read};

use super::frame::RESERVED;

/// How much is kept for the next frame, in bytes.
const KEPT: usize = 1024 * 1024;

/// A buffer that serves again.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Reads exactly so many bytes.
    pub(super) fn fill(&mut self, input: &mut impl Read, len: usize) -> io::Result<&[u8]> {
        let mut filled = 0;
        while filled < len {
            let end = len.min(self.0.len().max(2 * filled).max(RESERVED));
            if self.0.len() < end {
                self.0.resize(end, 0);
            }
            input.read_exact(self.0.get_mut(filled..end).unwrap_or_default())?;
            filled = end;
        }
        Ok(self.0.get(..len).unwrap_or_default())
    }

    /// Gives back what a long frame needed and most others do not.
    pub(super) fn trim(&mut self) {
        self.0.truncate(KEPT);
        self.0.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_again_and_keeps_a_bounded_rest() {
        let mut buffer = Buffer::default();
        for len in [3, 0, 200_000, 5, KEPT, KEPT + 1, 7] {
            let content: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            assert_eq!(buffer.fill(&mut &*content, len).unwrap(), content);
            buffer.trim();
            assert!(buffer.0.capacity() <= KEPT);
        }
        // What was announced and did not come costs what came, and a first portion.
        buffer = Buffer::default();
        assert!(buffer.fill(&mut &[0; 100_000][..], 40 << 20).is_err());
        assert!(buffer.0.len() <= 4 * RESERVED, "{}", buffer.0.len());
    }
}
