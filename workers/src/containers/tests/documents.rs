//! Documents that are encrypted, archives that are not opened, and the other formats.

use super::forge::{fixture, gzip, ole, rar4, tar, zip};
use super::{assert_clean, classes, codes};
use crate::containers::{Class, Code};

#[test]
fn encrypted_documents_of_other_programs_are_known() {
    for name in ["encrypted.docx", "encrypted.xlsx", "encrypted.pdf", "encrypted-streams.pdf"] {
        assert_eq!(codes(&fixture(name)), [Code::Encrypted], "{name}");
        assert_eq!(codes(&zip(&[(name, &fixture(name))])), [Code::Encrypted], "{name} in a zip");
    }
}

#[test]
fn legacy_office_says_that_it_is_encrypted() {
    let word = |flags: u16| [&[0xec, 0xa5, 0xc1, 0, 0, 0, 0, 0, 0, 0][..], &flags.to_le_bytes()].concat();
    let bof = b"\x09\x08\x10\0\0\x06\x05\0\xbb\x0d\xcc\x07\0\0\0\0\x06\0\0\0";
    let excel = |record: &[u8]| [&bof[..], record, b"\x0a\0\0\0", b"\x2f\0\0\0"].concat();
    let user = |token: u32| [&[0; 12][..], &token.to_le_bytes()].concat();
    let powerpoint =
        |kind: u16| [&[0x0f, 0, 0xe8, 3, 4, 0, 0, 0, 9, 9, 9, 9, 0x0f, 0][..], &kind.to_le_bytes(), &[0; 4]].concat();
    let cases: [(&str, Vec<u8>, bool); 11] = [
        ("/WordDocument", word(0x0100), true),
        ("/WordDocument", word(0x0200), false),
        ("/Workbook", excel(b"\x2f\0\x02\0\0\0"), true),
        ("/Book", excel(b"\x2f\0\x02\0\0\0"), true),
        ("/Workbook", excel(b"\x42\0\x02\0\xb0\x04"), false),
        ("/Current User", user(0xf3d1_c4df), true),
        ("/Current User", user(0xe391_c05f), false),
        ("/PowerPoint Document", powerpoint(0x2f14), true),
        ("/PowerPoint Document", powerpoint(0x0ff5), false),
        ("/\u{9}DRMContent", b"x".to_vec(), true),
        ("/Summary", word(0x0100), false),
    ];
    for (name, content, encrypted) in cases {
        let expected: &[Code] = if encrypted { &[Code::Encrypted] } else { &[] };
        assert_eq!(codes(&ole(&[(name, &content), ("/Other", b"text")])), expected, "{name}");
    }
}

#[test]
fn what_is_attached_to_an_outlook_message_is_looked_at() {
    let attached = "/__attach_version1.0_#00000000/__substg1.0_37010102";
    assert_eq!(codes(&ole(&[(attached, &fixture("encrypted.pdf"))])), [Code::Encrypted]);
    let attribute = |data: &[u8]| {
        let len = u32::try_from(data.len()).unwrap().to_le_bytes();
        let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte))).to_le_bytes();
        [&b"\x02\x0f\x80\x06\0"[..], &len, data, &sum].concat()
    };
    let tnef = |data: &[u8]| [&b"\x78\x9f\x3e\x22\x01\0"[..], &attribute(data)].concat();
    assert_clean(&tnef(&fixture("plain.docx")), "a document");
    assert_eq!(codes(&tnef(&fixture("encrypted.docx"))), [Code::Encrypted]);
    assert_eq!(codes(&tnef(b"text")[..20]), [Code::Damaged]);
}

#[test]
fn seven_zip_and_rar_are_recognised_and_never_clean() {
    for (name, code) in [
        ("plain.7z", Code::NotOpened),
        // Its header is compressed: that it is encrypted cannot be seen.
        ("encrypted.7z", Code::NotOpened),
        ("encrypted-headers.7z", Code::Encrypted),
        ("encrypted-one.7z", Code::Encrypted),
    ] {
        let content = fixture(name);
        assert_eq!(codes(&content), [code], "{name}");
        assert_eq!(codes(&[b"MZ a program ", &content[..]].concat()), [code], "{name} behind a program");
    }
    let rar5 = |kind: u8, extra: &[u8]| {
        let len = u8::try_from(extra.len()).unwrap();
        let main = [&[0, 0, 0, 0, 3, 1, 0, 0][..], &[0, 0, 0, 0, 3 + len, kind, 1, len], extra].concat();
        [b"Rar!\x1a\x07\x01\0", &main[..], &[0, 0, 0, 0, 3, 5, 0, 0]].concat()
    };
    for (content, code) in [
        (rar4(0, 0), Code::NotOpened),
        (rar4(0x80, 0), Code::Encrypted),
        (rar4(0, 0x04), Code::Encrypted),
        (rar5(2, b"\x02\x02\0"), Code::NotOpened),
        (rar5(2, b"\x02\x01\0"), Code::Encrypted),
        (rar5(4, b""), Code::Encrypted),
    ] {
        assert_eq!(codes(&content), [code]);
        assert_eq!(codes(&[&vec![b'x'; 5_000][..], &content].concat()), [code], "behind a picture");
        assert_eq!(codes(&tar(&[("a", &content)])), [code], "in a tar");
    }
    // A text about archives, and a program that has their signatures.
    assert_clean(b"A RAR begins with Rar!\x1a\x07 and a 7z with 7z\xbc\xaf\x27\x1c; so much for that.", "signatures");
}

#[test]
fn damaged_containers_are_never_clean() {
    let (gz, archive, file) = (gzip(&[7; 3_000]), tar(&[("a", &[7; 3_000])]), ole(&[("/a", &[7; 9_000])]));
    for len in [3, 12, gz.len() - 9, gz.len() - 1] {
        assert_eq!(classes(&gz[..len]), [Class::Unscannable], "gzip cut to {len}");
    }
    assert_eq!(codes(&[&gz[..], b"more"].concat()), [Code::Damaged]);
    assert_eq!(codes(&archive[..2_000]), [Code::Damaged]);
    assert_eq!(codes(&[&archive[..], b"more"].concat()), [Code::Hidden]);
    assert_eq!(codes(&[&archive[..], &archive].concat()), [Code::Hidden], "two tars in a row");
    for len in [100, 600, file.len() / 2] {
        assert_eq!(classes(&file[..len]), [Class::Unscannable], "ole cut to {len}");
    }
}

#[test]
fn members_of_a_tar_that_a_scanner_does_not_find_are_out_of_reach() {
    let changed = |change: fn(&mut tar::Header)| {
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        header.set_path("a").unwrap();
        change(&mut header);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        let mut first = tar::Header::new_ustar();
        first.set_size(1);
        builder.append_data(&mut first, "first", &b"x"[..]).unwrap();
        builder.append(&header, &b"text"[..]).unwrap();
        codes(&builder.into_inner().unwrap())
    };
    assert_eq!(changed(|_| {}), []);
    let changes: [fn(&mut tar::Header); 6] = [
        |header| header.as_old_mut().size = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4],
        |header| header.as_old_mut().name = [0; 100],
        |header| header.set_entry_type(tar::EntryType::Symlink),
        |header| header.set_entry_type(tar::EntryType::Directory),
        |header| header.set_entry_type(tar::EntryType::new(b'A')),
        |header| header.as_mut_bytes()[257..265].fill(0),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        assert_eq!(changed(change), [Code::OutOfReach], "{i}");
    }
}

#[test]
fn a_tar_whose_headers_give_two_sizes_is_contradictory() {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("size", &b"7"[..])]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    builder.append_data(&mut header, "a", &b"text"[..]).unwrap();
    assert_eq!(codes(&builder.into_inner().unwrap()), [Code::Contradictory]);
}
