//! Contents that are no archive themselves and carry one: programs that unpack themselves, pictures with an archive
//! behind them, documents with one inside.

use flate2::Crc;
use memchr::memmem;

use super::bytes::{slice, u32_at};
use super::kind::{Kind, RAR, SEVEN_ZIP};
use super::obstacle::Code;
use super::walk::Walker;
use super::{rar, seven_zip, zip};

/// Walks the zip that a content carries, and notes the archives that are not opened.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    for (signature, kind) in [(RAR, Kind::Rar), (SEVEN_ZIP, Kind::SevenZip)] {
        if let Some(archive) = find(bytes, signature, kind) {
            walker.note(archive)?;
        }
    }
    let mut ends = zip::candidates(bytes);
    if ends.next().is_none() {
        return Ok(());
    }
    // Readers take the last one; a scanner may take the first.
    if ends.next().is_some() {
        return Err(Code::Hidden);
    }
    zip::walk(walker, bytes, zip::Around::Anything)
}

/// Whether some reader can find an archive in it.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let archives = [(RAR, Kind::Rar), (SEVEN_ZIP, Kind::SevenZip)];
    zip::candidates(bytes).next().is_some()
        || archives.iter().any(|(signature, kind)| find(bytes, signature, *kind).is_some())
}

/// The first archive of this kind, if any place with its signature can be one.
fn find(bytes: &[u8], signature: &[u8], kind: Kind) -> Option<Code> {
    let mut places = memmem::find_iter(bytes, signature).filter_map(|at| bytes.get(at..));
    let is_one = |archive: &&[u8]| match kind {
        Kind::Rar => rar::has_a_header(archive),
        _ => has_a_start_header(archive),
    };
    let archive = places.find(is_one)?;
    let is_encrypted = match kind {
        Kind::Rar => rar::is_encrypted(archive),
        _ => seven_zip::is_encrypted(archive),
    };
    Some(if is_encrypted { Code::Encrypted } else { Code::NotOpened })
}

/// Whether the start header of a 7z has its checksum: programs that read 7z carry the signature alone.
pub(super) fn has_a_start_header(archive: &[u8]) -> bool {
    let mut crc = Crc::new();
    crc.update(slice(archive, 12, 20).unwrap_or_default());
    u32_at(archive, 8) == Some(crc.sum())
}
