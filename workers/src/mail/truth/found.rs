//! What a content is, by its first bytes alone: its family and, where there is a name for it, its media type.

use memchr::memmem;

use super::{danger::is_html, family::Family};
use crate::containers::Kind;

/// What the first bytes of a content say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) struct Found {
    pub(super) family: Family,
    media_type: Option<&'static str>,
}

impl Found {
    /// The media type, as IANA lists it where it does.
    pub(in crate::mail) const fn media_type(&self) -> Option<&'static str> {
        self.media_type
    }

    /// What these are the first bytes of; `None` where nobody knows.
    pub(in crate::mail) fn of(head: &[u8]) -> Option<Self> {
        if let Some(kind) = Kind::of(head) {
            return Some(Self::of_kind(kind, head));
        }
        if is_html(head) {
            return Some(Self::known(Family::Html, page(head)));
        }
        // Before the signatures of two letters: a text may begin with any of them.
        if is_text(head) {
            return Some(Self::known(Family::Text, text(head)));
        }
        infer::get(head).map(|found| {
            let family = match found.extension() {
                image @ ("png" | "jpg" | "gif" | "bmp" | "webp" | "tif") => Family::Image(image),
                _ => Family::Other,
            };
            Self::known(family, found.mime_type())
        })
    }

    const fn known(family: Family, media_type: &'static str) -> Self {
        Self { family, media_type: Some(media_type) }
    }

    fn of_kind(kind: Kind, head: &[u8]) -> Self {
        // Documents that are built on an archive have types of their own.
        let zip = || infer::get(head).map_or("application/zip", |found| found.mime_type());
        match kind {
            Kind::Pdf => Self::known(Family::Pdf, "application/pdf"),
            Kind::Zip => Self::known(Family::Zip, zip()),
            Kind::Ole => Self::known(Family::Ole, ole(head)),
            Kind::Gzip => Self::known(Family::Gzip, "application/gzip"),
            Kind::Tar => Self::known(Family::Other, "application/x-tar"),
            Kind::Tnef => Self::known(Family::Other, "application/vnd.ms-tnef"),
            Kind::SevenZip => Self::known(Family::Other, "application/x-7z-compressed"),
            Kind::Rar => Self::known(Family::Other, "application/vnd.rar"),
            Kind::Rtf => Self::known(Family::Rtf, "application/rtf"),
            Kind::Mail => Self::known(Family::Text, "message/rfc822"),
            Kind::OtherArchive | Kind::Carrier | Kind::Plain => {
                Self { family: Family::Other, media_type: infer::get(head).map(|found| found.mime_type()) }
            }
        }
    }
}

/// The documents that are told apart by the names of their streams (MS-CFB §2.6.1), where the directory is near the start.
fn ole(head: &[u8]) -> &'static str {
    const STREAMS: [(&str, &str); 5] = [
        ("EncryptedPackage", "application/x-ole-storage"),
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__substg1.0_", "application/vnd.ms-outlook"),
    ];
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        memmem::find(head, &wide).is_some()
    };
    STREAMS.into_iter().find(|(name, _)| has(name)).map_or("application/x-ole-storage", |(_, media_type)| media_type)
}

/// Text in any encoding has no control characters but for white space; that of UTF-16 has its mark.
fn is_text(head: &[u8]) -> bool {
    let is_wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    is_wide || head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x20..))
}

fn page(head: &[u8]) -> &'static str {
    let window = head.get(..1024).unwrap_or(head).to_ascii_lowercase();
    let has = |tag: &[u8]| memmem::find(&window, tag).is_some();
    if has(b"<svg") && !has(b"<html") && !has(b"<!doctype html") { "image/svg+xml" } else { "text/html" }
}

fn text(head: &[u8]) -> &'static str {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |start: &[u8]| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    match () {
        () if begins(b"BEGIN:VCALENDAR") => "text/calendar",
        () if begins(b"BEGIN:VCARD") => "text/vcard",
        () if begins(b"<?xml") => "application/xml",
        () if begins(b"%!PS") => "application/postscript",
        () if begins(b"#!") => "text/x-shellscript",
        () => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_name_a_media_type() {
        let docx = [&b"PK\x03\x04"[..], &[0; 26], b"word/document.xml"].concat();
        let ole = |name: &str| {
            let wide = name.encode_utf16().flat_map(u16::to_le_bytes);
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".iter().copied().chain(vec![0; 512]).chain(wide).collect::<Vec<u8>>()
        };
        let (word, locked) = (ole("WordDocument"), ole("EncryptedPackage"));
        for (head, media_type) in [
            (&b"%PDF-1.7"[..], Some("application/pdf")),
            (b"PK\x03\x04 and more", Some("application/zip")),
            (&docx, Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Some("application/x-ole-storage")),
            (&word, Some("application/msword")),
            (&locked, Some("application/x-ole-storage")),
            (b"\x1f\x8b\x08", Some("application/gzip")),
            (b"7z\xbc\xaf\x27\x1c\0\x04", Some("application/x-7z-compressed")),
            (b"Rar!\x1a\x07\x01\0", Some("application/vnd.rar")),
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some("image/jpeg")),
            (b"MZ\x90\0", Some("application/vnd.microsoft.portable-executable")),
            (b"MZ is a text that begins so", Some("text/plain")),
            (b"{\\rtf1", Some("application/rtf")),
            (b"<!DOCTYPE html><p>", Some("text/html")),
            (b"<?xml version='1.0'?><svg>", Some("image/svg+xml")),
            (b"<?xml version='1.0'?><a>", Some("application/xml")),
            (b"\xef\xbb\xbfbegin:vcalendar", Some("text/calendar")),
            (b"BEGIN:VCARD", Some("text/vcard")),
            (b"#!/bin/sh", Some("text/x-shellscript")),
            (b"MSWIM\0\0\0", None),
            (b"\0\x01\x02", None),
        ] {
            assert_eq!(Found::of(head).and_then(|found| found.media_type()), media_type, "{:?}", head.get(..24));
        }
    }
}
