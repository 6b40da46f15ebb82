//! Length-prefixed frames with a version, as both sides of the pipe read and write them.
//!
//! A frame is `M` `T`, the version, the kind, the length of its payload (32 bits, little-endian), the payload. The
//! reader says which kind it waits for and how long it may be: anything else is a typed error, whatever the bytes,
//! and memory grows only with what was truly sent.

use std::io::{self, Read, Write};

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::buffer::Buffer;

const MAGIC: [u8; 2] = *b"MT";
const VERSION: u8 = 2;
/// How long a header is, in bytes.
pub const HEADER: usize = 8;
/// The longest payload that a header can announce, in bytes.
pub const MAX: u64 = u32::MAX as u64;
/// How much is reserved before anything of a payload was read, in bytes.
pub(super) const RESERVED: usize = 64 * 1024;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A request without its bytes, as JSON.
    Request = 1,
    /// The bytes it is about.
    Body = 2,
    /// An answer, as its task writes it.
    Answer = 3,
    /// What is in force in the child, as JSON: the first that it says.
    Hello = 4,
}

/// Why a frame could not be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// It does not begin like a frame.
    #[error("not a frame")]
    Magic,
    /// Another version of this program is at the other end.
    #[error("frame version {0} instead of {VERSION}")]
    Version(u8),
    /// Not the frame that belongs here.
    #[error("frame kind {found} instead of {wanted:?}")]
    Kind {
        /// What it is.
        found: u8,
        /// What it should be.
        wanted: Kind,
    },
    /// Longer than allowed here.
    #[error("a frame of {found} bytes where {max} are allowed")]
    TooLong {
        /// Its length.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Something stands behind the only frame that was asked for.
    #[error("bytes behind the frame")]
    Excess,
    /// The pipe ended within a frame.
    #[error("the pipe ended within a frame")]
    Truncated,
    /// The pipe failed.
    #[error("the pipe failed: {0}")]
    Io(#[from] io::Error),
}

/// The header of a frame.
///
/// # Errors
/// [`FrameError::TooLong`] where the length does not fit in 32 bits.
pub fn header(kind: Kind, len: u64) -> Result<[u8; HEADER], FrameError> {
    let [a, b, c, d] = u32::try_from(len).map_err(|_| FrameError::TooLong { found: len, max: MAX })?.to_le_bytes();
    let [m, t] = MAGIC;
    Ok([m, t, VERSION, kind as u8, a, b, c, d])
}

/// Reads a header: the length of the payload, which is at most `max`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn payload_len(header: [u8; HEADER], wanted: Kind, max: u64) -> Result<u64, FrameError> {
    let [m, t, version, kind, a, b, c, d] = header;
    let found = u64::from(u32::from_le_bytes([a, b, c, d]));
    match () {
        () if [m, t] != MAGIC => Err(FrameError::Magic),
        () if version != VERSION => Err(FrameError::Version(version)),
        () if kind != wanted as u8 => Err(FrameError::Kind { found: kind, wanted }),
        () if found > max => Err(FrameError::TooLong { found, max }),
        () => Ok(found),
    }
}

/// Reads a frame of this kind into a buffer: its payload. `None` where the input ends before it begins.
///
/// # Errors
/// See [`FrameError`].
pub fn read<'b>(
    input: &mut impl Read,
    wanted: Kind,
    max: u64,
    buffer: &'b mut Buffer,
) -> Result<Option<&'b [u8]>, FrameError> {
    let mut head = Vec::with_capacity(HEADER);
    input.take(HEADER as u64).read_to_end(&mut head)?;
    let Some(len) = head_len(&head, wanted, max)? else { return Ok(None) };
    match buffer.fill(input, len) {
        Ok(payload) => Ok(Some(payload)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(FrameError::Truncated),
        Err(error) => Err(error.into()),
    }
}

/// Reads the one frame of this kind that is to come: the parent's side, which takes it in as few turns as it can and
/// nothing that a child says unasked.
///
/// # Errors
/// See [`FrameError`].
pub async fn read_async<R: AsyncRead + Unpin>(
    input: &mut R,
    wanted: Kind,
    max: u64,
) -> Result<Option<BytesMut>, FrameError> {
    let mut bytes = BytesMut::with_capacity(HEADER + RESERVED);
    while bytes.len() < HEADER && input.read_buf(&mut bytes).await? > 0 {}
    let Some(len) = head_len(bytes.get(..HEADER).unwrap_or(&bytes), wanted, max)? else { return Ok(None) };
    bytes.advance(HEADER);
    while bytes.len() < len {
        // One byte beyond it, so that what should not be there is seen.
        let missing = len - bytes.len() + 1;
        bytes.reserve(missing.min(bytes.len().max(RESERVED)));
        if input.read_buf(&mut (&mut bytes).limit(missing)).await? == 0 {
            return Err(FrameError::Truncated);
        }
    }
    if bytes.len() == len { Ok(Some(bytes)) } else { Err(FrameError::Excess) }
}

/// Writes a frame, at once: each write wakes whoever waits for it.
///
/// # Errors
/// See [`FrameError`].
pub fn write(output: &mut impl Write, kind: Kind, mut payload: Vec<u8>) -> Result<(), FrameError> {
    payload.splice(..0, header(kind, payload.len() as u64)?);
    output.write_all(&payload)?;
    Ok(output.flush()?)
}

fn head_len(head: &[u8], wanted: Kind, max: u64) -> Result<Option<usize>, FrameError> {
    match head.try_into() {
        Ok(head) => {
            let len = payload_len(head, wanted, max)?;
            usize::try_from(len).map(Some).map_err(|_| FrameError::TooLong { found: len, max })
        }
        Err(_) if head.is_empty() => Ok(None),
        Err(_) => Err(FrameError::Truncated),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, kind, payload.to_vec()).unwrap();
        bytes
    }

    fn read_all(mut bytes: &[u8], wanted: Kind, max: u64) -> Result<Option<Vec<u8>>, FrameError> {
        Ok(read(&mut bytes, wanted, max, &mut Buffer::default())?.map(<[u8]>::to_vec))
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = frame(Kind::Answer, b"{}");
        let broken = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read_all(&bytes, Kind::Answer, 10)
        };
        assert!(matches!(read_all(&good, Kind::Answer, 2), Ok(Some(payload)) if payload == b"{}"));
        assert!(matches!(read_all(&[], Kind::Answer, 2), Ok(None)));
        assert!(matches!(broken(0, 0), Err(FrameError::Magic)));
        assert!(matches!(broken(2, 9), Err(FrameError::Version(9))));
        assert!(matches!(read_all(&good, Kind::Body, 2), Err(FrameError::Kind { found: 3, wanted: Kind::Body })));
        assert!(matches!(broken(7, 1), Err(FrameError::TooLong { max: 10, .. })));
        assert!(matches!(read_all(&good, Kind::Answer, 1), Err(FrameError::TooLong { found: 2, max: 1 })));
        for end in 1..good.len() {
            assert!(matches!(read_all(&good[..end], Kind::Answer, 2), Err(FrameError::Truncated)), "{end}");
        }
    }

    proptest! {
        #[test]
        fn garbage_gives_an_error_or_a_bounded_frame_and_both_readers_agree(
            head in prop_oneof![any::<[u8; 8]>(), (any::<u8>(), 0u8..20).prop_map(|(kind, len)| [b'M', b'T', VERSION, kind % 4, len, 0, 0, 0])],
            tail in proptest::collection::vec(any::<u8>(), 0..64),
            cut in 0usize..72,
        ) {
            let bytes = [&head[..], &tail].concat();
            let bytes = &bytes[..cut.min(bytes.len())];
            let found = read_all(bytes, Kind::Body, 16);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let theirs = runtime.block_on(async { read_async(&mut &bytes[..], Kind::Body, 16).await });
            let theirs = theirs.map(|payload| payload.map(|payload| payload.to_vec()));
            if let Ok(Some(payload)) = &found {
                let whole = frame(Kind::Body, payload);
                prop_assert_eq!(&whole, &bytes[..whole.len()]);
                if bytes.len() > whole.len() {
                    prop_assert!(matches!(theirs, Err(FrameError::Excess)), "{theirs:?}");
                    return Ok(());
                }
            }
            prop_assert_eq!(format!("{found:?}"), format!("{theirs:?}"));
        }
    }
}
