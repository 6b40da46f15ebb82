//! Durations and sizes as people write them: a whole number and a unit.

use std::time::Duration;

/// What a duration looks like, for error texts.
pub const DURATION: &str = "a duration with its unit (ms, s, min, h, d), such as \"30s\", \"5min\" or \"2h\"";
/// What a size looks like, for error texts.
pub const SIZE: &str = "a size with its unit (B, KB, MB, GB, KiB, MiB, GiB), such as \"25MB\" or \"64KiB\"";

/// Unit names and their length in milliseconds; the first name of a length is the one that is printed.
const DURATIONS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("min", 60_000),
    ("m", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("s", 1000),
    ("sec", 1000),
    ("second", 1000),
    ("seconds", 1000),
    ("ms", 1),
];

/// Unit names and their bytes, largest first.
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1024),
    ("KB", 1000),
    ("B", 1),
];

/// Reads `30s`, `5 min`, `2h`, `250ms`, `3d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    quantity(text, DURATIONS).map(Duration::from_millis)
}

/// Reads `25MB`, `64KiB`; the case of a unit does not matter.
pub fn parse_size(text: &str) -> Option<u64> {
    quantity(text, SIZES)
}

/// Writes a duration in its largest whole unit. Less than a millisecond is cut.
pub fn show_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        millis => in_largest(millis, DURATIONS),
    }
}

/// Writes a size in its largest whole unit.
pub fn show_size(bytes: u64) -> String {
    if bytes == 0 { "0B".to_owned() } else { in_largest(bytes, SIZES) }
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, scale) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

fn in_largest(amount: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, scale)| amount.is_multiple_of(*scale));
    whole.map_or_else(String::new, |(unit, scale)| format!("{}{unit}", amount / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("30s", 30_000), ("5 min", 300_000), ("2h", 7_200_000), ("250ms", 250), ("3d", 259_200_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5h", "5 parsecs", "99999999999999999d", "1h 30min"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("25MB", 25_000_000), ("64KiB", 65_536), ("1 gib", 1 << 30), ("7B", 7), ("0B", 0)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "25", "MB", "-1MB", "1.5MB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["250ms", "30s", "90s", "5min", "2h", "3d", "0s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
        for text in ["7B", "64KiB", "25MB", "1MiB", "2GB", "3GiB", "0B"] {
            assert_eq!(parse_size(text).map(show_size).as_deref(), Some(text));
        }
    }
}
