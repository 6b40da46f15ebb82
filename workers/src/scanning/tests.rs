//! Whole mails in front of a scanner that follows a script.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use shared::{audit::AuditKey, clock::Clock, pii::Pii, state::sqlite::SqliteState};

use super::*;
use crate::{
    containers::Kind,
    mail::{limits::Limits, model::FindingCode, parse::parse},
};

/// Answers by the bytes that it is shown; what is not in the script is clean.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<BTreeMap<Vec<u8>, Result<Verdict, ScanError>>>,
    scans: AtomicUsize,
}

impl Scripted {
    fn says(&self, bytes: &[u8], answer: Result<Verdict, ScanError>) {
        self.answers.lock().unwrap().insert(bytes.to_vec(), answer);
    }

    fn scans(&self) -> usize {
        self.scans.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Scanner for Scripted {
    async fn scan(&self, content: Content<'_>) -> Result<Scan, ScanError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let bytes = content.read().await?;
        let answer = self.answers.lock().unwrap().get(&*bytes).cloned().unwrap_or(Ok(Verdict::Clean));
        Ok(Scan { verdict: answer?, engine: self.engine().await? })
    }

    async fn engine(&self) -> Result<EngineVersion, ScanError> {
        Ok(EngineVersion { engine: "ClamAV 1".to_owned(), database: Some("7".to_owned()), built: None })
    }
}

const MAIL: &[u8] = b"From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
    --b\r\nContent-Type: application/octet-stream; name=a.dat\r\nContent-Disposition: attachment; filename=a.dat\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nYXR0YWNoZWQ=\r\n--b--\r\n";
const ATTACHED: &[u8] = b"attached";

fn mail() -> (RawMail, ParsedMail) {
    (RawMail::Inline(Bytes::from_static(MAIL)), parse(MAIL, &Limits::default(), &[]).unwrap())
}

fn infected() -> Verdict {
    Verdict::Infected { signature: "Eicar".to_owned() }
}

fn scanning(raw: ScanRaw) -> (Arc<Scripted>, Scanning) {
    let scanner = Arc::new(Scripted::default());
    (Arc::clone(&scanner), Scanning::new(scanner, raw))
}

#[tokio::test]
async fn raw_and_every_part_are_looked_at_and_all_that_is_found_is_told() {
    let (scanner, scanning) = scanning(ScanRaw::Always);
    let (raw, mail) = mail();
    assert_eq!(mail.parts.len(), 2);
    let report = scanning.scan(&raw, &mail, Try::First).await.unwrap();
    assert!(report.is_clean());
    assert_eq!(scanner.scans(), 3);
    scanner.says(MAIL, Ok(infected()));
    scanner.says(ATTACHED, Ok(infected()));
    scanner.says(b"hello", Ok(Verdict::Encrypted { reason: "x".to_owned() }));
    let report = scanning.scan(&raw, &mail, Try::First).await.unwrap();
    let found: Vec<String> = report.items().iter().map(|item| item.told(&mail)).collect();
    assert_eq!(found, ["infected: Eicar in the raw mail", "encrypted: x in part 2", "infected: Eicar in part 3"]);
    assert_eq!(scanner.scans(), 3);
}

#[tokio::test]
async fn the_raw_mail_is_scanned_when_asked_for() {
    for (raw_scan, damaged, scans) in [
        (ScanRaw::Always, false, 3),
        (ScanRaw::Findings, false, 2),
        (ScanRaw::Findings, true, 3),
        (ScanRaw::Never, true, 2),
    ] {
        let (scanner, scanning) = scanning(raw_scan);
        let (raw, mut mail) = mail();
        assert!(mail.findings.iter().all(|finding| finding.severity == Severity::Info));
        if damaged {
            let (code, place) = (FindingCode::EncodingDamaged, "part 1".to_owned());
            mail.findings.push(Finding { code, severity: Severity::Warning, place });
        }
        scanning.scan(&raw, &mail, Try::First).await.unwrap();
        assert_eq!(scanner.scans(), scans, "{raw_scan:?}");
    }
}

#[tokio::test]
async fn one_failed_scan_leaves_the_mail_without_a_report() {
    let (scanner, scanning) = scanning(ScanRaw::Always);
    let (raw, mail) = mail();
    scanner.says(MAIL, Ok(infected()));
    for error in [
        ScanError::Unreachable("down".to_owned()),
        ScanError::Unfit("old".to_owned()),
        ScanError::Unavailable("reset".to_owned()),
        ScanError::Deadline,
        ScanError::Garbled,
        ScanError::Scanner("disk".to_owned()),
    ] {
        scanner.says(ATTACHED, Err(error.clone()));
        assert_eq!(scanning.scan(&raw, &mail, Try::First).await, Err(error));
    }
}

#[tokio::test]
async fn other_bytes_than_those_that_were_parsed_are_unscannable() {
    let (_, scanning) = scanning(ScanRaw::Always);
    let (raw, mut mail) = mail();
    mail.parts[1].content.sha256 = Sha256::digest(b"something else").into();
    let report = scanning.scan(&raw, &mail, Try::First).await.unwrap();
    assert_eq!(report.items()[0].told(&mail), format!("unscannable: {NOT_AS_PARSED} in part 3"));
    mail.parts[1].content.len += 1;
    mail.raw.len += 1;
    assert_eq!(scanning.scan(&raw, &mail, Try::First).await.unwrap().items().len(), 2);
}

fn remembering(dir: &std::path::Path, clock: Clock, scanning: Scanning) -> Scanning {
    let state = Arc::new(SqliteState::open(dir, Clock::system()).unwrap());
    scanning.remembering(Memory::new(state, AuditKey::new(vec![1; 32]), clock))
}

#[tokio::test]
async fn an_attachment_that_was_scanned_is_not_scanned_again_but_bodies_and_raw_mail_are() {
    let dir = tempfile::tempdir().unwrap();
    let (scanner, scanning) = scanning(ScanRaw::Always);
    let scanning = remembering(dir.path(), Clock::system(), scanning);
    let (raw, mail) = mail();
    for (which, scans) in [
        (Try::First, 3),
        (Try::First, 2),
        // The bytes may have turned out to be others when they were stored.
        (Try::Another, 3),
        (Try::First, 2),
    ] {
        assert!(scanning.scan(&raw, &mail, which).await.unwrap().is_clean());
        assert_eq!(scanner.scans(), scans, "{which:?}");
    }
}

/// A clock so far on: what is counted then is another incident.
fn minutes_later(minutes: i64) -> Clock {
    Clock::starting_at(jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes))
}

#[tokio::test]
async fn a_content_whose_scans_never_end_is_given_up_for_every_mail_that_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, mail) = mail();
    for (minutes, which) in [(0, Try::First), (0, Try::Another)] {
        let (scanner, scanning) = scanning(ScanRaw::Never);
        let scanning = remembering(dir.path(), minutes_later(minutes), scanning);
        scanner.says(ATTACHED, Err(ScanError::Deadline));
        // A second one in the same moment says nothing new.
        assert_eq!(scanning.scan(&raw, &mail, which).await, Err(ScanError::Deadline));
    }
    let (scanner, scanning) = scanning(ScanRaw::Never);
    let scanning = remembering(dir.path(), minutes_later(2), scanning);
    scanner.says(ATTACHED, Err(ScanError::Deadline));
    for scans in [2, 1, 1] {
        let report = scanning.scan(&raw, &mail, Try::First).await.unwrap();
        assert!(matches!(report.verdict(), Verdict::Unscannable { reason } if reason.contains("2 times")));
        assert_eq!(scanner.scans(), scans);
    }
}

#[tokio::test]
async fn what_clamd_gives_up_twice_is_not_shown_to_it_again_neither_by_itself_nor_in_its_mail() {
    let limits = Verdict::LimitsExceeded { reason: "Heuristics.Limits.Exceeded.MaxScanTime".to_owned() };
    let (raw, mail) = mail();
    // A body as well as an attachment.
    for slow in [ATTACHED, &b"hello"[..]] {
        let dir = tempfile::tempdir().unwrap();
        for (minutes, scans) in [(0, 3), (2, 3), (4, 1), (6, 1)] {
            let (scanner, scanning) = scanning(ScanRaw::Always);
            let scanning = remembering(dir.path(), minutes_later(minutes), scanning);
            scanner.says(slow, Ok(limits.clone()));
            scanner.says(MAIL, Ok(limits.clone()));
            // A definite verdict on the attachment would be remembered.
            if slow != ATTACHED {
                scanner.says(ATTACHED, Ok(Verdict::Unscannable { reason: "x".to_owned() }));
            }
            let report = scanning.scan(&raw, &mail, Try::First).await.unwrap();
            assert_eq!(report.verdict(), &limits);
            let places: Vec<Place> = report.items().into_iter().map(|item| item.place).collect();
            assert!(places.contains(&Place::Raw), "{places:?}");
            assert_eq!(scanner.scans(), scans, "{minutes}");
        }
    }
}

/// Finds the same in every part.
#[derive(Debug)]
struct Walker(Result<Inside, &'static str>);

#[async_trait]
impl Walk for Walker {
    async fn walk(&self, raw: &RawMail, part: &Part) -> Result<Inside, WalkError> {
        if part.role == PartRole::Body {
            return Ok(Inside::default());
        }
        let bytes = Content::new(part.content.len, raw.part(part)).read().await?;
        assert_eq!(bytes, ATTACHED);
        self.0.clone().map_err(|why| WalkError::Unavailable(why.to_owned()))
    }
}

#[tokio::test]
async fn what_the_walk_finds_is_told_beside_what_the_scanner_says() {
    let (raw, mail) = mail();
    let path = Pii::new("inner.zip / secret.doc".to_owned());
    let limits = Verdict::LimitsExceeded { reason: "too deep".to_owned() };
    let found = vec![
        Found { member: Some(path.clone()), verdict: Verdict::Encrypted { reason: "zip".to_owned() } },
        Found { member: None, verdict: limits.clone() },
    ];
    let noticed = vec![Noticed { code: FindingCode::ScriptAttachment, kind: Kind::Zip }];
    let (_, clamd) = scanning(ScanRaw::Always);
    let inside = Inside { found, noticed };
    let report = clamd.walking(Arc::new(Walker(Ok(inside)))).scan(&raw, &mail, Try::First).await.unwrap();
    assert_eq!(report.verdict(), &limits);
    let places: Vec<Place> = report.items().into_iter().map(|item| item.place).collect();
    assert_eq!(places, [Place::Part { part: 1 }, Place::Member { part: 1, path }]);
    let place = "the zip in part 3".to_owned();
    let finding = Finding { code: FindingCode::ScriptAttachment, severity: Severity::Warning, place };
    assert_eq!(report.findings, [finding]);
    let (_, clamd) = scanning(ScanRaw::Always);
    let report = clamd.walking(Arc::new(Walker(Err("no child")))).scan(&raw, &mail, Try::First).await;
    assert_eq!(report, Err(ScanError::Unreachable("no child".to_owned())));
}
