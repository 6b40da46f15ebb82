//! zips that can be read in two ways.

use super::forge::{Member, end, fixture, forged, overlapping, zip};
use super::{classes, codes};
use crate::containers::{Class, Code};

const TEXT: &[u8] = b"one two three four five six seven eight nine ten eleven twelve thirteen";

type Change = fn(&mut Member);

fn member(change: impl FnOnce(&mut Member)) -> Vec<u8> {
    let plain = Member::stored("a.txt", TEXT);
    let mut other = plain.clone();
    change(&mut other);
    forged(&[other], &[plain])
}

#[test]
fn headers_that_differ_are_contradictory() {
    let changes: [(&str, Change); 6] = [
        ("name", |member| member.name = b"b.exe".to_vec()),
        ("method", |member| member.method = 8),
        ("checksum", |member| member.crc ^= 1),
        ("length", |member| member.len -= 1),
        ("packed length", |member| member.packed -= 1),
        ("encryption", |member| member.flags = 1),
    ];
    for (what, change) in changes {
        assert_eq!(codes(&member(change)), [Code::Contradictory], "{what}");
    }
}

#[test]
fn a_member_that_is_not_what_its_headers_say_is_an_obstacle() {
    let both = |change: Change| {
        let mut member = Member::deflated("a.txt", TEXT);
        change(&mut member);
        forged(&[member.clone()], &[member])
    };
    let cases: [(Change, Code); 7] = [
        (|member| member.crc ^= 1, Code::Damaged),
        (|member| member.len -= 1, Code::Contradictory),
        (|member| member.len += 1, Code::Contradictory),
        (|member| member.data[0] = 0xff, Code::Damaged),
        (|member| member.method = 12, Code::MethodUnknown),
        (|member| member.flags = 1 << 5, Code::MethodUnknown),
        (
            |member| {
                member.data.extend(b"and more");
                member.packed += 8;
            },
            Code::Contradictory,
        ),
    ];
    for (change, code) in cases {
        assert_eq!(codes(&both(change)), [code]);
    }
}

#[test]
fn every_mark_of_encryption_counts() {
    let both = |change: Change| {
        let mut member = Member::stored("a.txt", TEXT);
        change(&mut member);
        forged(&[member.clone()], &[member])
    };
    let marks: [Change; 5] = [
        |member| member.flags = 1,
        |member| member.flags = 1 | 1 << 6,
        |member| member.flags = 1 << 13,
        |member| member.method = 99,
        |member| member.extra = b"\x01\x99\x07\0\x02\0AE\x03\x08\0".to_vec(),
    ];
    for mark in marks {
        assert_eq!(codes(&both(mark)), [Code::Encrypted]);
    }
    for name in ["encrypted-zipcrypto.zip", "encrypted-aes.zip"] {
        assert_eq!(codes(&fixture(name)), [Code::Encrypted], "{name}");
    }
    let manifest = b"<manifest:file-entry><manifest:encryption-data manifest:checksum=\"x\"/></manifest:file-entry>";
    assert_eq!(codes(&zip(&[("META-INF/manifest.xml", manifest)])), [Code::Encrypted]);
    // An encrypted directory: APPNOTE 7.3.
    let body = [&Member::stored("1", TEXT).local()[..], b"PK\x06\x08\0\0\0\0"].concat();
    let directory = [0x5a; 60];
    let hidden = [&body[..], &directory, &end(1, directory.len(), body.len(), b"")].concat();
    assert_eq!(codes(&hidden), [Code::Encrypted]);
}

#[test]
fn an_encrypted_member_does_not_hide_a_damaged_one() {
    let mut encrypted = Member::stored("a.txt", TEXT);
    encrypted.flags = 1;
    let mut damaged = Member::stored("b.txt", TEXT);
    damaged.crc ^= 1;
    let members = [encrypted, damaged];
    assert_eq!(classes(&forged(&members, &members)), [Class::Encrypted, Class::Unscannable]);
}

#[test]
fn two_zips_in_a_row_are_never_clean() {
    let (first, second) = (zip(&[("a.txt", TEXT)]), zip(&[("b.txt", TEXT)]));
    for content in [[&first[..], &second].concat(), [&second[..], b"\0\0", &first].concat()] {
        assert_eq!(classes(&content), [Class::Unscannable]);
    }
    // Behind a picture, beside each other, and one in the comment of the other.
    let picture = b"\xff\xd8\xff\xe0 a picture ";
    assert_eq!(codes(&[&picture[..], &first, &second].concat()), [Code::Hidden]);
    let members = [Member::stored("a.txt", TEXT)];
    let plain = forged(&members, &members);
    let mut commented = plain[..plain.len() - 22].to_vec();
    commented.extend(end(1, plain.len() - 22 - 35 - TEXT.len(), 35 + TEXT.len(), &second));
    assert_eq!(classes(&commented), [Class::Unscannable]);
}

#[test]
fn what_only_a_reader_of_local_headers_sees_is_hidden() {
    let (seen, unseen) = (Member::stored("a.txt", TEXT), Member::stored("b.exe", TEXT));
    assert_eq!(codes(&forged(&[seen.clone(), unseen.clone()], std::slice::from_ref(&seen))), [Code::Hidden]);
    // Before the first, with offsets that count from the first.
    let plain = forged(std::slice::from_ref(&seen), std::slice::from_ref(&seen));
    assert_eq!(codes(&[unseen.local(), plain.clone()].concat()), [Code::Hidden]);
    // Bytes behind the end, no end, a cut.
    assert_eq!(codes(&[&plain[..], b"more"].concat()), [Code::Hidden]);
    assert_eq!(codes(&seen.local()), [Code::Damaged]);
    for len in 4..plain.len() {
        assert_eq!(classes(&plain[..len]), [Class::Unscannable], "cut to {len}");
    }
}

#[test]
fn members_over_each_other_and_names_that_stand_twice_are_obstacles() {
    let bomb = overlapping(200, &vec![0; 1_000_000]);
    assert!(classes(&bomb).contains(&Class::Unscannable), "{:?}", codes(&bomb));
    assert_eq!(codes(&bomb)[0], Code::Overlapping);
    let (one, two) = (Member::stored("a.txt", TEXT), Member::stored("a.txt", b"another text"));
    let twice = [one, two];
    assert_eq!(codes(&forged(&twice, &twice)), [Code::RepeatedName]);
}

#[test]
fn members_that_only_a_reader_of_zip64_finds_are_out_of_reach() {
    let wide = |local: bool, central: bool, flags: u16| {
        let plain = Member { flags, ..Member::stored("a.txt", TEXT) };
        let (len, mut wide) = (u64::from(plain.len).to_le_bytes(), plain.clone());
        wide.extra = [&b"\x01\0\x10\0"[..], &len, &len].concat();
        (wide.len, wide.packed) = (u32::MAX, u32::MAX);
        let choose = |is_wide| if is_wide { wide.clone() } else { plain.clone() };
        let mut local = choose(local);
        if flags != 0 {
            local.data.extend([&b"PK\x07\x08"[..], &plain.crc.to_le_bytes(), &len, &len].concat());
        }
        codes(&forged(&[local], &[choose(central)]))
    };
    assert_eq!(wide(false, false, 0), []);
    for (local, central) in [(true, false), (false, true), (true, true)] {
        assert_eq!(wide(local, central, 0), [Code::OutOfReach], "{local} {central}");
    }
    // Lengths behind the data: the directory has them.
    assert_eq!(wide(true, false, 1 << 3), []);
    assert_eq!(wide(true, true, 1 << 3), [Code::OutOfReach]);
    // An end that says nothing itself.
    let members = [Member::stored("a.txt", TEXT)];
    let plain = forged(&members, &members);
    let (body, directory) = (35 + TEXT.len(), 51);
    let numbers = [1, 1, directory, body].map(|n| u64::try_from(n).unwrap().to_le_bytes()).concat();
    let end_64 = [&b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0"[..], &numbers].concat();
    let at = u64::try_from(body + directory).unwrap().to_le_bytes();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &at, &[1, 0, 0, 0]].concat();
    let with = |end: &[u8]| [&plain[..plain.len() - 22], &end_64, &locator, end].concat();
    assert_eq!(codes(&with(&plain[plain.len() - 22..])), []);
    assert_eq!(codes(&with(&end(0xffff, 0xffff_ffff, 0xffff_ffff, b""))), [Code::OutOfReach]);
    assert_eq!(codes(&with(&end(2, directory, body, b""))), [Code::Contradictory]);
}

#[test]
fn a_volume_of_several_is_an_obstacle() {
    let members = [Member::stored("a.txt", TEXT)];
    let mut content = forged(&members, &members);
    let disk = content.len() - 18;
    content[disk] = 1;
    assert_eq!(codes(&content), [Code::Split]);
}
