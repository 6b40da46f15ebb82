//! Whether a content that passes by is worth a walk: by its first bytes, its last, and the signatures that archives may
//! carry behind a prefix.
//!
//! The parse asks this of every part while it hashes it, so that only what looks like a container is sent to a walk. Cut
//! into chunks in any way, the answer is the same.

use memchr::memmem::Finder;

use super::kind::{HEAD, Kind, RAR, SEVEN_ZIP, ends_like_a_disk};

/// The last bytes that are kept: the trailer of a disk image, and more than any signature.
const TAIL: usize = 512;
/// The end record of a zip: readers look for it from behind.
pub(super) const ZIP_END: &[u8] = b"PK\x05\x06";

/// Looks at a content that is pushed through it.
#[derive(Debug)]
pub struct Sniffer {
    head: Vec<u8>,
    tail: Vec<u8>,
    carries: bool,
    ended: bool,
    finders: [Finder<'static>; 3],
}

impl Default for Sniffer {
    fn default() -> Self {
        let finders = [ZIP_END, RAR, SEVEN_ZIP].map(Finder::new);
        Self { head: Vec::new(), tail: Vec::new(), carries: false, ended: false, finders }
    }
}

impl Sniffer {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.ended) {
            self.head.clear();
            self.tail.clear();
            self.carries = false;
        }
        let missing = HEAD - self.head.len();
        self.head.extend_from_slice(bytes.get(..missing).unwrap_or(bytes));
        // A signature may lie across two chunks.
        let begin = bytes.get(..TAIL).unwrap_or(bytes);
        self.tail.extend_from_slice(begin);
        self.carries = self.carries || self.has_signature(&self.tail) || self.has_signature(bytes);
        let rest = bytes.get(begin.len()..).unwrap_or_default();
        self.tail.extend_from_slice(rest.get(rest.len().saturating_sub(TAIL)..).unwrap_or_default());
        let old = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..old);
    }

    /// The first bytes, at most [`HEAD`] of them. After [`Sniffer::finish`] they are there until the next push.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Ends the content: what it looks like. What is pushed next begins another one.
    pub fn finish(&mut self) -> Option<Kind> {
        self.ended = true;
        Kind::of(&self.head).or_else(|| self.at_the_end())
    }

    fn at_the_end(&self) -> Option<Kind> {
        if ends_like_a_disk(&self.tail) {
            return Some(Kind::OtherArchive);
        }
        self.carries.then_some(Kind::Carrier)
    }

    fn has_signature(&self, bytes: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(bytes).is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sniff(content: &[u8], chunk: usize) -> Option<Kind> {
        let mut sniffer = Sniffer::default();
        content.chunks(chunk).for_each(|chunk| sniffer.push(chunk));
        sniffer.finish()
    }

    #[test]
    fn containers_are_known_by_their_bytes() {
        let at = |at: usize, signature: &[u8]| [&vec![b'x'; at], signature].concat();
        let trailer = |signature: &[u8]| [at(900, signature), vec![0; 512 - signature.len()]].concat();
        for (content, kind) in [
            (b"PK\x03\x04".to_vec(), Some(Kind::Zip)),
            (b"PK\x05\x06".to_vec(), Some(Kind::Zip)),
            (b"\x1f\x8b\x08".to_vec(), Some(Kind::Gzip)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), Some(Kind::Ole)),
            (b"%PDF-1.7".to_vec(), Some(Kind::Pdf)),
            (at(1_000, b"%PDF-1.7"), Some(Kind::Pdf)),
            (at(1_020, b"%PDF-1.7"), None),
            (b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), Some(Kind::SevenZip)),
            (b"Rar!\x1a\x07\x01\0".to_vec(), Some(Kind::Rar)),
            (b"BZh91AY&SY".to_vec(), Some(Kind::OtherArchive)),
            (b"MSCF\0\0\0\0".to_vec(), Some(Kind::OtherArchive)),
            (b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0".to_vec(), Some(Kind::OtherArchive)),
            (b"]\0\0\x81\0\xff\xff\xff\xff\xff\xff\xff\xff\0".to_vec(), None),
            (b"] is a bracket, and no more than that".to_vec(), None),
            (at(54, b"FAT16   "), Some(Kind::OtherArchive)),
            (b"{\\rtf1 text}".to_vec(), Some(Kind::Rtf)),
            (b"\r\n {\\rt".to_vec(), Some(Kind::Rtf)),
            (at(0x8001, b"CD001"), Some(Kind::OtherArchive)),
            (at(2, b"-lh5-"), Some(Kind::OtherArchive)),
            (trailer(b"koly\0\0\0\x04"), Some(Kind::OtherArchive)),
            (at(70_000, b"PK\x05\x06"), Some(Kind::Carrier)),
            (at(1_000_000, b"Rar!\x1a\x07\0"), Some(Kind::Carrier)),
            (b"MZ\x90\0".to_vec(), None),
            (b"PKZIP is a program. Rar! BZh is not. 070701 is a number.".to_vec(), None),
            (b"".to_vec(), None),
        ] {
            for chunk in [1, 7, 512, 48 * 1024, 2 << 20] {
                assert_eq!(sniff(&content, chunk), kind, "{:?} in {chunk}", content.get(..12));
            }
        }
    }

    proptest! {
        #[test]
        fn a_signature_is_found_wherever_the_chunks_are_cut(
            before in 0usize..2_000,
            after in 0usize..2_000,
            which in 0usize..3,
            cuts in proptest::collection::vec(1usize..700, 1..20),
        ) {
            let signature = [ZIP_END, RAR, SEVEN_ZIP][which];
            let content = [&vec![0xcc; before + 1], signature, &vec![0xcc; after]].concat();
            let (mut sniffer, mut rest, mut cuts) = (Sniffer::default(), &content[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (chunk, more) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                sniffer.push(chunk);
                rest = more;
            }
            prop_assert_eq!(sniffer.finish(), Some(Kind::Carrier));
        }
    }
}
