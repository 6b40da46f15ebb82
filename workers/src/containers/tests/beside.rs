//! Archives in the bytes of a container that are no member's content are never clean, wherever they are.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use super::forge::{Member, end, fixture, gzip, ole, rar4, tar, zip};
use super::{assert_clean, classes, codes};
use crate::containers::{Class, Code};

const TEXT: &[u8] = b"one two three four five six seven eight nine ten eleven twelve";

/// A container with something at a place that is no member's content.
type Place = fn(&[u8]) -> Vec<u8>;

/// Every kind of container and each of its places.
const PLACES: [(&str, Place); 25] = [
    ("gzip: extra field", |hidden| gzip_with(|builder| builder.extra(field(hidden)))),
    ("gzip: second extra field", |hidden| [gzip(TEXT), gzip_with(|builder| builder.extra(field(hidden)))].concat()),
    ("gzip: behind", |hidden| [&gzip(TEXT)[..], hidden].concat()),
    ("tar: padding", |hidden| {
        let mut archive = tar(&[("a.txt", TEXT)]);
        archive[512 + TEXT.len()..][..hidden.len()].copy_from_slice(hidden);
        archive
    }),
    ("tar: long name", |hidden| tar_with(b'L', &[b"n\0", hidden].concat())),
    ("tar: long link", |hidden| tar_with(b'K', &[b"n\0", hidden].concat())),
    ("tar: extended header", |hidden| tar_with(b'x', &record(hidden))),
    ("tar: global header", |hidden| tar_with(b'g', &record(hidden))),
    ("tar: behind", |hidden| [&tar(&[("a.txt", TEXT)])[..], hidden].concat()),
    ("tar: between headers", |hidden| {
        let mut archive = tar(&[("a.txt", b"")]);
        archive[1024..][..hidden.len()].copy_from_slice(hidden);
        archive
    }),
    ("ole: behind", |hidden| [&document()[..], hidden].concat()),
    ("ole: behind, in a sector", |hidden| [&document()[..], hidden, &vec![0; 512 - hidden.len() % 512]].concat()),
    ("ole: end of the last sector", |hidden| {
        let mut file = document();
        let at = memchr::memmem::find(&file, LAST).unwrap() + LAST.len();
        file[at..][..hidden.len()].copy_from_slice(hidden);
        file
    }),
    ("ole: a free sector", |hidden| {
        let mut file = cfb::CompoundFile::open(std::io::Cursor::new(document())).unwrap();
        file.create_stream("/Deleted").unwrap().write_all(&[0x5a; 5_000]).unwrap();
        file.remove_stream("/Deleted").unwrap();
        let mut file = file.into_inner().into_inner();
        let at = memchr::memmem::find(&file, &[0x5a; 600]).unwrap();
        file[at..][..hidden.len()].copy_from_slice(hidden);
        file
    }),
    ("ole: end of a short stream", |hidden| {
        let mut file = ole(&[("/Short", &[0x5a; 1]), ("/Other", &vec![7; 700])]);
        let at = memchr::memmem::find(&file, &[0x5a, 0, 0, 0]).unwrap() + 1;
        file[at..][..hidden.len().min(60)].copy_from_slice(&hidden[..hidden.len().min(60)]);
        file
    }),
    ("tnef: behind", |hidden| [&tnef()[..], hidden].concat()),
    ("mail: before the parts", |hidden| mail_with(hidden, b"", b"")),
    ("mail: a field of a part", |hidden| mail_with(b"", hidden, b"")),
    ("mail: behind the parts", |hidden| mail_with(b"", b"", hidden)),
    ("zip: before the directory", |hidden| zip_with(hidden, b"", b"", b"")),
    ("zip: comment", |hidden| zip_with(b"", hidden, b"", b"")),
    ("zip: extra field of a member", |hidden| zip_with(b"", b"", &field(hidden), b"")),
    ("zip: extra field in the directory", |hidden| zip_with(b"", b"", b"", &field(hidden))),
    ("zip: behind", |hidden| [&zip(&[("a.txt", TEXT)])[..], hidden].concat()),
    ("zip: before the first member, which is a stored tar", |hidden| {
        let member = Member::stored("a.tar", &tar_with(b'L', &[b"n\0", hidden].concat()));
        super::forge::forged(std::slice::from_ref(&member), std::slice::from_ref(&member))
    }),
];

/// The end of a stream that does not fill its last sector.
const LAST: &[u8] = b"the last bytes of a stream";

fn document() -> Vec<u8> {
    ole(&[("/WordDocument", &[&vec![7; 5_000][..], LAST].concat()), ("/Other", TEXT)])
}

fn tnef() -> Vec<u8> {
    let sum = TEXT.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte))).to_le_bytes();
    let len = u32::try_from(TEXT.len()).unwrap().to_le_bytes();
    [&b"\x78\x9f\x3e\x22\x01\0\x02\x0f\x80\x06\0"[..], &len, TEXT, &sum].concat()
}

/// A field with a length before it, as gzip and zip have them.
fn field(content: &[u8]) -> Vec<u8> {
    [b"ZZ", &u16::try_from(content.len()).unwrap().to_le_bytes()[..], content].concat()
}

fn gzip_with(change: impl FnOnce(GzBuilder) -> GzBuilder) -> Vec<u8> {
    let mut encoder = change(GzBuilder::new()).write(Vec::new(), Compression::best());
    encoder.write_all(TEXT).unwrap();
    encoder.finish().unwrap()
}

/// A tar whose member has a header of that type before it.
fn tar_with(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(data.len() as u64);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_path("ahead").unwrap();
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, data).unwrap();
    [builder.into_inner().unwrap()[..512 + data.len().next_multiple_of(512)].to_vec(), tar(&[("a.txt", TEXT)])].concat()
}

/// A record of an extended header: its length counts itself.
fn record(value: &[u8]) -> Vec<u8> {
    let len = value.len() + b"000 comment=\n".len();
    [format!("{len:03} comment=").as_bytes(), value, b"\n"].concat()
}

fn zip_with(gap: &[u8], comment: &[u8], local: &[u8], central: &[u8]) -> Vec<u8> {
    let plain = Member::stored("a.txt", TEXT);
    let with = |extra: &[u8]| Member { extra: extra.to_vec(), ..plain.clone() };
    let body = [&with(local).local()[..], gap].concat();
    let directory = with(central).central(0);
    [&body[..], &directory, &end(1, directory.len(), body.len(), comment)].concat()
}

/// A mail with something before and behind its parts, and in a field of one.
fn mail_with(before: &[u8], field: &[u8], behind: &[u8]) -> Vec<u8> {
    let head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let field = [&b"\r\n--b\r\nX-Field: "[..], field, b"\r\n\r\n"].concat();
    [&head[..], before, &field, TEXT, b"\r\n--b--\r\n", behind].concat()
}

/// What is hidden.
fn archives() -> [(&'static str, Vec<u8>); 4] {
    let (zip, gzip) = (zip(&[("x", b"a secret")]), gzip(TEXT));
    [("zip", zip), ("7z", fixture("encrypted-one.7z")), ("rar", rar4(0, 0)), ("gzip", gzip)]
}

#[test]
fn an_archive_beside_the_members_is_never_clean() {
    for (place, put) in PLACES {
        // Nothing, or something that is no archive.
        if !place.ends_with("behind") && !place.contains("padding") && !place.contains("between") {
            assert_clean(&put(b"a note"), place);
        }
        for (what, archive) in archives() {
            // There is room for a signature alone, and a second gzip behind a gzip is a part of it.
            let is_left_out = match place {
                "ole: end of a short stream" => what != "rar",
                "gzip: behind" => what == "gzip",
                _ => false,
            };
            if !is_left_out {
                assert_eq!(classes(&put(&archive)), [Class::Unscannable], "{what} in {place}");
            }
        }
    }
}

/// The same archives as contents of members are looked at there, and those that can be opened are clean.
#[test]
fn an_archive_that_is_a_member_is_not_hidden() {
    for (what, archive) in archives() {
        let expected: &[Code] = match what {
            "7z" => &[Code::Encrypted],
            "rar" => &[Code::NotOpened],
            _ => &[],
        };
        let member = Member::stored("a", &archive);
        let stored = super::forge::forged(std::slice::from_ref(&member), std::slice::from_ref(&member));
        let long = [&vec![7; 9_000][..], &archive].concat();
        let short = [&vec![7; 100][..], &archive].concat();
        assert_eq!(codes(&stored), expected, "{what} in a zip");
        assert_eq!(codes(&gzip(&archive)), expected, "{what} in a gzip");
        assert_eq!(codes(&tar(&[("a", &archive), ("b", &archive)])), expected, "{what} in a tar");
        let mail = mail_with(b"", b"", b"");
        let place = memchr::memmem::find(&mail, TEXT).unwrap();
        let mail = [&mail[..place], b"one: ", &archive, &mail[place + TEXT.len()..]].concat();
        let found = codes(&mail);
        assert!(!found.contains(&Code::Hidden), "{what} in a mail: {found:?}");
        assert_eq!(codes(&ole(&[("/a", &archive), ("/b", &archive)])), expected, "{what} in short streams");
        let expected: &[Code] = if what == "gzip" { &[] } else { expected };
        assert_eq!(codes(&ole(&[("/a", &long), ("/b", &short), ("/c", &long)])), expected, "{what} within streams");
    }
}

/// An end of a zip within a member whose directory, by its offset in the whole, is in another.
#[test]
fn a_zip_over_several_members_is_hidden() {
    let plain = zip(&[("x", b"a secret")]);
    let at = memchr::memmem::find(&plain, b"PK\x01\x02").unwrap();
    let (body, rest) = plain.split_at(at);
    let (directory, last) = rest.split_at(rest.len() - 22);
    let place = 512 + 1 + body.len();
    let record = end(1, directory.len(), place, b"");
    assert_eq!(record.len(), last.len());
    let torn = tar(&[("a", &[b"x", body, directory].concat()), ("b", &[b"x", &record[..]].concat())]);
    assert_eq!(codes(&torn), [Code::Hidden]);
}

#[test]
fn a_container_that_is_a_tar_a_disk_or_a_pdf_as_well_is_hidden() {
    let behind = |content: &[u8], at: usize, what: &[u8]| {
        let mut extra = vec![b'x'; at - 12];
        extra.extend_from_slice(what);
        extra.extend_from_slice(content);
        gzip_with(|builder| builder.extra(extra))
    };
    for (at, signature) in [(257, &b"ustar"[..]), (0x8001, b"CD001"), (600, b"%PDF-1.7")] {
        assert_eq!(codes(&behind(b"", at, signature)), [Code::Hidden], "{signature:?}");
    }
    let disk = [&b"koly\0\0\0\x04"[..], &[0; 504]].concat();
    assert_eq!(codes(&zip_with(b"", &disk, b"", b"")), [Code::Hidden]);
}
