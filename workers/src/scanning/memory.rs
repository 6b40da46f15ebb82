//! What is remembered of contents, by their SHA-256: verdicts, so that none is scanned twice, and scans that came to
//! nothing, so that none occupies the scanner again and again.
//!
//! It lies in `State` and may vanish. A remembered verdict counts for the very version of engine and signatures that
//! gave it, and everything only under our own HMAC, so that nobody who can write to `State` makes anything clean, or
//! spares it its scan. That the bytes are those of the SHA-256 is for the caller to verify where it uses them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared::{
    audit::AuditKey,
    clamav::{EngineVersion, Scan, ScanError, Verdict},
    clock::{Clock, later},
    ids::hex,
    state::State,
};

use crate::{mail::model::Digest, sealed};

/// How long a verdict is remembered. A clamd.conf that is changed without other signatures counts from then on.
const REMEMBER: Duration = Duration::from_secs(86_400);
/// How long failed scans are held against a content.
const HOLD: Duration = Duration::from_secs(3600);
/// Scans of a content that may take too long: its deadline, or clamd's `MaxScanTime`.
pub(super) const LATE: u32 = 2;
/// Scans of a content during which the scanner may go away: it goes away for other reasons, too.
const BROKEN: u32 = 5;
/// How long after one that was counted others are the same incident: a clamd that dies ends every scan that it runs, and
/// one content may be all of them.
const INCIDENT: Duration = Duration::from_secs(30);
/// Times that a count is tried to be written while others count as well.
const TRIES: usize = 5;

/// What keeps verdicts and failures.
#[derive(Debug, Clone)]
pub struct Memory {
    state: Arc<dyn State>,
    key: AuditKey,
    clock: Clock,
}

/// A verdict as it lies in the state.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    len: u64,
    engine: EngineVersion,
    verdict: Verdict,
}

/// A scan that came to nothing and may have done so because of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// It did not end within its deadline: clamd goes on with it for a while.
    Late,
    /// clamd gave it up, after `MaxScanTime`.
    GivenUp,
    /// The scanner went away during it.
    Broken,
}

impl Mishap {
    /// What a failed scan says of its content, if it says anything.
    pub(super) const fn of_error(error: &ScanError) -> Option<Self> {
        match error {
            ScanError::Deadline => Some(Self::Late),
            ScanError::Unavailable(_) => Some(Self::Broken),
            ScanError::Unreachable(_)
            | ScanError::Unfit(_)
            | ScanError::Garbled
            | ScanError::Scanner(_)
            | ScanError::Source(_) => None,
        }
    }

    /// The same of a verdict.
    pub(super) fn of_verdict(verdict: &Verdict) -> Option<Self> {
        matches!(verdict, Verdict::LimitsExceeded { reason } if reason == MAX_SCAN_TIME).then_some(Self::GivenUp)
    }
}

/// Scans of a content that came to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    late: u32,
    given_up: u32,
    broken: u32,
    /// When one was last counted.
    at: Option<Timestamp>,
}

impl Failures {
    /// The verdict that so many failures come to.
    pub(super) fn verdict(self) -> Option<Verdict> {
        if self.late >= LATE {
            let reason = format!("its scan did not end within its deadline, {} times", self.late);
            Some(Verdict::Unscannable { reason })
        } else if self.late + self.given_up >= LATE {
            Some(Verdict::LimitsExceeded { reason: MAX_SCAN_TIME.to_owned() })
        } else if self.broken >= BROKEN {
            let reason = format!("the scanner went away during its scan, {} times", self.broken);
            Some(Verdict::Unscannable { reason })
        } else {
            None
        }
    }

    /// Whether another scan would take too long.
    pub(super) const fn is_late(self) -> bool {
        self.late + self.given_up >= LATE
    }

    /// With one more, unless it belongs to the incident that was counted last.
    fn and(self, mishap: Mishap, now: Timestamp) -> Option<Self> {
        if self.at.is_some_and(|at| now < later(at, INCIDENT)) {
            return None;
        }
        let counted = Self { at: Some(now), ..self };
        Some(match mishap {
            Mishap::Late => Self { late: self.late + 1, ..counted },
            Mishap::GivenUp => Self { given_up: self.given_up + 1, ..counted },
            Mishap::Broken => Self { broken: self.broken + 1, ..counted },
        })
    }
}

impl Memory {
    /// Keeps things in `state`, under `key`.
    #[must_use]
    pub fn new(state: Arc<dyn State>, key: AuditKey, clock: Clock) -> Self {
        Self { state, key, clock }
    }

    /// The verdict on a content by these signatures, if it was given before.
    pub(super) async fn verdict(&self, content: &Digest, engine: &EngineVersion) -> Option<Scan> {
        engine.database.as_ref()?;
        let name = verdict_key(content);
        let known: Remembered = self.read(&name, &self.get(&name).await?)?;
        (known.len == content.len && known.engine == *engine && is_definite(&known.verdict))
            .then_some(Scan { verdict: known.verdict, engine: known.engine })
    }

    /// Remembers a verdict. One of a database without a version is not: it may have changed unnoticed.
    pub(super) async fn remember(&self, content: &Digest, scan: &Scan) {
        if !is_definite(&scan.verdict) || scan.engine.database.is_none() {
            return;
        }
        let known = Remembered { len: content.len, engine: scan.engine.clone(), verdict: scan.verdict.clone() };
        let name = verdict_key(content);
        let Some(sealed) = self.sealed(&name, &known) else { return };
        if let Err(error) = self.state.set(&name, &sealed, REMEMBER).await {
            tracing::warn!(%error, "a verdict could not be remembered");
        }
    }

    /// The failed scans of a content.
    pub(super) async fn failures(&self, content: &Digest) -> Failures {
        let name = failures_key(content);
        self.get(&name).await.and_then(|bytes| self.read(&name, &bytes)).unwrap_or_default()
    }

    /// Counts a failed scan of a content, and says how many there are.
    pub(super) async fn count(&self, content: &Digest, mishap: Mishap) -> Failures {
        let name = failures_key(content);
        let mut counted = Failures::default();
        for _ in 0..TRIES {
            let before = self.get(&name).await;
            let known: Failures = before.as_ref().and_then(|bytes| self.read(&name, bytes)).unwrap_or_default();
            let Some(more) = known.and(mishap, self.clock.now()) else { return known };
            counted = more;
            let Some(sealed) = self.sealed(&name, &counted) else { return counted };
            match self.state.compare_and_set(&name, before.as_deref(), Some(&sealed), HOLD).await {
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

    fn sealed(&self, name: &str, known: &impl Serialize) -> Option<Vec<u8>> {
        Some(sealed::seal(&self.key, PURPOSE, name, &serde_json::to_vec(known).ok()?))
    }

    fn read<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Option<T> {
        serde_json::from_slice(sealed::open(&self.key, PURPOSE, name, bytes)?).ok()
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let got = self.state.get(key).await;
        got.inspect_err(|error| tracing::warn!(%error, "what is known of a content cannot be looked up")).ok().flatten()
    }
}

const PURPOSE: &str = "scan memory";
/// What clamd calls it (`MaxScanTime` in clamd.conf).
const MAX_SCAN_TIME: &str = "Heuristics.Limits.Exceeded.MaxScanTime";

/// Whether another scan by the same signatures would say the same. An exceeded limit may be one of time.
const fn is_definite(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Clean | Verdict::Infected { .. } | Verdict::Encrypted { .. })
}

fn verdict_key(content: &Digest) -> String {
    format!("scan:verdict:{}", hex(&content.sha256))
}

fn failures_key(content: &Digest) -> String {
    format!("scan:failures:{}", hex(&content.sha256))
}

#[cfg(test)]
mod tests;
