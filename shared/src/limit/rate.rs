//! Rates as people write them.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use crate::config::units;

/// A rate: `count` units per `per`, of which `burst` may pass at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units per period.
    pub count: NonZeroU32,
    /// The period.
    pub per: Duration,
    /// Units that may pass at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// What a rate looks like, to follow "expected".
    pub const EXPECTED: &'static str =
        "a rate, \"COUNT/sec|min|hour|day\", perhaps with \"burst COUNT\" after it, such as \"100/min burst 200\"";
    /// What a rate of bytes looks like, to follow "expected".
    pub const EXPECTED_BYTES: &'static str =
        "a rate of bytes, at least 1KiB and at most 4TiB, such as \"50MB/hour burst 200MB\"";
    /// Bytes are counted in units of so many, rounded up.
    pub const BYTES_A_UNIT: u64 = 1024;

    /// The time that one unit takes at this rate.
    pub fn interval(&self) -> Duration {
        self.per / self.count.get()
    }

    /// Reads a rate of bytes, `50MB/hour burst 200MB`, in units of [`Rate::BYTES_A_UNIT`].
    ///
    /// # Errors
    /// [`RateSyntax`].
    pub fn of_bytes(text: &str) -> Result<Self, RateSyntax> {
        let units = |text: &str| {
            let units = units::parse_size(text)? / Self::BYTES_A_UNIT;
            u32::try_from(units).ok().and_then(NonZeroU32::new)
        };
        Self::read(text, units)
    }

    /// The units of so many bytes: at least one.
    pub fn units_of(bytes: u64) -> NonZeroU32 {
        let units = bytes.div_ceil(Self::BYTES_A_UNIT);
        u32::try_from(units).map_or(NonZeroU32::MAX, |units| NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN))
    }

    /// The rate of bytes in words, as [`Rate::of_bytes`] reads it.
    pub fn show_bytes(&self) -> String {
        self.show(|units| units::show_size(u64::from(units) * Self::BYTES_A_UNIT))
    }

    fn show(&self, units: impl Fn(u32) -> String) -> String {
        let (count, burst) = (self.count.get(), self.burst.get());
        let per = match self.per.as_secs() {
            1 => "sec".to_owned(),
            60 => "min".to_owned(),
            3600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            _ => units::show_duration(self.per),
        };
        let burst = if burst == count { String::new() } else { format!(" burst {}", units(burst)) };
        format!("{}/{per}{burst}", units(count))
    }

    fn read(text: &str, units: impl Fn(&str) -> Option<NonZeroU32>) -> Result<Self, RateSyntax> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (rate, burst) = match words.as_slice() {
            [rate] => (*rate, None),
            [rate, "burst", burst] => (*rate, Some(*burst)),
            _ => return Err(RateSyntax),
        };
        let (count, per) = rate.split_once('/').ok_or(RateSyntax)?;
        let count = units(count).ok_or(RateSyntax)?;
        let burst = burst.map_or(Some(count), units).ok_or(RateSyntax)?;
        let per = Duration::from_secs(match per {
            "s" | "sec" | "second" => 1,
            "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86_400,
            _ => return Err(RateSyntax),
        });
        Ok(Self { count, per, burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(|units| units.to_string()))
    }
}

/// Text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", Rate::EXPECTED)]
pub struct RateSyntax;

impl FromStr for Rate {
    type Err = RateSyntax;

    fn from_str(text: &str) -> Result<Self, RateSyntax> {
        Self::read(text, |count| count.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, seconds: u64, burst: u32) -> Rate {
        let [count, burst] = [count, burst].map(|n| NonZeroU32::new(n).unwrap());
        Rate { count, per: Duration::from_secs(seconds), burst }
    }

    #[test]
    fn rates_in_words() {
        for (text, expected) in [
            ("100/min burst 200", rate(100, 60, 200)),
            ("5/sec", rate(5, 1, 5)),
            ("1/h burst 7", rate(1, 3600, 7)),
            ("2/day", rate(2, 86_400, 2)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
        for text in ["", "100", "0/min", "5/week", "5/min burst", "5/min burst 0", "5 /min", "-1/min", "5/min 9"] {
            assert_eq!(text.parse::<Rate>(), Err(RateSyntax), "{text}");
        }
    }

    #[test]
    fn rates_of_bytes() {
        assert_eq!(Rate::of_bytes("64KiB/sec"), Ok(rate(64, 1, 64)));
        assert_eq!(Rate::of_bytes("1MiB/min burst 2MiB"), Ok(rate(1024, 60, 2048)));
        assert_eq!(Rate::of_bytes("100GB/day"), Ok(rate(97_656_250, 86_400, 97_656_250)));
        assert_eq!(
            Rate::of_bytes("1MiB/min burst 2MiB").map(|rate| rate.show_bytes()).as_deref(),
            Ok("1MiB/min burst 2MiB")
        );
        for text in ["64/sec", "1000B/sec", "5000GiB/sec", "1MB/min burst 1"] {
            assert_eq!(Rate::of_bytes(text), Err(RateSyntax), "{text}");
        }
        for (bytes, units) in [(0, 1), (1, 1), (1024, 1), (1025, 2), (u64::MAX, u32::MAX)] {
            assert_eq!(Rate::units_of(bytes).get(), units, "{bytes}");
        }
    }
}
