//! 32 bytes as 64 hex digits on the wire.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes the bytes as lower-case hex.
pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

/// Reads 64 hex digits, of either case.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    deserializer.deserialize_str(Hex)
}

/// The bytes as 64 lower-case hex digits.
pub fn encode(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

/// The bytes of 64 hex digits of either case.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    Hex.visit_str::<serde::de::value::Error>(text).ok()
}

struct Hex;

impl Visitor<'_> for Hex {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hex digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<[u8; 32], E> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let pairs: &[[u8; 2]; 32] = pairs.try_into().map_err(|_| E::custom("not 64 hex digits"))?;
        let mut bytes = [0; 32];
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte =
                digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low).ok_or_else(|| E::custom("not hex"))?;
        }
        if rest.is_empty() { Ok(bytes) } else { Err(E::custom("not 64 hex digits")) }
    }
}

/// The value of a hex digit of either case.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Digest;

    #[test]
    fn a_digest_survives_the_wire_and_nothing_else_is_read() {
        let digest = Digest { len: 3, sha256: std::array::from_fn(|i| u8::try_from(i * 8).unwrap()) };
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert!(serde_json::from_str::<Digest>(&format!(r#"{{"len":3,"sha256":"{bad}"}}"#)).is_err(), "{bad}");
        }
    }
}
