//! Scans a whole mail: the raw bytes, every decoded part and what is in the containers among them.
//!
//! There is a report only if everything was looked at: what could not be scanned now is an error, never a verdict.

mod policy;
mod report;
mod walk;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use shared::{
    blobs::{BlobError, ByteStream},
    clamav::{EngineVersion, ScanError, Scanner, Verdict, selftest::self_test},
    telemetry::metric,
};
use tokio::sync::Semaphore;

pub use policy::{Action, Handling, Policies, VerdictPolicy};
pub use report::{Item, Place, ScanReport, StoredPart};
pub use walk::{Found, Walk, WalkError};

use crate::{
    content::{NOT_AS_PARSED, RawMail},
    mail::model::{ParsedMail, Part, Severity},
};

/// Streams of one mail that are scanned at once.
const AT_ONCE: usize = 4;

/// When the raw mail is scanned beside its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanRaw {
    /// Always.
    Always,
    /// Where the parser noticed damage: its reading of the mail may not be the only one.
    Findings,
    /// Never.
    Never,
}

impl ScanRaw {
    fn is_due(self, mail: &ParsedMail) -> bool {
        match self {
            Self::Always => true,
            Self::Findings => mail.findings.iter().any(|finding| finding.severity > Severity::Info),
            Self::Never => false,
        }
    }
}

/// A scanner and how it is used.
#[derive(Debug)]
pub struct Scanning {
    scanner: Arc<dyn Scanner>,
    walk: Option<Arc<dyn Walk>>,
    raw: ScanRaw,
    deadline: Duration,
    /// Streams at once, below what the scanner works on at once: one that waits in there would wait on its deadline.
    slots: Semaphore,
    /// The version that last proved itself.
    proven: Mutex<Option<EngineVersion>>,
}

impl Scanning {
    /// Uses `scanner` for at most `concurrency` streams at once, each for at most `deadline`.
    #[must_use]
    pub fn new(scanner: Arc<dyn Scanner>, raw: ScanRaw, deadline: Duration, concurrency: usize) -> Self {
        Self { scanner, walk: None, raw, deadline, slots: Semaphore::new(concurrency), proven: Mutex::default() }
    }

    /// Looks into containers as well.
    #[must_use]
    pub fn walking(self, walk: Arc<dyn Walk>) -> Self {
        Self { walk: Some(walk), ..self }
    }

    /// Scans the raw mail and all its parts.
    ///
    /// # Errors
    /// When something of it could not be scanned: there is no verdict then.
    pub async fn scan(&self, raw: &RawMail, mail: &ParsedMail) -> Result<ScanReport, ScanError> {
        let engine = self.proven_engine().await?;
        let mut scans: Vec<BoxFuture<'_, Result<Vec<Item>, ScanError>>> = Vec::new();
        if self.raw.is_due(mail) {
            scans.push(self.whole(raw, mail).boxed());
        }
        for (i, part) in mail.parts.iter().enumerate() {
            scans.push(self.part(raw, i, part).boxed());
            if let Some(walk) = &self.walk {
                scans.push(walked(&**walk, raw, i, part).boxed());
            }
        }
        let found: Vec<Vec<Item>> = stream::iter(scans).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(ScanReport::new(engine, found.into_iter().flatten().collect()))
    }

    /// What is said of a mail whose scan runs into its deadline again and again: it is not clean.
    ///
    /// # Errors
    /// When the scanner does not answer at all.
    pub async fn gave_up(&self) -> Result<ScanReport, ScanError> {
        let engine = self.scanner.version(self.deadline).await?;
        let verdict = Verdict::Unscannable { reason: ScanError::Deadline.to_string() };
        Ok(ScanReport::new(engine, vec![Item { place: Place::Raw, verdict }]))
    }

    /// The engine's version. One that is new has to find the test signature and to let harmless bytes pass first: a
    /// scanner without signatures calls everything clean.
    async fn proven_engine(&self) -> Result<EngineVersion, ScanError> {
        let engine = self.scanner.version(self.deadline).await?;
        if self.proven().as_ref() != Some(&engine) {
            self_test(&*self.scanner, self.deadline).await.map_err(|error| ScanError::Unfit(error.to_string()))?;
            *self.proven() = Some(engine.clone());
        }
        Ok(engine)
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, Option<EngineVersion>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn whole(&self, raw: &RawMail, mail: &ParsedMail) -> Result<Vec<Item>, ScanError> {
        let verdict = self.one("raw", raw.whole(mail.raw).await).await?;
        Ok(vec![Item { place: Place::Raw, verdict }])
    }

    async fn part(&self, raw: &RawMail, i: usize, part: &Part) -> Result<Vec<Item>, ScanError> {
        let verdict = self.one("part", raw.part(part).await).await?;
        Ok(vec![Item { place: Place::Part { part: i }, verdict }])
    }

    async fn one(&self, content: &'static str, bytes: Result<ByteStream, BlobError>) -> Result<Verdict, ScanError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let scanned = match bytes {
            Ok(bytes) => self.scanner.scan(bytes, self.deadline).await,
            Err(error) => Err(error.into()),
        };
        let verdict = match scanned {
            Ok(verdict) => verdict,
            Err(ScanError::Source(error)) => not_as_parsed(error)?,
            Err(error) => return Err(error),
        };
        metric::scanned(content, verdict.name());
        Ok(verdict)
    }
}

/// What the walk finds in a part.
async fn walked(walk: &dyn Walk, raw: &RawMail, i: usize, part: &Part) -> Result<Vec<Item>, ScanError> {
    let found = match walk.walk(raw, part).await {
        Ok(found) => found,
        Err(WalkError::Unavailable(why)) => return Err(ScanError::Unreachable(why)),
        Err(WalkError::Source(error)) => vec![Found { member: None, verdict: not_as_parsed(error)? }],
    };
    for found in &found {
        metric::scanned("walk", found.verdict.name());
    }
    let place = |member| match member {
        Some(path) => Place::Member { part: i, path },
        None => Place::Part { part: i },
    };
    Ok(found.into_iter().map(|Found { member, verdict }| Item { place: place(member), verdict }).collect())
}

/// Bytes that are not those that the parse saw are nothing that can be scanned.
fn not_as_parsed(error: BlobError) -> Result<Verdict, BlobError> {
    match error {
        BlobError::Damaged(NOT_AS_PARSED) => Ok(Verdict::Unscannable { reason: NOT_AS_PARSED.to_owned() }),
        error => Err(error),
    }
}
