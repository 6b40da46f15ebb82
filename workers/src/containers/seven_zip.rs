//! 7z: whether an archive says that it is encrypted. It is not opened.

use memchr::memmem;

use super::bytes::{position, slice, u64_at};

/// The length of the header at the start.
const START: usize = 32;
/// The identifier of AES-256 with SHA-256 among the coders.
const AES: &[u8] = b"\x06\xf1\x07\x01";

/// Whether the header at the end names the coder of encryption: of its own, or of files where it is not compressed.
pub(super) fn is_encrypted(archive: &[u8]) -> bool {
    let place = u64_at(archive, 12).zip(u64_at(archive, 20));
    let header = place.and_then(|(offset, len)| slice(archive, START.checked_add(position(offset))?, position(len)));
    header.is_some_and(|header| memmem::find(header, AES).is_some())
}
