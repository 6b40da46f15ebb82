//! What is remembered of contents, by their SHA-256: verdicts, so that none is scanned twice, and scans that came to
//! nothing, so that none occupies the scanner again and again.
//!
//! It lies in `State` and may vanish. A remembered verdict counts for the very version of engine and signatures that
//! gave it, and only under our own HMAC, so that nobody who can write to `State` makes anything clean. That the bytes
//! are those of the SHA-256 is for the caller to verify where it uses them.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use shared::{
    audit::AuditKey,
    clamav::{EngineVersion, Scan, ScanError, Verdict},
    ids::hex,
    state::State,
};

use crate::mail::model::Digest;

/// How long a verdict is remembered. A clamd.conf that is changed without other signatures counts from then on.
const REMEMBER: Duration = Duration::from_secs(86_400);
/// How long failed scans are held against a content.
const HOLD: Duration = Duration::from_secs(3600);
/// Scans of a content that may run into their deadline: clamd goes on with it for a while.
pub(super) const LATE: u32 = 2;
/// Scans of a content during which the scanner may go away: it goes away for other reasons, too.
const BROKEN: u32 = 5;
/// Times that a count is tried to be written while others count as well.
const TRIES: usize = 5;

/// What keeps verdicts and failures.
#[derive(Debug, Clone)]
pub struct Memory {
    state: Arc<dyn State>,
    key: AuditKey,
}

/// A verdict as it lies in the state.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    len: u64,
    engine: EngineVersion,
    verdict: Verdict,
    tag: String,
}

/// Failed scans of a content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    /// Those that did not end within their deadline.
    pub(super) late: u32,
    /// Those during which the scanner went away.
    pub(super) broken: u32,
}

impl Failures {
    /// The verdict that so many failures come to.
    pub(super) fn verdict(self) -> Option<Verdict> {
        let reason = if self.late >= LATE {
            format!("its scan did not end within its deadline, {} times", self.late)
        } else if self.broken >= BROKEN {
            format!("the scanner went away during its scan, {} times", self.broken)
        } else {
            return None;
        };
        Some(Verdict::Unscannable { reason })
    }

    /// With one failure more, if it may be the content's doing.
    fn and(self, error: &ScanError) -> Option<Self> {
        match error {
            ScanError::Deadline => Some(Self { late: self.late + 1, ..self }),
            ScanError::Unavailable(_) => Some(Self { broken: self.broken + 1, ..self }),
            ScanError::Unreachable(_)
            | ScanError::Unfit(_)
            | ScanError::Garbled
            | ScanError::Scanner(_)
            | ScanError::Source(_) => None,
        }
    }
}

impl Memory {
    /// Keeps things in `state`, under `key`.
    #[must_use]
    pub fn new(state: Arc<dyn State>, key: AuditKey) -> Self {
        Self { state, key }
    }

    /// The verdict on a content by these signatures, if it was given before.
    pub(super) async fn verdict(&self, content: &Digest, engine: &EngineVersion) -> Option<Scan> {
        engine.database.as_ref()?;
        let bytes = self.get(&verdict_key(content)).await?;
        let known: Remembered = serde_json::from_slice(&bytes).ok()?;
        let fields = fields(content, &known.engine, &known.verdict)?;
        let ours = self.key.verifies(PURPOSE, &fields, &known.tag);
        (ours && known.len == content.len && known.engine == *engine && is_definite(&known.verdict))
            .then_some(Scan { verdict: known.verdict, engine: known.engine })
    }

    /// Remembers a verdict. One of a database without a version is not: it may have changed unnoticed.
    pub(super) async fn remember(&self, content: &Digest, scan: &Scan) {
        if !is_definite(&scan.verdict) || scan.engine.database.is_none() {
            return;
        }
        let Some(fields) = fields(content, &scan.engine, &scan.verdict) else { return };
        let tag = self.key.tag(PURPOSE, &fields);
        let known = Remembered { len: content.len, engine: scan.engine.clone(), verdict: scan.verdict.clone(), tag };
        let Ok(json) = serde_json::to_vec(&known) else { return };
        if let Err(error) = self.state.set(&verdict_key(content), &json, REMEMBER).await {
            tracing::warn!(%error, "a verdict could not be remembered");
        }
    }

    /// The failed scans of a content.
    pub(super) async fn failures(&self, content: &Digest) -> Failures {
        let bytes = self.get(&failures_key(content)).await;
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Counts a failed scan of a content, and says how many there are.
    pub(super) async fn count(&self, content: &Digest, error: &ScanError) -> Failures {
        let key = failures_key(content);
        let mut counted = Failures::default();
        for _ in 0..TRIES {
            let before = self.get(&key).await;
            let known = before.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
            let Some(more) = Failures::and(known, error) else { return known };
            counted = more;
            let Ok(json) = serde_json::to_vec(&counted) else { return counted };
            match self.state.compare_and_set(&key, before.as_deref(), Some(&json), HOLD).await {
                Ok(false) => {}
                Ok(true) => return counted,
                Err(error) => {
                    tracing::warn!(%error, "a failed scan could not be counted");
                    return counted;
                }
            }
        }
        counted
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let got = self.state.get(key).await;
        got.inspect_err(|error| tracing::warn!(%error, "what is known of a content cannot be looked up")).ok().flatten()
    }
}

const PURPOSE: &str = "scan verdict";

/// Whether another scan by the same signatures would say the same. An exceeded limit may be one of time.
const fn is_definite(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Clean | Verdict::Infected { .. } | Verdict::Encrypted { .. })
}

fn fields(content: &Digest, engine: &EngineVersion, verdict: &Verdict) -> Option<[Vec<u8>; 4]> {
    let [engine, verdict] = [serde_json::to_vec(engine).ok()?, serde_json::to_vec(verdict).ok()?];
    Some([content.sha256.to_vec(), content.len.to_be_bytes().to_vec(), engine, verdict])
}

fn verdict_key(content: &Digest) -> String {
    format!("scan:verdict:{}", hex(&content.sha256))
}

fn failures_key(content: &Digest) -> String {
    format!("scan:failures:{}", hex(&content.sha256))
}

#[cfg(test)]
mod tests;
