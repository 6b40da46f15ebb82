//! Charges in the script's numbers: whole microseconds, and the rest as an exact fraction.

use std::{num::NonZeroU32, time::Duration};

use crate::limit::{Charge, Rate};

/// About 63 years. Longer spans are cut to it, so that the script's sums stay exact integers.
const LONGEST: u64 = 2_000_000_000_000_000;
const NANOS_PER_MICRO: u64 = 1000;

/// A span of time: `whole` microseconds and `part` / [`denominator`] of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) whole: u64,
    pub(super) part: u64,
}

impl Span {
    /// What `units` take at `rate`.
    pub(super) fn of(units: NonZeroU32, rate: &Rate) -> Self {
        let over = u128::from(denominator(rate));
        // Nanoseconds times the rate's count.
        let scaled = rate.per.as_nanos().saturating_mul(units.get().into());
        match (u64::try_from(scaled / over), u64::try_from(scaled % over)) {
            (Ok(whole), Ok(part)) if whole < LONGEST => Self { whole, part },
            _ => Self { whole: LONGEST, part: 0 },
        }
    }

    /// The whole microseconds of a wait.
    pub(super) fn whole_micros(wait: Duration) -> u64 {
        u64::try_from(wait.as_micros()).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// Over which the spans of a rate are exact.
pub(super) fn denominator(rate: &Rate) -> u64 {
    u64::from(rate.count.get()) * NANOS_PER_MICRO
}

/// How far ahead of now the key's arrival time may lie for the charge to pass.
pub(super) fn tolerance(charge: &Charge) -> Span {
    Span::of(charge.rate.burst.max(charge.cost), &charge.rate)
}

/// Whether a Redis Cluster would keep the keys in one place.
pub(super) fn lie_together<'a>(keys: impl Iterator<Item = &'a String>) -> bool {
    let mut tags = keys.map(|key| hashed(key));
    let first = tags.next();
    tags.all(|tag| Some(tag) == first)
}

/// The part of a key that decides its place (Redis Cluster specification, "Hash tags").
fn hashed(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exact() {
        let third: Rate = "3/sec".parse().unwrap();
        let span = Span::of(NonZeroU32::MIN, &third);
        assert_eq!(span, Span { whole: 333_333, part: 1000 });
        assert_eq!(denominator(&third), 3000);
        let nanos = Rate { per: Duration::from_nanos(1), ..third };
        assert_eq!(Span::of(NonZeroU32::MIN, &nanos), Span { whole: 0, part: 1 });
    }

    #[test]
    fn the_largest_numbers_are_cut() {
        let max = NonZeroU32::MAX;
        let rate = Rate { count: max, per: Duration::MAX, burst: max };
        assert_eq!(Span::of(max, &rate), Span { whole: LONGEST, part: 0 });
        assert_eq!(Span::whole_micros(Duration::MAX), LONGEST);
        // Twice the longest after any time of this century, and products with a denominator's carry, are exact.
        const { assert!(4_102_444_800_000_000 + 2 * LONGEST < 1 << 53) };
        assert!(denominator(&rate) * 2 < 1 << 53);
    }

    #[test]
    fn the_hash_tag_is_found_as_redis_finds_it() {
        for (key, expected) in [
            ("{tenant}:sender:x", "tenant"),
            ("a{tenant}b{c}", "tenant"),
            ("no tag", "no tag"),
            ("{}{tenant}", "{}{tenant}"),
            ("{open", "{open"),
            ("}{tenant}", "tenant"),
            ("{{tenant}}", "{tenant"),
        ] {
            assert_eq!(hashed(key), expected, "{key}");
        }
        let together = |names: &[&str]| lie_together(names.iter().map(ToString::to_string).collect::<Vec<_>>().iter());
        assert!(together(&["{t}:a", "{t}:b", "c{t}"]));
        assert!(!together(&["{t}:a", "{t}:b", "{u}:a"]));
        assert!(!together(&["a", "b"]));
        assert!(together(&["a", "a"]) && together(&[]));
    }
}
