//! Scans a whole mail: the raw bytes, every decoded part and what is in the containers among them.
//!
//! There is a report only if everything was looked at: what could not be scanned now is an error, never a verdict.

mod containers;
mod members;
mod memory;
mod policy;
mod report;
pub mod rescan;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use shared::{
    blobs::BlobError,
    clamav::{Content, EngineVersion, Scan, ScanError, Scanner, Verdict},
    telemetry::metric,
};

pub use containers::Containers;
pub use memory::Memory;
use memory::{Failures, Mishap};
pub use policy::{Action, Handling, Policies, VerdictPolicy};
pub use report::{Item, Noted, Place, ScanReport, StoredPart};
pub use walk::{Found, Inside, Walk, WalkError};

use crate::{
    containers::Noticed,
    content::{NOT_AS_PARSED, RawMail},
    mail::model::{Digest, Finding, ParsedMail, Part, PartRole, Severity},
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

/// Which try at a mail it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// The first one.
    First,
    /// There was one before, whatever became of it.
    Another,
}

/// What scans, and how.
#[derive(Debug)]
pub struct Scanning {
    scanner: Arc<dyn Scanner>,
    walk: Option<Arc<dyn Walk>>,
    raw: ScanRaw,
    memory: Option<Memory>,
}

/// A content and how it is known.
struct Subject<'a> {
    /// For the metric.
    kind: &'static str,
    digest: &'a Digest,
    content: Content<'a>,
    /// Whether its bytes are verified again before they are used: then a verdict on its SHA-256 holds for them.
    verified_later: bool,
    /// What is known of scans of it that came to nothing.
    failures: Failures,
}

/// What a look at something gave.
struct Look {
    items: Vec<Item>,
    findings: Vec<Finding>,
    engine: EngineVersion,
}

type Looked = Result<Look, ScanError>;

impl Scanning {
    /// Uses a scanner.
    #[must_use]
    pub fn new(scanner: Arc<dyn Scanner>, raw: ScanRaw) -> Self {
        Self { scanner, walk: None, raw, memory: None }
    }

    /// Looks into containers as well.
    #[must_use]
    pub fn walking(self, walk: Arc<dyn Walk>) -> Self {
        Self { walk: Some(walk), ..self }
    }

    /// Remembers verdicts and failures.
    #[must_use]
    pub fn remembering(self, memory: Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Scans the raw mail and all its parts.
    ///
    /// # Errors
    /// When something of it could not be scanned: there is no verdict then.
    pub async fn scan(&self, raw: &RawMail, mail: &ParsedMail, which: Try) -> Result<ScanReport, ScanError> {
        let newest = self.scanner.engine().await?;
        let failures = self.failures(mail).await;
        let mut looks: Vec<BoxFuture<'_, Looked>> = Vec::new();
        if self.raw.is_due(mail) {
            looks.push(self.whole(raw, mail, &failures, &newest, which).boxed());
        }
        for ((i, part), failures) in mail.parts.iter().enumerate().zip(&failures) {
            looks.push(self.part_and_members(raw, mail, (i, part), *failures, &newest, which).boxed());
        }
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
        let (mut items, mut findings, mut oldest) = (Vec::new(), Vec::new(), None::<EngineVersion>);
        for look in looked {
            items.extend(look.items);
            findings.extend(look.findings);
            oldest = oldest.into_iter().chain([look.engine]).min_by_key(EngineVersion::age);
        }
        let mut report = ScanReport::new(oldest.unwrap_or(newest), items);
        report.findings = members::bounded(findings);
        Ok(report)
    }

    /// What is known of scans of each part that came to nothing.
    async fn failures(&self, mail: &ParsedMail) -> Vec<Failures> {
        let known: Vec<BoxFuture<'_, Failures>> =
            mail.parts.iter().map(|part| self.known(&part.content).boxed()).collect();
        stream::iter(known).buffered(AT_ONCE).collect().await
    }

    async fn known(&self, content: &Digest) -> Failures {
        match &self.memory {
            Some(memory) => memory.failures(content).await,
            None => Failures::default(),
        }
    }

    async fn whole(
        &self,
        raw: &RawMail,
        mail: &ParsedMail,
        parts: &[Failures],
        newest: &EngineVersion,
        which: Try,
    ) -> Looked {
        let content = Content::new(mail.raw.len, raw.whole(mail.raw));
        // What takes too long by itself takes too long in the mail. Else only a mail that came before is known.
        let failures = match (parts.iter().find(|failures| failures.is_late()), which) {
            (Some(late), _) => *late,
            (None, Try::Another) => self.known(&mail.raw).await,
            (None, Try::First) => Failures::default(),
        };
        let subject = Subject { kind: "raw", digest: &mail.raw, content, verified_later: false, failures };
        let Scan { verdict, engine } = self.one(subject, newest, which).await?;
        Ok(Look { items: vec![Item { place: Place::Raw, verdict }], findings: Vec::new(), engine })
    }

    /// Scans a part, and looks into it unless it is known to be infected.
    async fn part_and_members(
        &self,
        raw: &RawMail,
        mail: &ParsedMail,
        (i, part): (usize, &Part),
        failures: Failures,
        newest: &EngineVersion,
        which: Try,
    ) -> Looked {
        // What is stored is verified by the put. A body is not: its text came from the parse.
        let verified_later = part.role != PartRole::Body;
        let content = Content::new(part.content.len, raw.part(part));
        let subject = Subject { kind: "part", digest: &part.content, content, verified_later, failures };
        let Scan { verdict, engine } = self.one(subject, newest, which).await?;
        let is_infected = matches!(verdict, Verdict::Infected { .. });
        let (mut items, mut findings) = (vec![Item { place: Place::Part { part: i }, verdict }], Vec::new());
        if let Some(walk) = self.walk.as_ref().filter(|_| !is_infected) {
            let (found, noticed) = walked(&**walk, raw, i, part).await?;
            items.extend(found);
            findings = members::findings(&noticed, mail.number(i));
        }
        Ok(Look { items, findings, engine })
    }

    /// Scans one content, unless what is known of it says what there is to say.
    async fn one(&self, subject: Subject<'_>, newest: &EngineVersion, which: Try) -> Result<Scan, ScanError> {
        let Subject { kind, digest, content, verified_later, failures } = subject;
        let memory = self.memory.as_ref();
        // A try that failed may have failed because the bytes turned out to be others.
        if let Some(memory) = memory.filter(|_| verified_later && which == Try::First)
            && let Some(known) = memory.verdict(digest, newest).await
        {
            metric::scanned("remembered", known.verdict.name());
            return Ok(known);
        }
        if let Some(verdict) = failures.verdict() {
            metric::scanned(kind, verdict.name());
            return Ok(Scan { verdict, engine: newest.clone() });
        }
        let scan = match self.scanner.scan(content).await {
            Ok(scan) => scan,
            Err(ScanError::Source(error)) => Scan { verdict: not_as_parsed(error)?, engine: newest.clone() },
            Err(error) => Scan { verdict: self.failed(digest, error).await?, engine: newest.clone() },
        };
        metric::scanned(kind, scan.verdict.name());
        if let Some(memory) = memory {
            if let Some(mishap) = Mishap::of_verdict(&scan.verdict) {
                memory.count(digest, mishap).await;
            } else if verified_later {
                memory.remember(digest, &scan).await;
            }
        }
        Ok(scan)
    }

    /// What a failed scan means for its content: another try, or that it cannot be scanned.
    async fn failed(&self, digest: &Digest, error: ScanError) -> Result<Verdict, ScanError> {
        let failures = match (&self.memory, Mishap::of_error(&error)) {
            (Some(memory), Some(mishap)) => memory.count(digest, mishap).await,
            _ => Failures::default(),
        };
        failures.verdict().ok_or(error)
    }
}

/// What the walk finds in a part.
async fn walked(walk: &dyn Walk, raw: &RawMail, i: usize, part: &Part) -> Result<(Vec<Item>, Vec<Noticed>), ScanError> {
    let Inside { found, noticed } = match walk.walk(raw, part).await {
        Ok(inside) => inside,
        Err(WalkError::Unavailable(why)) => return Err(ScanError::Unreachable(why)),
        Err(WalkError::Source(error)) => {
            let found = vec![Found { member: None, verdict: not_as_parsed(error)? }];
            Inside { found, noticed: Vec::new() }
        }
    };
    for found in &found {
        metric::scanned("walk", found.verdict.name());
    }
    let place = |member| match member {
        Some(path) => Place::Member { part: i, path },
        None => Place::Part { part: i },
    };
    let items = found.into_iter().map(|Found { member, verdict }| Item { place: place(member), verdict });
    Ok((items.collect(), noticed))
}

/// Bytes that are not those that the parse saw are nothing that can be scanned.
fn not_as_parsed(error: BlobError) -> Result<Verdict, BlobError> {
    match error {
        BlobError::Damaged(NOT_AS_PARSED) => Ok(Verdict::Unscannable { reason: NOT_AS_PARSED.to_owned() }),
        error => Err(error),
    }
}
