//! Scans a whole mail: the raw bytes and every decoded part, by a scanner that has proven that it scans.

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

use crate::{
    content::{NOT_AS_PARSED, RawMail},
    mail::model::{ParsedMail, Part},
};

/// Streams of one mail that are scanned at once.
const AT_ONCE: usize = 4;

/// A scanner and how it is used.
#[derive(Debug)]
pub struct Scanning {
    scanner: Arc<dyn Scanner>,
    deadline: Duration,
    /// Streams at once, below what the scanner works on at once: one that waits in there would wait on its deadline.
    slots: Semaphore,
    /// The version that last proved itself.
    proven: Mutex<Option<EngineVersion>>,
}

/// What the scanner says of a mail.
#[derive(Debug)]
pub struct Scanned {
    /// Which engine and signatures said so.
    pub engine: EngineVersion,
    /// The worst verdict of the raw mail and all its parts.
    pub verdict: Verdict,
    /// What it is about: `raw` or `part N` (from 0). Empty for a clean mail.
    pub place: String,
}

impl Scanning {
    /// Uses `scanner` for at most `concurrency` streams at once, each for at most `deadline`.
    #[must_use]
    pub fn new(scanner: Arc<dyn Scanner>, deadline: Duration, concurrency: usize) -> Self {
        Self { scanner, deadline, slots: Semaphore::new(concurrency), proven: Mutex::default() }
    }

    /// Scans the raw mail and all its parts.
    ///
    /// # Errors
    /// When something of it could not be scanned: there is no verdict then.
    pub async fn scan(&self, raw: &RawMail, mail: &ParsedMail) -> Result<Scanned, ScanError> {
        let engine = self.proven_engine().await?;
        let (verdict, place) = self.verdict(raw, mail).await?;
        Ok(Scanned { engine, verdict, place })
    }

    /// What is said of a mail whose scan runs into its deadline again and again: it is not clean.
    ///
    /// # Errors
    /// When the scanner does not answer at all.
    pub async fn gave_up(&self) -> Result<Scanned, ScanError> {
        let engine = self.scanner.version(self.deadline).await?;
        let verdict = Verdict::Unscannable { reason: ScanError::Deadline.to_string() };
        Ok(Scanned { engine, verdict, place: "raw or a part".to_owned() })
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

    async fn verdict(&self, raw: &RawMail, mail: &ParsedMail) -> Result<(Verdict, String), ScanError> {
        let whole = self.one("raw", raw.whole(mail.raw).await).await?;
        if matches!(whole, Verdict::Infected { .. }) {
            return Ok((whole, "raw".to_owned()));
        }
        let scans: Vec<BoxFuture<'_, _>> =
            mail.parts.iter().enumerate().map(|(i, part)| self.part(raw, i, part).boxed()).collect();
        let parts: Vec<(Verdict, String)> = stream::iter(scans).buffer_unordered(AT_ONCE).try_collect().await?;
        let worst = parts
            .into_iter()
            .fold((whole, "raw".to_owned()), |worst, next| if rank(&next.0) > rank(&worst.0) { next } else { worst });
        Ok(if worst.0 == Verdict::Clean { (Verdict::Clean, String::new()) } else { worst })
    }

    async fn part(&self, raw: &RawMail, i: usize, part: &Part) -> Result<(Verdict, String), ScanError> {
        Ok((self.one("part", raw.part(part).await).await?, format!("part {i}")))
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
            Err(ScanError::Source(BlobError::Damaged(NOT_AS_PARSED))) => {
                Verdict::Unscannable { reason: NOT_AS_PARSED.to_owned() }
            }
            Err(error) => return Err(error),
        };
        metric::scanned(content, verdict.name());
        Ok(verdict)
    }
}

/// Which verdict stands for the mail when its parts differ.
const fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Unscannable { .. } => 1,
        Verdict::Encrypted { .. } => 2,
        Verdict::LimitsExceeded { .. } => 3,
        Verdict::Infected { .. } => 4,
    }
}
