//! Random changes to valid containers: never a panic, and never clean where two independent readers see two contents.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::forge::{Member, end, fixture, forged, gzip, ole, streamed_zip, tar, zip};
use super::walked;

const TEXT: &[u8] = b"one two three four five six seven eight nine ten eleven twelve thirteen";

type Contents = BTreeMap<String, Vec<u8>>;

/// What the directory says, as read by the `zip` crate: names with contents. `None` where it refuses.
fn by_directory(content: &[u8]) -> Option<Contents> {
    let mut archive = zip::ZipArchive::new(Cursor::new(content)).ok()?;
    let mut all = Contents::new();
    for i in 0..archive.len() {
        let mut file = archive.by_index(i).ok()?;
        let (name, mut bytes) = (file.name().ok()?.into_owned(), Vec::new());
        (&mut file).take(1 << 20).read_to_end(&mut bytes).ok()?;
        all.insert(name, bytes);
    }
    Some(all)
}

/// What the local headers say, as read by the `zip` crate from a stream.
fn by_local_headers(content: &[u8]) -> Option<Contents> {
    let (mut rest, mut all) = (content, Contents::new());
    while let Some(mut file) = zip::read::read_zipfile_from_stream(&mut rest).ok()? {
        let (name, mut bytes) = (file.name().ok()?.into_owned(), Vec::new());
        (&mut file).take(1 << 20).read_to_end(&mut bytes).ok()?;
        all.insert(name, bytes);
    }
    Some(all)
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    /// A piece is written over, or put in, elsewhere: headers that are right in themselves, at the wrong place.
    Copy(usize, usize, usize, bool),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0usize..5_000;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at.clone(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at.clone(), 1usize..60).prop_map(|(at, len)| Change::Remove(at, len)),
        (at.clone(), proptest::collection::vec(any::<u8>(), 1..30)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at.clone(), 1usize..200, at.clone(), any::<bool>())
            .prop_map(|(from, len, to, over)| Change::Copy(from, len, to, over)),
        at.prop_map(Change::Cut),
    ]
}

fn apply(mut content: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if content.is_empty() {
            break;
        }
        let len = content.len();
        match change {
            Change::Set(at, byte) => content[at % len] = *byte,
            Change::Flip(at, bit) => content[at % len] ^= 1 << bit,
            Change::Remove(at, count) => drop(content.drain(at % len..(at % len + count).min(len))),
            Change::Insert(at, bytes) => drop(content.splice(at % len..at % len, bytes.iter().copied())),
            Change::Copy(from, count, to, over) => {
                let piece = content[from % len..(from % len + count).min(len)].to_vec();
                let end = if *over { (to % len + piece.len()).min(len) } else { to % len };
                drop(content.splice(to % len..end, piece));
            }
            Change::Cut(at) => content.truncate(at % len),
        }
    }
    content
}

fn zips() -> Vec<Vec<u8>> {
    let members = [Member::stored("a.txt", TEXT), Member::deflated("b.txt", TEXT), Member::stored("c", b"")];
    vec![
        forged(&members, &members),
        zip(&[("a.txt", TEXT), ("b/", b""), ("b/c.txt", b"short")]),
        streamed_zip(&[("a.txt", TEXT), ("b.txt", TEXT)]),
        zip(&[("inner.zip", &zip(&[("a.txt", TEXT)])), ("b.txt", TEXT)]),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    let content =
        proptest::sample::select(vec![TEXT, b"another text, as long as it is needed, as long as it is needed"]);
    (proptest::sample::select(vec!["a", "b", "c", "d"]), content, any::<bool>()).prop_map(|(name, content, packed)| {
        if packed { Member::deflated(name, content) } else { Member::stored(name, content) }
    })
}

/// A zip whose directory leaves out members, repeats them, takes them from elsewhere or describes them otherwise, or that
/// stands beside another one: right in every single record.
fn two_faced() -> impl Strategy<Value = Vec<u8>> {
    let locals = proptest::collection::vec(member(), 1..4);
    let directory = proptest::collection::vec((0usize..4, proptest::option::weighted(0.2, member())), 1..4);
    let beside = proptest::option::weighted(0.3, (member(), 0u8..3));
    (locals, directory, any::<bool>(), beside).prop_map(|(locals, directory, honest, beside)| {
        let (mut body, mut offsets) = (Vec::new(), Vec::new());
        for member in &locals {
            offsets.push(body.len());
            body.extend(member.local());
        }
        let mut entries: Vec<(Member, usize)> = locals.iter().cloned().zip(offsets.iter().copied()).collect();
        if !honest {
            let chosen = directory.into_iter().map(|(i, other)| {
                let (member, at) = entries[i % entries.len()].clone();
                (other.unwrap_or(member), at)
            });
            entries = chosen.collect();
        }
        let central: Vec<u8> = entries.iter().flat_map(|(member, at)| member.central(*at)).collect();
        let wrap =
            |comment: &[u8]| [&body[..], &central, &end(entries.len(), central.len(), body.len(), comment)].concat();
        match beside {
            None => wrap(b""),
            Some((member, side)) => {
                let other = forged(std::slice::from_ref(&member), std::slice::from_ref(&member));
                match side {
                    0 => [other, wrap(b"")].concat(),
                    1 => [wrap(b""), other].concat(),
                    _ => wrap(&other),
                }
            }
        }
    })
}

/// Where two readers of the zip, neither of them ours, see two contents, it must not be called clean.
fn agree_or_not_clean(content: &[u8]) -> Result<bool, TestCaseError> {
    let is_clean = walked(content).obstacles.is_empty();
    // A reader that refuses shows nothing.
    if let (true, Some(central), Some(local)) = (is_clean, by_directory(content), by_local_headers(content)) {
        prop_assert_eq!(central, local);
    }
    Ok(is_clean)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_zip_with_two_readings_is_never_clean(content in two_faced()) {
        agree_or_not_clean(&content)?;
    }

    #[test]
    fn a_damaged_zip_with_two_readings_is_never_clean(
        which in 0usize..4,
        changes in proptest::collection::vec(change(), 1..5),
    ) {
        let content = apply(zips().swap_remove(which), &changes);
        if content.starts_with(b"PK\x03\x04") {
            agree_or_not_clean(&content)?;
        }
    }

    #[test]
    fn no_change_makes_a_walk_panic(which in 0usize..7, changes in proptest::collection::vec(change(), 1..6)) {
        let content = match which {
            0 => gzip(&tar(&[("a", TEXT), ("b", &zip(&[("c", TEXT)]))])),
            1 => tar(&[("a", TEXT), ("b", TEXT)]),
            2 => ole(&[("/WordDocument", TEXT), ("/Workbook", TEXT), ("/a/b", TEXT)]),
            3 => fixture("encrypted-headers.7z"),
            4 => fixture("encrypted-streams.pdf"),
            5 => fixture("encrypted.docx"),
            _ => [&b"MZ"[..], &zip(&[("a", TEXT)]), b"Rar!\x1a\x07\x01\0\0\0\0\0\x03\x01\0\0"].concat(),
        };
        let content = apply(content, &changes);
        let found = walked(&content);
        prop_assert!(found.obstacles.len() <= 3);
    }
}
