//! The committed mails and how each of them has to end.

use std::{fs, path::PathBuf};

use crate::mails::Mail;

/// How a fixture has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// At its destination.
    Delivered,
    /// In quarantine, for a reason that holds this text.
    Quarantined(&'static str),
}

/// A fixture: its file is `fixtures/NAME.eml`.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// How it has to end.
    pub expect: Expect,
}

use Expect::{Delivered, Quarantined};

const fn fixture(name: &'static str, about: &'static str, expect: Expect) -> Fixture {
    Fixture { name, about, expect }
}

/// Every fixture.
pub const FIXTURES: [Fixture; 20] = [
    fixture("plain", "a plain text", Delivered),
    fixture("newsletter", "HTML with scripts and trackers", Delivered),
    fixture("pdf", "a PDF attached", Delivered),
    fixture("nested", "a forwarded mail inside", Delivered),
    fixture("japanese", "ISO-2022-JP", Delivered),
    fixture("windows-1252", "windows-1252, 8 bit", Delivered),
    fixture("command-plus", "a command by plus-address", Delivered),
    fixture("command-subject", "a command by subject", Delivered),
    fixture("command-body", "a command by hashtag", Delivered),
    fixture("eicar", "the EICAR test virus attached", Quarantined("infected")),
    fixture("eicar-zip", "EICAR in a zip", Quarantined("infected")),
    fixture("boundary-missing", "its boundary never appears", Quarantined("boundary_damaged")),
    fixture("content-type-twice", "two Content-Type fields", Quarantined("parameter_conflict")),
    fixture("inline-image", "an image shown within", Delivered),
    fixture("invitation", "a calendar invitation", Delivered),
    fixture("quoted-printable", "very long lines", Delivered),
    fixture("base64-stray", "a stray byte in base64", Delivered),
    fixture("bidi-name", "a file name that reads backwards", Delivered),
    fixture("empty-body", "no body", Delivered),
    fixture("html-only", "HTML alone", Delivered),
];

impl Fixture {
    /// The fixture by its name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        *FIXTURES.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no fixture {name}"))
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{}.eml", self.name))
    }

    /// The mail.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn mail(&self) -> Mail {
        Mail { name: self.name.into(), raw: fs::read(self.path()).unwrap(), marker: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_and_every_listed_file_is_a_mail_in_crlf_without_eicar_in_the_clear() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let files = fs::read_dir(folder).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok());
        assert_eq!(files.filter(|f| f.ends_with(".eml")).count(), FIXTURES.len());
        for fixture in FIXTURES {
            let raw = fixture.mail().raw;
            let line_feeds = raw.iter().filter(|b| **b == b'\n').count();
            let crlf = raw.windows(2).filter(|w| w == b"\r\n").count();
            assert_eq!(line_feeds, crlf, "{}", fixture.name);
            assert!(!raw.windows(14).any(|w| w == b"EICAR-STANDARD"), "{}", fixture.name);
        }
    }
}
