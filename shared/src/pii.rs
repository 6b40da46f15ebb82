//! Personal data that cannot be printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that came out of a mail: an address, a subject, a name, a header.
///
/// `Debug` and `Display` redact it, so that it cannot reach a log line, an error or a panic message. It
/// still serialises, because stored mail and payloads are where it belongs; take it out with
/// [`Pii::expose`], which is easy to find in a review.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for content stores and payloads only.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Gives up the wrapper.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let subject = Pii::new("canary-7f3a".to_owned());
        assert_eq!(format!("{subject} {subject:?} {:?}", Some(&subject)), "[redacted] [redacted] Some([redacted])");
        assert_eq!(serde_json::to_string(&subject).ok().as_deref(), Some("\"canary-7f3a\""));
    }
}
