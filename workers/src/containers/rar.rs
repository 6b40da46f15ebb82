//! RAR 4 and 5: whether an archive says that it is encrypted. It is not opened.

use super::bytes::{position, slice, u16_at, u32_at};
use super::kind::RAR;

/// Headers that are looked at: an archive of more says nothing new.
const MOST: usize = 10_000;

/// Whether what begins with the signature goes on like an archive.
pub(super) fn has_a_header(archive: &[u8]) -> bool {
    match archive.get(RAR.len()..) {
        // Version 4: the main header's type follows its checksum.
        Some([0, _, _, 0x73 | 0x72, ..]) => true,
        // Version 5: checksum, size, and then the main header's type or that of the encryption header.
        Some([1, 0, rest @ ..]) => first_5(rest).is_some_and(|kind| matches!(kind, 1 | 4)),
        _ => false,
    }
}

/// Whether headers or files are encrypted, as far as the headers can be read.
pub(super) fn is_encrypted(archive: &[u8]) -> bool {
    match archive.get(RAR.len()..) {
        Some([0, rest @ ..]) => version_4(rest).unwrap_or(false),
        Some([1, 0, rest @ ..]) => version_5(rest).unwrap_or(false),
        _ => false,
    }
}

/// Blocks of version 4: checksum, type, flags, size, and where the flags say so the length of what follows.
fn version_4(bytes: &[u8]) -> Option<bool> {
    let mut at = 0;
    for _ in 0..MOST {
        let kind = *bytes.get(at + 2)?;
        let (flags, size) = (u16_at(bytes, at + 3)?, usize::from(u16_at(bytes, at + 5)?));
        match kind {
            0x73 if flags & 0x80 != 0 => return Some(true),
            0x74 if flags & 0x04 != 0 => return Some(true),
            0x7b => return Some(false),
            _ => {}
        }
        let has_data = flags & 0x8000 != 0 || kind == 0x74;
        let data = if has_data { u32_at(bytes, at + 7)? as usize } else { 0 };
        at = at.checked_add(size.max(7))?.checked_add(data)?;
    }
    Some(false)
}

/// Headers of version 5: checksum, size, type, flags, lengths of the extra area and of the data where the flags say so.
fn version_5(bytes: &[u8]) -> Option<bool> {
    let mut at = 0;
    for _ in 0..MOST {
        let mut fields = Fields { bytes, at: at + 4 };
        let size = position(fields.number()?);
        let end = fields.at.checked_add(size)?;
        let kind = fields.number()?;
        let flags = fields.number()?;
        let extra = if flags & 1 != 0 { position(fields.number()?) } else { 0 };
        let data = if flags & 2 != 0 { position(fields.number()?) } else { 0 };
        match kind {
            4 => return Some(true),
            2 | 3 if is_encrypted_file(slice(bytes, end.checked_sub(extra)?, extra)?) => return Some(true),
            5 => return Some(false),
            _ => {}
        }
        at = end.checked_add(data)?;
    }
    Some(false)
}

fn first_5(bytes: &[u8]) -> Option<u64> {
    let mut fields = Fields { bytes, at: 4 };
    fields.number()?;
    fields.number()
}

/// Whether one of a file's extra records is the one of encryption.
fn is_encrypted_file(extra: &[u8]) -> bool {
    let mut fields = Fields { bytes: extra, at: 0 };
    while let Some(size) = fields.number() {
        let start = fields.at;
        if fields.number() == Some(1) {
            return true;
        }
        let Some(next) = start.checked_add(position(size)).filter(|next| *next > start) else { break };
        fields.at = next;
    }
    false
}

/// Numbers of seven bits a byte, the lowest first.
struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Fields<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
