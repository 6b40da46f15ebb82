//! What a header of a zip says of a member, in the central directory or before its data.

use crate::containers::bytes::{slice, u16_at, u32_at, u64_at};
use crate::containers::obstacle::Code;

/// Bits of the flags that say "encrypted": the member's data, in the strong way, the directory (APPNOTE §4.4.4).
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// The bit that puts lengths and checksum behind the data.
const DESCRIPTOR: u16 = 1 << 3;
const PATCHED: u16 = 1 << 5;
/// The method that stands for AES encryption, and the extra fields of AES and of strong encryption.
const AES: u16 = 99;
const EXTRA_AES: u16 = 0x9901;
const EXTRA_STRONG: u16 = 0x0017;
const EXTRA_ZIP64: u16 = 0x0001;
/// The Unicode path (APPNOTE §4.6.9).
const EXTRA_UNICODE: u16 = 0x7075;
/// What stands in a narrow field whose value is in the zip64 extra field.
const ELSEWHERE: u32 = u32::MAX;

/// A member's header.
#[derive(Debug)]
pub(super) struct Entry<'b> {
    pub(super) name: &'b [u8],
    /// Its names in UTF-8, which some readers prefer.
    unicode: Vec<&'b [u8]>,
    flags: u16,
    method: u16,
    pub(super) crc: u32,
    /// The length of the compressed data.
    pub(super) packed: u64,
    /// The length of the member.
    pub(super) len: u64,
    /// Where the local header is, from the start of the zip. Zero in the local header itself.
    pub(super) offset: u64,
    has_encryption_field: bool,
    /// Whether some of these numbers were too large for the header, or said to be.
    is_wide: bool,
}

/// How a member is compressed, of the methods that are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

impl<'b> Entry<'b> {
    /// Reads the fields that both kinds of header share, from the flags on, with the name and the extra field.
    pub(super) fn read(fields: &[u8], name: &'b [u8], extra: &'b [u8], offset: Option<u32>) -> Result<Self, Code> {
        let (narrow, wide) =
            (|at| u16_at(fields, at).ok_or(Code::Damaged), |at| u32_at(fields, at).ok_or(Code::Damaged));
        let mut entry = Self {
            name,
            unicode: Vec::new(),
            flags: narrow(0)?,
            method: narrow(2)?,
            crc: wide(8)?,
            packed: wide(12)?.into(),
            len: wide(16)?.into(),
            offset: offset.unwrap_or_default().into(),
            has_encryption_field: false,
            is_wide: false,
        };
        for (id, field) in extras(extra) {
            match id {
                EXTRA_AES | EXTRA_STRONG => entry.has_encryption_field = true,
                EXTRA_ZIP64 => entry.widen(field, offset)?,
                // A version and a checksum come before the name.
                EXTRA_UNICODE => entry.unicode.extend(field.get(5..)),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// Takes what the zip64 field holds: only what is missing in the header is in there, in this order.
    fn widen(&mut self, field: &[u8], offset: Option<u32>) -> Result<(), Code> {
        let mut at = 0;
        let mut is_wide = false;
        let mut next = |value: &mut u64| {
            if *value == u64::from(ELSEWHERE) {
                *value = u64_at(field, at).ok_or(Code::Damaged)?;
                at += 8;
                is_wide = true;
            }
            Ok(())
        };
        next(&mut self.len)?;
        next(&mut self.packed)?;
        if offset.is_some() {
            next(&mut self.offset)?;
        }
        self.is_wide |= is_wide;
        Ok(())
    }

    /// Whether a reader that does not know zip64 finds the member: by the local header, or by the directory where the
    /// local header says that the lengths are behind the data.
    pub(super) fn is_in_reach(&self, local: &Self) -> bool {
        !self.is_wide && (!local.is_wide || local.has_descriptor())
    }

    /// Every name that some reader gives it.
    pub(super) fn names(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.name).chain(&self.unicode).map(|name| name.to_vec()).collect()
    }

    /// How it is compressed.
    ///
    /// # Errors
    /// What keeps it from being opened.
    pub(super) fn method(&self) -> Result<Method, Code> {
        match self.method {
            _ if self.is_encrypted() => Err(Code::Encrypted),
            _ if self.flags & PATCHED != 0 => Err(Code::MethodUnknown),
            0 => Ok(Method::Stored),
            8 => Ok(Method::Deflated),
            _ => Err(Code::MethodUnknown),
        }
    }

    /// Whether any of the marks of encryption is there.
    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & ENCRYPTED != 0 || self.method == AES || self.has_encryption_field
    }

    /// Whether lengths and checksum stand behind the data.
    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & DESCRIPTOR != 0
    }

    pub(super) fn is_stored(&self) -> bool {
        self.method == 0
    }

    /// Whether the local header says the same, as far as it says anything.
    pub(super) fn agrees(&self, local: &Self) -> bool {
        let numbers = (local.crc, local.packed, local.len);
        let same = numbers == (self.crc, self.packed, self.len);
        // A writer that streams does not know them yet. Some fill in what they do know.
        let left_out = |local: u64, own: u64| local == 0 || local == own || local == u64::from(ELSEWHERE);
        let later = local.has_descriptor()
            && left_out(local.crc.into(), self.crc.into())
            && left_out(local.packed, self.packed)
            && left_out(local.len, self.len);
        self.name == local.name
            && self.method == local.method
            && self.is_encrypted() == local.is_encrypted()
            && (same || later)
    }
}

/// The extra fields: identifier and data. What is cut off ends them.
fn extras(extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (id, len) = u16_at(extra, at).zip(u16_at(extra, at + 2))?;
        let field = slice(extra, at + 4, len.into())?;
        at += 4 + usize::from(len);
        Some((id, field))
    })
}
