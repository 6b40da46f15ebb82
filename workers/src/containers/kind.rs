//! What a content is, by its first bytes: never by its name or its declared type.

use serde::{Deserialize, Serialize};

use super::bytes::{u32_at, u64_at};
use super::{mail, ole, pdf, rtf, tar, tnef};

/// How many of the first bytes are looked at: by [`Kind::of`] up to 0x9006 of them, the rest by other readers.
pub const HEAD: usize = 64 * 1024;

/// A format that other contents can be in, or that can be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A zip archive, and what is built on it: OOXML, ODF, EPUB, JAR.
    Zip,
    /// gzip.
    Gzip,
    /// tar.
    Tar,
    /// An OLE compound file: legacy Office, encrypted OOXML, Outlook messages, installers.
    Ole,
    /// PDF. Not opened: asked whether it is encrypted.
    Pdf,
    /// Outlook's `winmail.dat`.
    Tnef,
    /// RTF.
    Rtf,
    /// 7z. Not opened.
    SevenZip,
    /// RAR, version 4 or 5. Not opened.
    Rar,
    /// Any other archive, compression or disk image. Not opened.
    OtherArchive,
    /// A mail with MIME parts, or a file that is named like a mail.
    Mail,
    /// None of these, but with the signature of an archive inside: a self-extracting one, or one hidden in a picture.
    Carrier,
    /// None of these. Only where the obstacle is a limit that says nothing about the format.
    Plain,
}

/// Signatures at the start of what is recognised and not opened: xz, Zstandard, LZ4, lzip, lzop, cabinets (two makers'), WIM,
/// xar, ar and Debian packages, RPM, ALZ, EGG, StuffIt, compiled help, virtual disks, SquashFS.
const STARTS: [&[u8]; 22] = [
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"LZIP\x01",
    b"\x89LZO\0\r\n\x1a\n",
    b"hsqs",
    b"MSCF\0\0\0\0",
    b"ISc(",
    b"MSWIM\0\0\0",
    b"WLPWM\0\0\0",
    b"xar!\0",
    b"!<arch>\n",
    b"\xed\xab\xee\xdb",
    b"ALZ\x01",
    b"EGGA\0",
    b"SIT!\0",
    b"StuffIt (c)",
    b"ITSF\x03\0\0\0",
    b"conectix",
    b"vhdxfile",
    b"KDMV\x01\0\0\0",
    b"QFI\xfb",
];

/// Signatures elsewhere near the start: where, what. ACE, ZOO, images of CDs, and of disks with NTFS or FAT.
const LATER: [(usize, &[u8]); 9] = [
    (7, b"**ACE**"),
    (20, b"\xdc\xa7\xc4\xfd"),
    (0x8001, b"CD001"),
    (0x8801, b"CD001"),
    (0x8001, b"BEA01"),
    (3, b"NTFS    "),
    (54, b"FAT12   "),
    (54, b"FAT16   "),
    (82, b"FAT32   "),
];

impl Kind {
    /// The kind of a content by its first [`HEAD`] bytes (all of them, if there are fewer).
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, b'P', b'K', ..] => Some(Self::Zip),
            [b'P', b'K', b'0', b'0', b'P', b'K', ..] | [b'P', b'K', 6, 8, ..] => Some(Self::Zip),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            _ if head.starts_with(&ole::SIGNATURE) => Some(Self::Ole),
            _ if head.starts_with(&tnef::SIGNATURE) => Some(Self::Tnef),
            _ if head.starts_with(SEVEN_ZIP) => Some(Self::SevenZip),
            _ if head.starts_with(RAR) || head.starts_with(b"RE~^") => Some(Self::Rar),
            _ if is_other_archive(head) => Some(Self::OtherArchive),
            _ if tar::begins(head) => Some(Self::Tar),
            _ if rtf::begins(head) => Some(Self::Rtf),
            _ if mail::begins(head) => Some(Self::Mail),
            _ if pdf::begins(head) => Some(Self::Pdf),
            _ => None,
        }
    }

    /// Its name, as in records and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Gzip => "gzip",
            Self::Tar => "tar",
            Self::Ole => "ole",
            Self::Pdf => "pdf",
            Self::Tnef => "tnef",
            Self::Rtf => "rtf",
            Self::SevenZip => "seven_zip",
            Self::Rar => "rar",
            Self::OtherArchive => "other_archive",
            Self::Mail => "mail",
            Self::Carrier => "carrier",
            Self::Plain => "plain",
        }
    }
}

/// The signature of 7z.
pub(super) const SEVEN_ZIP: &[u8] = b"7z\xbc\xaf\x27\x1c";
/// The signature of RAR from version 1.5 on; the version follows.
pub(super) const RAR: &[u8] = b"Rar!\x1a\x07";

fn is_other_archive(head: &[u8]) -> bool {
    STARTS.iter().any(|start| head.starts_with(start))
        || is_at_its_place(head)
        || is_bzip2(head)
        || is_compress(head)
        || is_lzma(head)
        || is_arj(head)
        || is_cpio(head)
        || is_lha(head)
}

/// Whether a container of that kind is one of another kind as well, by a signature that does not stand at its start: a tar,
/// an image of a disk.
pub(super) fn is_another(kind: Kind, bytes: &[u8]) -> bool {
    let head = bytes.get(..HEAD).unwrap_or(bytes);
    is_at_its_place(head) || ends_like_a_disk(bytes) || kind != Kind::Tar && tar::begins(head)
}

fn is_at_its_place(head: &[u8]) -> bool {
    LATER.iter().any(|(at, signature)| head.get(*at..).is_some_and(|rest| rest.starts_with(signature)))
}

/// Whether the last bytes are the trailer of a disk image (Apple's, or a fixed virtual disk).
pub(super) fn ends_like_a_disk(tail: &[u8]) -> bool {
    let trailer = tail.get(tail.len().saturating_sub(512)..).unwrap_or_default();
    trailer.starts_with(b"koly\0\0\0\x04") || trailer.starts_with(b"conectix")
}

fn is_bzip2(head: &[u8]) -> bool {
    let is_level = head.get(3).is_some_and(u8::is_ascii_digit);
    let magic = head.get(4..10);
    head.starts_with(b"BZh") && is_level && matches!(magic, Some(b"1AY&SY" | b"\x17\x72\x45\x38\x50\x90"))
}

/// Two bytes of signature and the largest width of a code, in bits; or those of `pack`.
fn is_compress(head: &[u8]) -> bool {
    matches!(head, [0x1f, 0x9d, mode, ..] if matches!(mode & 0x1f, 9..=16) && mode & 0x60 == 0)
        || matches!(head, [0x1f, 0xa0, 0, ..])
}

/// LZMA without a container: the usual properties, a dictionary of a power of two or one and a half of it, and a length that
/// is left out or below 1 TiB.
fn is_lzma(head: &[u8]) -> bool {
    let size = u32_at(head, 1).filter(|size| head.first() == Some(&0x5d) && *size >= 4096);
    let is_round = |size: u32| size.is_power_of_two() || size.is_multiple_of(3) && (size / 3).is_power_of_two();
    let len = u64_at(head, 5).filter(|len| *len == u64::MAX || *len < 1 << 40);
    // The range coder begins with a zero.
    size.is_some_and(is_round) && len.is_some() && head.get(13) == Some(&0)
}

/// Two bytes of signature, the size of the header, the size of its fixed part.
fn is_arj(head: &[u8]) -> bool {
    matches!(head, [0x60, 0xea, low, high, fixed, ..]
        if u16::from_le_bytes([*low, *high]) <= 2_600 && (30..=60).contains(fixed))
}

/// The magic and then digits alone, as many as the header has.
fn is_cpio(head: &[u8]) -> bool {
    let digits = match head.get(..6) {
        Some(b"070701" | b"070702") => 110,
        Some(b"070707") => 76,
        _ => return false,
    };
    head.get(..digits).is_some_and(|header| header.iter().all(u8::is_ascii_hexdigit))
}

/// `-lh5-` and the like from the third byte on.
fn is_lha(head: &[u8]) -> bool {
    matches!(head.get(2..7), Some([b'-', b'l', b'h' | b'z', version, b'-']) if version.is_ascii_alphanumeric())
}
