//! Stored attachments under newer signatures: what is known of each, and what changed.
//!
//! An attachment without a record was clean when it was stored, as all are that no policy let pass otherwise. One that was
//! stored as something else stays at least that: clamd calls clean what it does not open, and the walk of containers, which
//! may have said so, is not repeated. Every change
//! is a durable record beside it, with a trail that is linked by our HMAC, so that none can be taken back unnoticed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    audit::{AuditKey, Note, Record},
    blobs::{self, BlobError, Blobs, Condition},
    clamav::{Content, EngineVersion, ScanError, Scanner, Verdict},
    clock::Clock,
    ids::{WorkId, hex},
};

use super::{not_as_parsed, report::rank};
use crate::{content, mail::model::Digest};

/// Where attachments are.
pub const ATTACHMENTS: &str = "attachments/";
/// Where the verdicts on attachments that are not, or no longer, clean are.
pub const VERDICTS: &str = "verdicts/";
/// The name of the event.
pub const CHANGED: &str = "attachment.verdict_changed";
/// The longest record, in bytes.
const LONGEST: u64 = 1 << 20;

/// The key of a stored attachment.
#[must_use]
pub fn attachment_key(mail: &WorkId, sha256: &[u8; 32]) -> String {
    format!("attachments/{mail}/{}", hex(sha256))
}

/// What is known of a stored attachment: the last verdict that was another one than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// The mail that it came with.
    pub mail: WorkId,
    /// Its key.
    pub key: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What it was stored as by a policy; absent where that was clean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<Verdict>,
    /// What it was before; absent where it was stored with this verdict, by a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Verdict>,
    /// What says so.
    pub engine: EngineVersion,
    /// Since when.
    pub at: Timestamp,
    /// Everything that was ever said, each linked to the one before.
    pub audit: Vec<Record>,
}

impl VerdictRecord {
    /// What the attachment was stored as, unless that was clean. The first record of it says so in any case.
    fn first(&self) -> Option<&Verdict> {
        self.stored_as.as_ref().or(self.previous.is_none().then_some(&self.verdict))
    }
}

/// What became of one attachment.
#[derive(Debug)]
pub enum Rescanned {
    /// The verdict is what it was.
    Same,
    /// It is another one.
    Changed(Box<VerdictRecord>),
    /// It is not there any more.
    Gone,
}

/// Why there is no new verdict.
#[derive(Debug, thiserror::Error)]
pub enum RescanError {
    /// The scanner.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The store.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// A key that is none of ours.
    #[error("not an attachment's key")]
    ForeignKey,
}

/// What looks at attachments again.
#[derive(Debug, Clone)]
pub struct Rescan {
    /// Where they are.
    pub blobs: Arc<dyn Blobs>,
    /// What scans them.
    pub scanner: Arc<dyn Scanner>,
    /// Links what is said of them.
    pub key: AuditKey,
    /// Tells when.
    pub clock: Clock,
}

impl Rescan {
    /// Scans one attachment; `known` says whether there is a record of it.
    ///
    /// # Errors
    /// When there is no verdict, or the change could not be recorded.
    pub async fn one(&self, key: &str, known: bool) -> Result<Rescanned, RescanError> {
        let (mail, sha256) = parts(key).ok_or(RescanError::ForeignKey)?;
        let Some(meta) = self.blobs.head(key).await? else { return Ok(Rescanned::Gone) };
        let digest = Digest { len: meta.len, sha256 };
        let content = Content::new(digest.len, async {
            let object = self.blobs.get(key, None, Some(&meta.etag)).await?;
            Ok(content::verified(object.body, digest))
        });
        let (verdict, engine) = match self.scanner.scan(content).await {
            Ok(scan) => (scan.verdict, scan.engine),
            Err(ScanError::Source(BlobError::NotFound)) => return Ok(Rescanned::Gone),
            Err(ScanError::Source(error)) => (not_as_parsed(error)?, self.scanner.engine().await?),
            Err(error) => return Err(error.into()),
        };
        let before = if known { Some(self.read(&record_key(key)).await?) } else { None };
        let stored_as = before.as_ref().and_then(VerdictRecord::first).cloned();
        let previous = before.as_ref().map_or(Verdict::Clean, |record| record.verdict.clone());
        let verdict = standing(stored_as.as_ref(), verdict);
        if verdict == previous {
            return Ok(Rescanned::Same);
        }
        let audit = before.map(|record| record.audit).unwrap_or_default();
        let record = VerdictRecord {
            mail,
            key: key.to_owned(),
            verdict,
            stored_as,
            previous: Some(previous),
            engine,
            at: self.clock.now(),
            audit,
        };
        Ok(Rescanned::Changed(Box::new(put(&*self.blobs, &self.key, record).await?)))
    }

    async fn read(&self, key: &str) -> Result<VerdictRecord, BlobError> {
        let (_, bytes) = blobs::read(&*self.blobs, key, None, LONGEST).await?;
        serde_json::from_slice(&bytes).map_err(|_| BlobError::Damaged("not a record of a verdict"))
    }
}

/// What stands of an attachment that was stored as something else than clean, and is called this now: the worse of both.
/// Another word for the same says nothing new, but that of another signature does.
fn standing(stored_as: Option<&Verdict>, now: Verdict) -> Verdict {
    match stored_as {
        Some(Verdict::Infected { .. }) if matches!(now, Verdict::Infected { .. }) => now,
        Some(stored) if rank(stored) >= rank(&now) => stored.clone(),
        _ => now,
    }
}

/// Records what is said of an attachment.
///
/// # Errors
/// When the store refuses.
pub async fn put(blobs: &dyn Blobs, key: &AuditKey, mut record: VerdictRecord) -> Result<VerdictRecord, BlobError> {
    let note = Note::new("verdict")
        .with("verdict", record.verdict.name())
        .with("detail", record.verdict.detail())
        .with("previous", record.previous.as_ref().map_or("", Verdict::name))
        .with("sha256", record.key.rsplit('/').next().unwrap_or_default())
        .with("database", record.engine.database.as_deref().unwrap_or("unknown"));
    key.append(&mut record.audit, &record.mail, record.at, "rescan", &note);
    let json = serde_json::to_vec(&record).map_err(|_| BlobError::Damaged("a record without a JSON form"))?;
    blobs.put(&record_key(&record.key), json.into(), Condition::Always).await?;
    Ok(record)
}

/// The key of the record on an attachment.
#[must_use]
pub fn record_key(attachment: &str) -> String {
    format!("verdicts/{}", attachment.strip_prefix(ATTACHMENTS).unwrap_or(attachment))
}

/// The mail and the SHA-256 in an attachment's key.
fn parts(key: &str) -> Option<(WorkId, [u8; 32])> {
    let (mail, sha256) = key.strip_prefix(ATTACHMENTS)?.split_once('/')?;
    Some((WorkId::new(mail).ok()?, crate::mail::hex32::decode(sha256)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_as_something_else_than_clean_stays_at_least_that() {
        let text = |text: &str| text.to_owned();
        let infected = |name: &str| Verdict::Infected { signature: text(name) };
        let encrypted = |reason: &str| Verdict::Encrypted { reason: text(reason) };
        let limits = |reason: &str| Verdict::LimitsExceeded { reason: text(reason) };
        for (stored_as, now, stands) in [
            (None, Verdict::Clean, Verdict::Clean),
            (None, infected("a"), infected("a")),
            (None, encrypted("zip"), encrypted("zip")),
            (Some(encrypted("docx")), Verdict::Clean, encrypted("docx")),
            (Some(encrypted("docx")), infected("a"), infected("a")),
            (Some(encrypted("zip")), encrypted("Heuristics.Encrypted.Zip"), encrypted("zip")),
            (Some(limits("deep")), encrypted("Heuristics.Encrypted.Zip"), limits("deep")),
            (Some(encrypted("zip")), limits("files"), limits("files")),
            (Some(infected("a")), infected("b"), infected("b")),
            (Some(infected("a")), Verdict::Clean, infected("a")),
        ] {
            assert_eq!(standing(stored_as.as_ref(), now.clone()), stands, "{stored_as:?} {now:?}");
        }
    }
}
