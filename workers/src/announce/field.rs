//! A JSON value that knows its place, so that every error names the field.

use serde_json::Value;
use shared::pii::Pii;

use super::error::{AnnounceError, Problem};

/// A value and where it is.
pub(super) struct Field<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value, path: &str) -> Self {
        Self { value, path: path.to_owned() }
    }

    /// An error about this field.
    pub(super) fn wrong(&self, problem: Problem) -> AnnounceError {
        AnnounceError::new(&self.path, problem)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    /// The field of that name; `null` counts as absent.
    pub(super) fn get(&self, name: &'static str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { value, path: format!("{}.{name}", self.path) })
    }

    pub(super) fn need(&self, name: &'static str) -> Result<Self, AnnounceError> {
        let missing = || AnnounceError::new(&format!("{}.{name}", self.path), Problem::Missing);
        self.get(name).ok_or_else(missing)
    }

    /// The items of a list that is not empty.
    pub(super) fn items(&self) -> Result<Vec<Self>, AnnounceError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong(Problem::Form("a list")))?;
        if items.is_empty() {
            return Err(self.wrong(Problem::Empty));
        }
        let item = |(i, value)| Self { value, path: format!("{}[{i}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, AnnounceError> {
        match self.any_text()? {
            "" => Err(self.wrong(Problem::Empty)),
            text => Ok(text),
        }
    }

    /// A text.
    pub(super) fn any_text(&self) -> Result<&'a str, AnnounceError> {
        self.value.as_str().ok_or_else(|| self.wrong(Problem::Form("a text")))
    }

    /// A text of printable ASCII, at most `longest` bytes: an identifier that may be shown.
    pub(super) fn token(&self, longest: usize) -> Result<String, AnnounceError> {
        let text = self.text()?;
        if text.len() > longest {
            return Err(self.wrong(Problem::TooLong));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(self.wrong(Problem::Form("printable ASCII")));
        }
        Ok(text.to_owned())
    }

    pub(super) fn must_be(&self, expected: &'static str) -> Result<(), AnnounceError> {
        if self.any_text()? == expected { Ok(()) } else { Err(self.wrong(Problem::Value(expected))) }
    }

    pub(super) fn length(&self) -> Result<u64, AnnounceError> {
        self.value.as_u64().ok_or_else(|| self.wrong(Problem::Form("a whole number, not negative")))
    }

    /// An address of an SMTP envelope: RFC 5321 §4.5.3.1.4 allows a command line of 512 bytes.
    pub(super) fn address(&self) -> Result<Pii<String>, AnnounceError> {
        let text = self.any_text()?;
        if text.len() > 512 {
            return Err(self.wrong(Problem::TooLong));
        }
        if text.chars().any(char::is_control) {
            return Err(self.wrong(Problem::Form("without control characters")));
        }
        Ok(Pii::new(text.to_owned()))
    }
}
