//! Inflates raw deflate streams (RFC 1951) of known length, and says where the declaration is wrong.

use flate2::{Decompress, FlushDecompress, Status};

use super::bytes::position;
use super::obstacle::Code;

/// What is reserved before the first byte was made.
const FIRST: usize = 64 * 1024;

/// Inflates all of `input` to exactly `len` bytes.
///
/// # Errors
/// [`Code::Damaged`] where it is no deflate stream, [`Code::Contradictory`] where it is longer or shorter than declared,
/// on either side: what a reader sees then depends on which of the lengths it believes.
pub(super) fn inflate(input: &[u8], len: u64) -> Result<Vec<u8>, Code> {
    let len = position(len);
    let mut out = Vec::with_capacity(len.min(FIRST));
    let mut stream = Decompress::new(false);
    loop {
        let used = position(stream.total_in());
        let rest = input.get(used..).unwrap_or_default();
        let made = out.len();
        if out.capacity() == made {
            // One byte of room beyond the declared length shows a stream that goes on.
            let more = made.max(FIRST).min((len + 1).saturating_sub(made)).max(1);
            out.try_reserve_exact(more).map_err(|_| Code::TooLarge)?;
        }
        let status = stream.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| Code::Damaged)?;
        if out.len() > len {
            return Err(Code::Contradictory);
        }
        match status {
            Status::StreamEnd => break,
            // Neither room nor input is what it waits for: the input ended.
            _ if out.len() == made && position(stream.total_in()) == used => return Err(Code::Damaged),
            Status::Ok | Status::BufError => {}
        }
    }
    let is_whole = out.len() == len && position(stream.total_in()) == input.len();
    if is_whole { Ok(out) } else { Err(Code::Contradictory) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};

    use super::*;

    fn deflate(content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_what_is_declared_comes_out() {
        for len in [0, 1, 100, FIRST - 1, FIRST, FIRST + 1, 3 * FIRST, 1_000_000] {
            let content: Vec<u8> = (0..len).map(|i| (i * i % 251).to_le_bytes()[0]).collect();
            let (packed, len) = (deflate(&content), len as u64);
            assert_eq!(inflate(&packed, len), Ok(content));
            assert_eq!(inflate(&packed, len + 1), Err(Code::Contradictory));
            assert_eq!(inflate(&[&packed[..], b"x"].concat(), len), Err(Code::Contradictory));
            assert_eq!(inflate(&packed[..packed.len() - 1], len), Err(Code::Damaged));
            if len > 0 {
                assert_eq!(inflate(&packed, len - 1), Err(Code::Contradictory));
            }
        }
        assert_eq!(inflate(b"\xff\xff\xff", 9), Err(Code::Damaged));
    }
}
