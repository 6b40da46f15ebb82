//! The configuration in force: every key that was read, its value, and where that came from.

use std::fmt;

use super::{
    error::Origin,
    path::{KeyPath, quoted},
};

/// What was read from a valid configuration.
///
/// Its `Display` is TOML that loads again to the same values. Secrets are in it by the names of their
/// variables or files only.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    pub(super) entries: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The section that it stands in.
    pub section: KeyPath,
    /// Its name.
    pub key: String,
    /// Its value; nothing where it is not set and has no default.
    pub value: Option<toml::Value>,
    /// Where the value came from.
    pub origin: Origin,
}

impl Effective {
    /// Every key that was read, in the order of reading.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The sections in the order of first reading; keys outside any section have to come first in TOML.
    fn sections(&self) -> Vec<&KeyPath> {
        let mut sections: Vec<&KeyPath> = Vec::new();
        for entry in &self.entries {
            if !sections.contains(&&entry.section) {
                sections.push(&entry.section);
            }
        }
        sections.sort_by_key(|section| section.header().is_some());
        sections
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, section) in self.sections().into_iter().enumerate() {
            if let Some(header) = section.header() {
                writeln!(f, "{}{header}", if position == 0 { "" } else { "\n" })?;
            }
            for entry in self.entries.iter().filter(|entry| &entry.section == section) {
                write_entry(f, entry)?;
            }
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let key = quoted(&entry.key);
    match (&entry.value, &entry.origin) {
        (None, _) => writeln!(f, "# {key}: not set"),
        (Some(value), Origin::Default) => writeln!(f, "{key} = {value} # default"),
        (Some(value), Origin::File { .. }) => writeln!(f, "{key} = {value}"),
        (Some(value), Origin::Environment { variable }) => writeln!(f, "{key} = {value} # {variable}"),
    }
}
