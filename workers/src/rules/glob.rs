//! Patterns: `*` is any text, `?` any one character, everything else itself in either case.

use std::fmt;

use wildmatch::WildMatch;

/// The longest pattern, in characters.
///
/// Matching goes back to the last `*` only, so it takes at most pattern × text steps: with this bound a
/// hostile text costs a constant factor, never more.
pub const LONGEST_PATTERN: usize = 256;

/// A pattern over a whole text.
#[derive(Clone, PartialEq)]
pub struct Glob(WildMatch);

impl Glob {
    /// Accepts a pattern that is neither empty nor too long.
    pub fn parse(pattern: &str) -> Option<Self> {
        let fits = !pattern.is_empty() && pattern.chars().nth(LONGEST_PATTERN).is_none();
        fits.then(|| Self(WildMatch::new_case_insensitive(pattern)))
    }

    /// Whether the whole text is of this pattern.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.pattern())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("invoices@*", "Invoices@Example.org", true),
            ("invoices@*", "xinvoices@example.org", false),
            ("*invoice*", "Your INVOICE 7", true),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.pdf", "a.pdf.exe", false),
            ("*ÄRGER*", "viel ärger hier", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("a\nb", "a\nb", true),
            ("*b", "a\r\nb", true),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn empty_and_long_patterns_are_refused() {
        assert!(Glob::parse("").is_none());
        assert!(Glob::parse(&"ä".repeat(LONGEST_PATTERN)).is_some());
        assert!(Glob::parse(&"ä".repeat(LONGEST_PATTERN + 1)).is_none());
    }

    /// Exponential backtracking would not end within the life of the machine.
    #[test]
    fn the_worst_text_ends() {
        let stars = Glob::parse(&format!("{}b", "a*".repeat(127))).unwrap();
        let literal = Glob::parse(&format!("*{}b", "a".repeat(254))).unwrap();
        let text = "a".repeat(64 * 1024);
        assert!(!stars.matches(&text) && !literal.matches(&text));
        assert!(stars.matches(&format!("{text}b")) && literal.matches(&format!("{text}b")));
    }

    /// By the definition: try every length for every star.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', after)), _) => (0..=text.len()).any(|n| by_definition(after, &text[n..])),
            (Some((p, after)), Some((t, rest))) => (*p == '?' || p == t) && by_definition(after, rest),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matches_are_those_of_the_definition(pattern in "[ab*?]{1,7}", text in "[ab]{0,9}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::parse(&pattern).unwrap().matches(&text), by_definition(&p, &t));
        }
    }
}
