//! A zip that is its own only member (Russ Cox, "Zip Files All The Way Down", 2010): no depth is its last.
//!
//! It is a program of two instructions of five bytes each, "what follows is literal" and "repeat the last bytes", that
//! writes itself with what stands before and behind it.

use std::io::Read;

use flate2::Crc;

use super::forge::{Member, end, gzip, zip};
use super::{Class, classes, walked};
use crate::containers::{Code, Kind};

/// The header of a stored block (RFC 1951 §3.2.4).
fn literal(len: usize) -> Vec<u8> {
    let len = u16::try_from(len).unwrap();
    [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes()].concat()
}

/// Bits of a block, the lowest of each byte first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    /// A number, its lowest bit first.
    fn number(mut self, value: usize, len: usize) -> Self {
        self.0.extend((0..len).map(|i| value >> i & 1 == 1));
        self
    }

    /// A Huffman code, its highest bit first.
    fn code(mut self, code: usize, len: usize) -> Self {
        self.0.extend((0..len).rev().map(|i| code >> i & 1 == 1));
        self
    }

    /// Exactly five bytes.
    fn bytes(self) -> Vec<u8> {
        assert_eq!(self.0.len(), 40);
        self.0.chunks(8).map(|byte| byte.iter().rev().fold(0, |value, bit| value << 1 | u8::from(*bit))).collect()
    }
}

/// Repeats the last 20 bytes: a block of fixed codes (§3.2.6) that copies ten of them twice.
fn repeat_20() -> Vec<u8> {
    let ten = |bits: Bits| bits.code(264 - 256, 7).code(8, 5).number(20 - 17, 3);
    ten(ten(Bits::default().number(0b010, 3))).code(0, 7).bytes()
}

/// Repeats the last 68 to 115 bytes, of which the very last is `0xff`.
fn repeat(len: usize) -> Vec<u8> {
    let (copied, distance) = (len - 1, len);
    assert!((67..=114).contains(&copied) && distance <= 128);
    let (length, extra) = (277 + (copied - 67) / 16, (copied - 67) % 16);
    let (far, beyond) = (12 + (distance - 65) / 32, (distance - 65) % 32);
    let copy = Bits::default().number(0b010, 3).code(length - 256, 7).number(extra, 4).code(far, 5).number(beyond, 5);
    copy.code(0b1_1001_0000 + 0xff - 144, 9).code(0, 7).bytes()
}

/// The quine with this checksum in its headers.
fn with_crc(name: &str, crc: u32, packed: usize, len: usize) -> (Vec<u8>, usize) {
    let [packed, len] = [packed, len].map(|n| u32::try_from(n).unwrap());
    let member = Member { method: 8, crc, packed, len, data: Vec::new(), ..Member::stored(name, b"") };
    let (before, central) = (member.local(), member.central(0));
    let behind = [&central[..], &end(1, central.len(), before.len() + packed as usize, b"\xff")].concat();
    let first = before.len() + 5;
    let (l0, l1, l4, lp) = (literal(0), literal(5), literal(20), literal(first));
    let (r4, rp, last) = (repeat_20(), repeat(first), repeat(behind.len() + 10));
    let tail = [&last[..], b"\x01\0\0\xff\xff", &behind].concat();
    let lt = literal(tail.len());
    let program: [&[u8]; 30] = [
        &lp, &before, &lp, &rp, &l1, &rp, &l1, &l1, &l4, &rp, &l1, &l1, &l4, &r4, &l4, &r4, &l4, &r4, &l4, &r4, &l4,
        &r4, &l0, &l0, &lt, &r4, &l0, &l0, &lt, &tail,
    ];
    let data = [&program.concat()[..], &tail[..10]].concat();
    let packed = data.len();
    ([before, data, behind].concat(), packed)
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The value whose bits, each of which changes the result by `columns`, change `from` into it: Gauss over GF(2).
fn solve(from: u32, columns: [u32; 32]) -> Option<u32> {
    let mut rows: Vec<u64> = (0..32)
        .map(|row| {
            let of = |value: u32| u64::from(value >> row & 1);
            (0..32).fold(of(from) << 32, |bits, at| bits | (of(columns[at]) ^ u64::from(at == row)) << at)
        })
        .collect();
    for at in 0..32 {
        let pivot = (at..32).find(|row| rows[*row] >> at & 1 == 1)?;
        rows.swap(at, pivot);
        for row in (0..32).filter(|row| *row != at) {
            if rows[row] >> at & 1 == 1 {
                rows[row] ^= rows[at];
            }
        }
    }
    Some((0..32).fold(0, |value, at| value | u32::try_from(rows[at] >> 32 & 1).unwrap() << at))
}

fn quine() -> Vec<u8> {
    let made = (0..100).find_map(|i| {
        let name = format!("{:a<32}.zip", format!("r{i}"));
        let (all, packed) = with_crc(&name, 0, 0, 0);
        let of = |crc: u32| with_crc(&name, crc, packed, all.len()).0;
        let from = crc(&of(0));
        let columns = std::array::from_fn(|bit| crc(&of(1 << bit)) ^ from);
        solve(from, columns).map(of)
    });
    made.unwrap()
}

#[test]
fn a_zip_that_holds_itself_ends_at_the_depth() {
    let quine = quine();
    let mut archive = ::zip::ZipArchive::new(std::io::Cursor::new(&quine)).unwrap();
    let mut inner = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut inner).unwrap();
    assert_eq!(inner, quine, "it holds itself");

    let found = walked(&quine);
    let codes: Vec<Code> = found.obstacles.iter().map(|obstacle| obstacle.code).collect();
    assert!(codes.contains(&Code::TooDeep), "{codes:?}");
    assert!(found.members <= 12 && found.expanded <= 12 * quine.len() as u64, "{found:?}");
    for around in [zip(&[("a.zip", &quine)]), gzip(&quine), zip(&[("a", &quine), ("b", &quine)])] {
        assert!(classes(&around).contains(&Class::LimitsExceeded));
    }
    assert_eq!(Kind::of(&quine), Some(Kind::Zip));
}
