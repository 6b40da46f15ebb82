//! What was decided about a piece of work: records that are linked by a keyed hash.
//!
//! Each record carries its parent's hash and an HMAC-SHA256 over itself, so that a record can be neither
//! changed, moved nor taken out unnoticed by anyone without the key. Records ride in the envelope; a fan-out
//! gives every branch the records so far, so a repeat is possible and a gap is not. They hold no personal data.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::ids::{WorkId, hex};

/// What a stage adds to the trail: a word for what it did, and details from our own vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Such as `parsed`, `scanned`, `routed`.
    pub what: &'static str,
    /// Such as `verdict` → `clean`. Never a value from the mail.
    pub detail: BTreeMap<&'static str, String>,
}

impl Note {
    /// A note without details.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, detail: BTreeMap::new() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.detail.insert(key, value.to_string());
        self
    }
}

/// A link of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    /// The stage that wrote it.
    pub stage: String,
    /// What was done.
    pub what: String,
    /// Details.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
    /// The hash of the record before it; empty for the first.
    pub parent: String,
    /// The hash of this record.
    pub hash: String,
}

/// The key that links records.
#[derive(Debug, Clone)]
pub struct AuditKey(SecretSlice<u8>);

/// A trail that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {0} does not continue the trail")]
pub struct Broken(pub usize);

impl AuditKey {
    /// Takes the key's bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// A key for another purpose, from which this one cannot be told.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Vec<u8> {
        // HMAC takes keys of any length (RFC 2104 §2).
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else { return Vec::new() };
        mac.update(b"derived key\0");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// Continues `trail` with a note.
    pub fn append(&self, trail: &mut Vec<Record>, work: &WorkId, at: Timestamp, stage: &str, note: &Note) {
        let detail = note.detail.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let parent = trail.last().map(|last| last.hash.clone()).unwrap_or_default();
        let mut record =
            Record { at, stage: stage.to_owned(), what: note.what.to_owned(), detail, parent, hash: String::new() };
        record.hash = self.hash(work, &record);
        trail.push(record);
    }

    /// Checks a whole trail.
    ///
    /// # Errors
    /// The position of the first record that does not follow from the one before it.
    pub fn verify(&self, trail: &[Record], work: &WorkId) -> Result<(), Broken> {
        let mut parent = "";
        for (i, record) in trail.iter().enumerate() {
            if record.parent != parent || record.hash != self.hash(work, record) {
                return Err(Broken(i));
            }
            parent = &record.hash;
        }
        Ok(())
    }

    /// Marks facts as ours, for one purpose: whoever lacks the key cannot make such a tag.
    #[must_use]
    pub fn tag(&self, purpose: &str, fields: &[impl AsRef<[u8]>]) -> String {
        self.mac(purpose, fields).map(|mac| hex(&mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Whether a tag is ours, for that purpose and of those facts.
    #[must_use]
    pub fn verifies(&self, purpose: &str, fields: &[impl AsRef<[u8]>], tag: &str) -> bool {
        let bytes: Option<Vec<u8>> = (0..tag.len()).step_by(2).map(|i| byte(tag.get(i..i + 2)?)).collect();
        self.mac(purpose, fields).zip(bytes).is_some_and(|(mac, bytes)| mac.verify_slice(&bytes).is_ok())
    }

    /// `None` never: HMAC takes keys of any length (RFC 2104 §2).
    fn mac(&self, purpose: &str, fields: &[impl AsRef<[u8]>]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        // No record begins so: its first length is that of a mail id.
        mac.update(&[0xff; 8]);
        for field in std::iter::once(purpose.as_bytes()).chain(fields.iter().map(AsRef::as_ref)) {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        Some(mac)
    }

    fn hash(&self, work: &WorkId, record: &Record) -> String {
        // HMAC takes keys of any length (RFC 2104 §2).
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else { return String::new() };
        let at = record.at.to_string();
        let fields = [work.as_str(), &at, &record.stage, &record.what, &record.parent];
        let details = record.detail.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        for field in fields.into_iter().chain(details) {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }
}

/// A byte of two hex digits.
fn byte(digits: &str) -> Option<u8> {
    let hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_for_its_purpose_its_facts_and_its_key_alone() {
        let key = AuditKey::new(vec![7; 32]);
        let tag = key.tag("p", &["ab", "c"]);
        assert_eq!(tag.len(), 64);
        assert!(key.verifies("p", &["ab", "c"], &tag));
        for (key, purpose, fields, tag) in [
            (&key, "q", ["ab", "c"], tag.as_str()),
            (&key, "p", ["a", "bc"], &tag),
            (&key, "p", ["ab", "d"], &tag),
            (&AuditKey::new(vec![8; 32]), "p", ["ab", "c"], &tag),
            (&key, "p", ["ab", "c"], ""),
            (&key, "p", ["ab", "c"], &tag[..62]),
            (&key, "p", ["ab", "c"], &"+0".repeat(32)),
            (&key, "p", ["ab", "c"], &"é".repeat(32)),
        ] {
            assert!(!key.verifies(purpose, &fields, tag), "{purpose} {fields:?} {tag}");
        }
    }

    fn trail(key: &AuditKey, work: &WorkId) -> Vec<Record> {
        let mut trail = Vec::new();
        for what in ["parsed", "scanned", "routed"] {
            key.append(&mut trail, work, Timestamp::UNIX_EPOCH, "stage", &Note::new(what).with("n", 1));
        }
        trail
    }

    #[test]
    fn a_changed_moved_missing_or_foreign_record_is_named() {
        let (key, work) = (AuditKey::new(vec![7; 32]), WorkId::new("w").unwrap());
        let good = trail(&key, &work);
        assert_eq!(key.verify(&good, &work), Ok(()));
        let broken = |change: fn(&mut Vec<Record>)| {
            let mut trail = good.clone();
            change(&mut trail);
            key.verify(&trail, &work).map_err(|b| b.0)
        };
        assert_eq!(broken(|t| t[1].what.push('!')), Err(1));
        assert_eq!(broken(|t| t[2].detail.clear()), Err(2));
        assert_eq!(broken(|t| t.swap(0, 1)), Err(0));
        assert_eq!(broken(|t| drop(t.remove(1))), Err(1));
        assert_eq!(key.verify(&good, &WorkId::new("x").unwrap()), Err(Broken(0)));
        assert_eq!(AuditKey::new(vec![8; 32]).verify(&good, &work), Err(Broken(0)));
    }
}
