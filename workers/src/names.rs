//! The names that an operator gives: safe in labels, paths, keys and logs by construction.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a name looks like, for error texts.
pub const EXPECTED: &str = "a name of lower-case letters, digits and \"-\"";

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $longest:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts a text of the right form.
            pub fn parse(text: &str) -> Option<Self> {
                is_name(text, $longest).then(|| Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                if is_name(&text, $longest) { Ok(Self(text)) } else { Err(NotAName) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A destination's name: 1 to 40 of `a-z`, `0-9`, `-`.
    DestinationName,
    40
);
name!(
    /// A tenant's name: 1 to 32 of `a-z`, `0-9`, `-`.
    TenantName,
    32
);
name!(
    /// A rule's name: 1 to 64 of `a-z`, `0-9`, `-`.
    RuleName,
    64
);

name!(
    /// A limit's name: 1 to 40 of `a-z`, `0-9`, `-`.
    LimitName,
    40
);

name!(
    /// The name of a client that hands mail in: 1 to 40 of `a-z`, `0-9`, `-`.
    ClientName,
    40
);

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of lower-case letters, digits and \"-\"")]
pub struct NotAName;

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_accepted() {
        for (text, ok) in [("erp", true), ("a-1", true), ("", false), ("Erp", false), ("a_b", false), ("ä", false)] {
            assert_eq!(DestinationName::parse(text).is_some(), ok, "{text}");
            assert_eq!(serde_json::from_value::<DestinationName>(text.into()).is_ok(), ok, "{text}");
        }
        assert!(DestinationName::parse(&"a".repeat(40)).is_some() && TenantName::parse(&"a".repeat(32)).is_some());
        assert!(DestinationName::parse(&"a".repeat(41)).is_none() && TenantName::parse(&"a".repeat(33)).is_none());
    }
}
