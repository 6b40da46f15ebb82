//! How documents of Office say that they are encrypted, stream by stream.

use super::bytes::{slice, u16_at, u32_at};

/// Streams that only encrypted documents have: OOXML by password (MS-OFFCRYPTO §2.3.4), rights management (§2.2), and
/// the summary of an encrypted legacy document (§2.3.5.4).
const OF_ENCRYPTED: [&str; 5] =
    ["EncryptedPackage", "EncryptionInfo", "\u{9}DRMContent", "\u{9}DRMViewerContent", "EncryptedSummary"];

/// Whether a stream of this name says that its document is encrypted.
pub(super) fn is_encrypted(name: &str, content: &[u8]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let encrypted = match () {
        () if is("WordDocument") => word(content),
        () if is("Workbook") || is("Book") => excel(content),
        () if is("Current User") => powerpoint_user(content),
        () if is("PowerPoint Document") => powerpoint(content),
        () => None,
    };
    encrypted.unwrap_or(false) || OF_ENCRYPTED.iter().any(|other| is(other))
}

/// The base of the file information block: `fEncrypted` (MS-DOC §2.5.2).
fn word(content: &[u8]) -> Option<bool> {
    let is_word = matches!(u16_at(content, 0)?, 0xa5ec | 0xa5dc);
    Some(is_word && u16_at(content, 10)? & 0x0100 != 0)
}

/// A `FilePass` record among the globals, which end with the first `EOF` (MS-XLS §2.4.117, §2.1.7.20.3). Records' types
/// and lengths are never encrypted.
fn excel(content: &[u8]) -> Option<bool> {
    const FILE_PASS: u16 = 0x2f;
    const EOF: u16 = 0x0a;
    let mut at = 0;
    loop {
        match u16_at(content, at)? {
            FILE_PASS => return Some(true),
            EOF => return Some(false),
            _ => at += 4 + usize::from(u16_at(content, at + 2)?),
        }
    }
}

/// The token of the current user (MS-PPT §2.3.2).
fn powerpoint_user(content: &[u8]) -> Option<bool> {
    Some(u32_at(content, 12)? == 0xf3d1_c4df)
}

/// A `CryptSession10Container` among the top records (MS-PPT §2.3.7).
fn powerpoint(content: &[u8]) -> Option<bool> {
    const CRYPT_SESSION: u16 = 0x2f14;
    let mut at = 0_usize;
    loop {
        let head = slice(content, at, 8)?;
        if u16_at(head, 2)? == CRYPT_SESSION {
            return Some(true);
        }
        at = at.checked_add(8)?.checked_add(u32_at(head, 4)? as usize)?;
    }
}
