//! The types that a key can have.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use super::{tree::Value, units};

/// A type that one key's value can be read as.
pub trait Setting: Sized {
    /// What a right value looks like, to follow "expected".
    const EXPECTED: &'static str;

    /// Reads it as text: from an environment variable, or from a string in the file where [`Setting::IS_TEXT`].
    fn parse(text: &str) -> Option<Self>;

    /// Writes it for `config show`, so that it reads back.
    fn show(&self) -> toml::Value;

    /// Whether the file holds it as a string rather than as a bare number or flag.
    const IS_TEXT: bool = true;
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(
    /// Bytes.
    pub u64,
);

impl Setting for Duration {
    const EXPECTED: &'static str = units::DURATION;

    fn parse(text: &str) -> Option<Self> {
        units::parse_duration(text)
    }

    fn show(&self) -> toml::Value {
        units::show_duration(*self).into()
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = units::SIZE;

    fn parse(text: &str) -> Option<Self> {
        units::parse_size(text).map(Self)
    }

    fn show(&self) -> toml::Value {
        units::show_size(self.0).into()
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text that is not empty, in quotes";

    fn parse(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn show(&self) -> toml::Value {
        self.as_str().into()
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";
    const IS_TEXT: bool = false;

    fn parse(text: &str) -> Option<Self> {
        text.trim().to_lowercase().parse().ok()
    }

    fn show(&self) -> toml::Value {
        (*self).into()
    }
}

impl Setting for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295";
    const IS_TEXT: bool = false;

    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn show(&self) -> toml::Value {
        i64::from(self.get()).into()
    }
}

impl Setting for NonZeroUsize {
    const EXPECTED: &'static str = "a whole number from 1";
    const IS_TEXT: bool = false;

    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn show(&self) -> toml::Value {
        i64::try_from(self.get()).unwrap_or(i64::MAX).into()
    }
}

/// Reads a value: strictly from the file, as text from the environment.
pub(super) fn read<T: Setting>(value: &Value, from_environment: bool) -> Option<T> {
    match value {
        Value::Text(text) if T::IS_TEXT || from_environment => T::parse(text),
        Value::Integer(number) if !T::IS_TEXT => T::parse(&number.to_string()),
        Value::Boolean(flag) if !T::IS_TEXT => T::parse(&flag.to_string()),
        _ => None,
    }
}
