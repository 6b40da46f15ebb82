//! The one decoder of transfer encodings (RFC 2045 §6), shared by the parse and the scan, so that the bytes
//! that are scanned are the bytes that are delivered.
//!
//! It is as forgiving as mail clients are, and a push decoder: whatever way the input is cut into chunks, the
//! output is the same. It also agrees byte for byte with `mail-parser`, whose offsets inside a decoded message
//! our part addresses use. What it had to forgive is counted in [`Damage`].

mod address;
mod base64;
mod quoted;

use serde::{Deserialize, Serialize};

pub use address::{PartAddress, PartReader, Segment};

use self::base64::Base64;
use self::quoted::Quoted;

/// A content transfer encoding. `mail-parser` knows these alone: anything else (`x-uuencode` among them) is
/// left as it is, and is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`, or none.
    #[serde(rename = "id")]
    Identity,
    /// `base64`.
    #[serde(rename = "b64")]
    Base64,
    /// `quoted-printable`.
    #[serde(rename = "qp")]
    QuotedPrintable,
}

impl From<mail_parser::Encoding> for Encoding {
    fn from(encoding: mail_parser::Encoding) -> Self {
        match encoding {
            mail_parser::Encoding::None => Self::Identity,
            mail_parser::Encoding::Base64 => Self::Base64,
            mail_parser::Encoding::QuotedPrintable => Self::QuotedPrintable,
        }
    }
}

/// What the decoder had to forgive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Bytes that do not belong there, and were skipped (base64) or kept as written (quoted-printable).
    pub stray: u64,
    /// Base64 went on after complete padding, as when two encoded texts are joined. Some clients stop there:
    /// what they see is the beginning of what we decode.
    pub resumed: bool,
    /// Base64 went on after padding that was out of place, or a line of quoted-printable ends in more white space than is held:
    /// clients read it in more than one way.
    pub conflicting: bool,
}

impl Damage {
    /// Whether nothing had to be forgiven.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// A push decoder.
#[derive(Debug)]
pub struct Decoder(Inner);

#[derive(Debug)]
enum Inner {
    Identity,
    Base64(Base64),
    Quoted(Quoted),
}

impl Decoder {
    /// A decoder at the start of its input.
    pub fn new(encoding: Encoding) -> Self {
        Self(match encoding {
            Encoding::Identity => Inner::Identity,
            Encoding::Base64 => Inner::Base64(Base64::default()),
            Encoding::QuotedPrintable => Inner::Quoted(Quoted::default()),
        })
    }

    /// Decodes the next bytes of the input and appends what they give to `out`.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            Inner::Identity => out.extend_from_slice(input),
            Inner::Base64(base64) => base64.push(input, out),
            Inner::Quoted(quoted) => quoted.push(input, out),
        }
    }

    /// Ends the input: appends what was held back and says what had to be forgiven. After it the decoder is
    /// at the start of another input.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Damage {
        match &mut self.0 {
            Inner::Identity => Damage::default(),
            Inner::Base64(base64) => std::mem::take(base64).finish(out),
            Inner::Quoted(quoted) => std::mem::take(quoted).finish(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(encoding: Encoding, input: &[u8]) -> (Vec<u8>, Damage) {
        let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
        decoder.push(input, &mut out);
        let damage = decoder.finish(&mut out);
        (out, damage)
    }

    fn theirs(encoding: Encoding) -> mail_parser::Encoding {
        match encoding {
            Encoding::Identity => mail_parser::Encoding::None,
            Encoding::Base64 => mail_parser::Encoding::Base64,
            Encoding::QuotedPrintable => mail_parser::Encoding::QuotedPrintable,
        }
    }

    fn base64(input: &str) -> (Vec<u8>, Damage) {
        whole(Encoding::Base64, input.as_bytes())
    }

    fn quoted(input: &str) -> (String, u64) {
        let (out, damage) = whole(Encoding::QuotedPrintable, input.as_bytes());
        (String::from_utf8(out).unwrap(), damage.stray)
    }

    #[test]
    fn base64_is_read_as_clients_read_it() {
        let stray = |stray| Damage { stray, ..Damage::default() };
        for (input, output, damage) in [
            ("SGVs\r\nbG8=", "Hello", stray(0)),
            ("SGVs!bG8=", "Hello", stray(1)),
            ("SGVsbG8", "Hello", stray(0)),
            ("SGVsbG8=\r\nSGVsbG8=", "HelloHello", Damage { resumed: true, ..stray(0) }),
            ("SGVsbG8===", "Hello", stray(2)),
            ("SG=VsbG8=", "H[\u{6}\u{0}", Damage { conflicting: true, resumed: true, ..stray(1) }),
            ("SGVsbG8=\0\u{e9}", "Hello", stray(3)),
            ("", "", stray(0)),
        ] {
            let (out, found) = base64(input);
            if !damage.conflicting {
                assert_eq!(String::from_utf8_lossy(&out), output, "{input}");
            }
            assert_eq!(found, damage, "{input}");
        }
    }

    #[test]
    fn quoted_printable_is_read_as_clients_read_it() {
        for (input, output, stray) in [
            ("caf=C3=A9 =c3=a9", "café é", 0),
            ("soft=\r\nbreak=\nagain= \t\r\nend=", "softbreakagainend", 0),
            ("trailing \t\r\nspace ", "trailing\r\nspace", 0),
            ("a=ZZ=4", "a=ZZ=4", 2),
            ("a\rb", "ab", 0),
            ("==41", "==41", 1),
            ("x= y", "x= y", 1),
        ] {
            assert_eq!(quoted(input), (output.to_owned(), stray), "{input:?}");
        }
    }

    #[test]
    fn white_space_without_end_is_not_held() {
        const CHUNK: usize = 48 * 1024;
        for (before, after, is_deleted) in
            [("", "", true), ("a", "\r\nb", true), ("a=", "\r\nb", true), ("a= \t", "=41", false), ("a=20", "b", false)]
        {
            let input = [before.as_bytes(), &vec![b' '; 40_000_000], after.as_bytes()].concat();
            let (mut decoder, mut out, mut made) = (Decoder::new(Encoding::QuotedPrintable), Vec::new(), 0);
            for chunk in input.chunks(CHUNK) {
                decoder.push(chunk, &mut out);
                assert!(out.len() <= 128 * 1024 && out.capacity() <= 256 * 1024, "{} {}", out.len(), out.capacity());
                let Inner::Quoted(quoted) = &decoder.0 else { panic!("another decoder") };
                assert!(quoted.held() <= 128 * 1024, "{}", quoted.held());
                made += out.len();
                out.clear();
            }
            let damage = decoder.finish(&mut out);
            made += out.len();
            assert_eq!(damage.conflicting, is_deleted, "{before} {after}");
            assert!(made > 39_000_000, "{before} {after}: {made}");
        }
    }

    #[test]
    fn much_white_space_is_the_same_however_it_is_cut() {
        for before in ["", "=", "a=2", "= \r"] {
            for blanks in [65_535, 65_536, 65_537, 65_538, 131_072, 131_073, 200_000] {
                for after in ["", "x", "\n", "=\n", "\r\ny"] {
                    let input = [before.as_bytes(), &vec![b' '; blanks], after.as_bytes()].concat();
                    let (expected, damage) = whole(Encoding::QuotedPrintable, &input);
                    for chunk in [1, 1_000, 65_536, 65_537] {
                        let (mut decoder, mut out) = (Decoder::new(Encoding::QuotedPrintable), Vec::new());
                        input.chunks(chunk).for_each(|chunk| decoder.push(chunk, &mut out));
                        assert_eq!(decoder.finish(&mut out), damage, "{before:?} {blanks} {after:?} by {chunk}");
                        assert!(out == expected, "{before:?} {blanks} {after:?} by {chunk}");
                    }
                    // What is within the bound is read as the parser reads it.
                    assert!(damage.conflicting || expected == *theirs(Encoding::QuotedPrintable).decode(&input));
                }
            }
        }
    }

    fn input() -> impl Strategy<Value = Vec<u8>> {
        let nasty = proptest::sample::select(b"=AZaz09+/-_ \t\r\n\r\n\r\n==  4g\xc3\0".to_vec());
        let lines = [
            "QUJDREVG\r\n",
            "QUJDREVGR0hJSktM\n",
            "QUJ\r\nD",
            "QUI=\r\n",
            "QU JD\r\n",
            "QQ\r\nUI\r\n",
            "\x0bQUJD\r\n",
            "QUJD!\n",
        ];
        let lines = proptest::collection::vec(proptest::sample::select(lines.to_vec()), 0..20);
        prop_oneof![
            proptest::collection::vec(nasty, 0..200),
            proptest::collection::vec(any::<u8>(), 0..200),
            lines.prop_map(|lines| lines.concat().into_bytes()),
        ]
    }

    fn any_encoding() -> impl Strategy<Value = Encoding> {
        proptest::sample::select(vec![Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_split_gives_the_same_bytes_and_the_parser_agrees(
            input in input(),
            cuts in proptest::collection::vec(0usize..200, 0..12),
            encoding in any_encoding(),
        ) {
            let (expected, damage) = whole(encoding, &input);
            prop_assert_eq!(&expected[..], &theirs(encoding).decode(&input)[..]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
            for pair in cuts.windows(2) {
                decoder.push(&input[pair[0]..pair[1]], &mut out);
            }
            prop_assert_eq!(decoder.finish(&mut out), damage);
            prop_assert_eq!(out, expected);
        }
    }
}
