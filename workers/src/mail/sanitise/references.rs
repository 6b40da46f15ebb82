//! Character references (HTML standard §13.2.5.72 on) to the characters that they stand for.

use std::borrow::Cow;

use html5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use memchr::memchr;

use super::is_control;

/// The longest name that needs no semicolon, and the longest of all.
const MAX_BARE: usize = 6;
const MAX_NAMED: usize = 32;

/// Where a reference stands: in the value of an attribute a name without a semicolon is none when more of a word
/// follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Text,
    Attribute,
}

/// A text with its references resolved.
pub(super) fn resolve(text: &str, place: Place) -> Cow<'_, str> {
    let Some(first) = memchr(b'&', text.as_bytes()) else { return Cow::Borrowed(text) };
    let (before, mut rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    loop {
        // `rest` begins with the ampersand.
        let name = rest.get(1..).unwrap_or_default();
        let len = match numeric(name).or_else(|| named(name, place)) {
            Some((first, second, len)) => {
                out.push(first);
                out.extend(second);
                1 + len
            }
            None => {
                out.push('&');
                1
            }
        };
        let after = rest.get(len..).unwrap_or_default();
        let Some(next) = memchr(b'&', after.as_bytes()) else {
            out.push_str(after);
            return Cow::Owned(out);
        };
        let (before, following) = after.split_at(next);
        out.push_str(before);
        rest = following;
    }
}

/// The characters of a reference and its length without the ampersand.
type Found = (char, Option<char>, usize);

fn numeric(name: &str) -> Option<Found> {
    let number = name.strip_prefix('#')?;
    let (digits, radix, prefix) = number.strip_prefix(['x', 'X']).map_or((number, 10, 1), |digits| (digits, 16, 2));
    let len = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    let significant = digits.get(..len).filter(|digits| !digits.is_empty())?.trim_start_matches('0');
    // Nine digits are beyond Unicode in either base.
    let value = match significant.len() {
        0 => 0,
        1..=8 => u32::from_str_radix(significant, radix).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    let semicolon = usize::from(digits.as_bytes().get(len) == Some(&b';'));
    Some((character(value), None, prefix + len + semicolon))
}

fn character(value: u32) -> char {
    let replaced = value.checked_sub(0x80).and_then(|c1| C1_REPLACEMENTS.get(usize::try_from(c1).ok()?).copied());
    let value = if value == 0 { u32::MAX } else { value };
    let found = replaced.flatten().or_else(|| char::from_u32(value));
    // No way in for control characters, which do not stay where they are written out.
    let is_kept = |c: &char| !u8::try_from(*c).is_ok_and(is_control);
    found.filter(is_kept).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn named(name: &str, place: Place) -> Option<Found> {
    let bytes = name.as_bytes();
    let len = bytes.iter().take(MAX_NAMED).take_while(|b| b.is_ascii_alphanumeric()).count();
    if bytes.get(len) == Some(&b';')
        && let Some(found) = entity(name, len + 1)
    {
        return Some(found);
    }
    let found = (2..=len.min(MAX_BARE)).rev().find_map(|len| entity(name, len))?;
    let more = bytes.get(found.2).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'=');
    (place == Place::Text || !more).then_some(found)
}

fn entity(name: &str, len: usize) -> Option<Found> {
    // The table holds the beginnings of names too, which stand for nothing.
    let (first, second) = *NAMED_ENTITIES.get(name.get(..len)?)?;
    let first = char::from_u32(first).filter(|c| *c != '\0')?;
    Some((first, char::from_u32(second).filter(|c| *c != '\0'), len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_those_of_the_standard() {
        for (text, in_text, in_attribute) in [
            ("a", "a", "a"),
            ("&", "&", "&"),
            ("&amp;lt;&lt;x", "&lt;<x", "&lt;<x"),
            ("&amplt", "&lt", "&amplt"),
            ("&copy=1&copy;&copy", "©=1©©", "&copy=1©©"),
            ("&notit;&notin;&not", "¬it;∉¬", "&notit;∉¬"),
            ("&#65;&#x41&#X41;&#0;&#x110000;&#xD800;", "AAA\u{fffd}\u{fffd}\u{fffd}", "AAA\u{fffd}\u{fffd}\u{fffd}"),
            ("&#x80;&#129;&#13;&#", "€\u{81}\r&#", "€\u{81}\r&#"),
            ("&#27;&#x7f;&#9;&#xc;", "\u{fffd}\u{fffd}\t\u{c}", "\u{fffd}\u{fffd}\t\u{c}"),
            ("&#x;&#xg;&;&#00000000000000065;", "&#x;&#xg;&;A", "&#x;&#xg;&;A"),
            ("&#99999999999999999999;&NotEqualTilde;", "\u{fffd}\u{2242}\u{338}", "\u{fffd}\u{2242}\u{338}"),
            ("&CounterClockwiseContourIntegral;&nosuch;é", "∳&nosuch;é", "∳&nosuch;é"),
        ] {
            assert_eq!(resolve(text, Place::Text), in_text, "{text}");
            assert_eq!(resolve(text, Place::Attribute), in_attribute, "{text}");
        }
    }

    #[test]
    fn names_are_no_longer_than_is_looked_for() {
        let full = |(_, (first, _)): &(&&str, &(u32, u32))| *first != 0;
        for (name, _) in NAMED_ENTITIES.entries().filter(full) {
            assert!(name.len() <= if name.ends_with(';') { MAX_NAMED + 1 } else { MAX_BARE }, "{name}");
        }
    }
}
