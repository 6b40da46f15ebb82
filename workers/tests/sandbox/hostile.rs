//! Hostile mails in real children under the product's own limits: each ends typed, and hurts nobody.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailtri::mail::limits::Limits;
use mailtri::mail::model::{FindingCode, Severity};
use mailtri::mail::parse::RefusalCode;
use mailtri::sandbox::{Sandbox, SandboxError};
use tokio::task::JoinSet;

use super::given::{Answer, Named, REAL, assert_passes, send};

const MILLION: usize = 1_000_000;

/// How a mail has to end.
#[derive(Debug)]
enum End {
    /// There is a mail, whatever its findings are.
    Parsed,
    /// There is a mail, which is quarantined for this.
    Ambiguous(FindingCode),
    /// There is none.
    Refused(RefusalCode),
    /// A child cannot read it within its limits.
    Poisoned,
}

impl End {
    fn is(&self, answer: &Result<Answer, SandboxError>) -> bool {
        match (self, answer) {
            (Self::Parsed, Ok(Ok(_))) | (Self::Poisoned, Err(SandboxError::Poisoned { .. })) => true,
            (Self::Ambiguous(code), Ok(Ok(mail))) => {
                mail.findings.iter().any(|finding| finding.code == *code && finding.severity == Severity::Ambiguous)
            }
            (Self::Refused(code), Ok(Err(refusal))) => refusal.code == *code,
            _ => false,
        }
    }
}

/// What came of it, without the mail.
fn summary(answer: &Result<Answer, SandboxError>) -> String {
    match answer {
        Ok(Ok(mail)) => {
            let codes: BTreeSet<_> = mail.findings.iter().map(|finding| finding.code).collect();
            format!("{} parts, {codes:?}", mail.parts.len())
        }
        Ok(Err(refusal)) => format!("refused: {refusal}"),
        Err(error) => format!("{error}"),
    }
}

/// A mail of 40 MB at most: a head, and lines that repeat as long as they fit.
fn filled(head: &str, line: &str) -> Vec<u8> {
    repeated(head, line, (40_000_000 - head.len()) / line.len())
}

fn repeated(head: &str, line: &str, count: usize) -> Vec<u8> {
    [head.as_bytes(), line.repeat(count).as_bytes()].concat()
}

/// Each with a boundary of its own.
fn nested_multiparts(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("Content-Type:multipart/m;boundary={i:06}\n\n--{i:06}\n").into_bytes()).collect()
}

fn mails() -> Vec<(&'static str, Vec<u8>, End)> {
    use End::{Ambiguous, Parsed, Poisoned, Refused};
    use FindingCode::{DepthExceeded, PartsExceeded};
    let from = "From: a@a.example\n";
    let mixed = "From: a@a.example\nContent-Type: multipart/mixed; boundary=b\n\n";
    let nested = "Content-Type: message/rfc822\r\n\r\n";
    let html = "From: a@a.example\nContent-Type: text/html\n\n";
    vec![
        ("0 bytes", vec![], Refused(RefusalCode::Empty)),
        ("100 MB", vec![b'x'; 100 * MILLION], Refused(RefusalCode::TooLarge)),
        ("30,000 stacked messages", nested.repeat(30_000).into(), Ambiguous(DepthExceeded)),
        ("depth 10^6, messages", nested.repeat(MILLION).into(), Ambiguous(DepthExceeded)),
        (
            "depth 10^6, multiparts of one boundary",
            filled("", "Content-Type:multipart/m;boundary=b\n\n--b\n"),
            Ambiguous(PartsExceeded),
        ),
        ("multiparts within each other", nested_multiparts(700_000), Ambiguous(DepthExceeded)),
        ("10^6 headers", repeated(from, "a: b\n", MILLION), Refused(RefusalCode::HeadersTooLarge)),
        ("10^6 parts", repeated(mixed, "--b\n\nx\n", MILLION), Ambiguous(PartsExceeded)),
        ("10^6 headers in a part", repeated(&format!("{mixed}--b\n"), "a: b\n", MILLION), Parsed),
        ("40 MB of headers in a part", filled(&format!("{mixed}--b\n"), "a:\n"), Poisoned),
        ("a line of 40 MB", filled(&format!("{from}\n"), "x"), Parsed),
        ("40 MB of line ends", filled(&format!("{from}\n"), "\n"), Parsed),
        ("40 MB of NUL", filled(&format!("{from}\n"), "\0"), Parsed),
        ("40 MB of open tags", filled(html, "<b>"), Parsed),
        ("1 MB of nested elements", repeated(html, "<div>", 200_000), Parsed),
        ("1 MB of list items", repeated(html, "<ul><li>", 120_000), Parsed),
        ("addresses without end", repeated("From: a@a.example\nTo: ", "a@a.example,", 80_000), Parsed),
        ("groups without end", repeated("From: a@a.example\nTo: ", "a:(", 300_000), Parsed),
        ("parameters without end", repeated("From: a@a.example\nContent-Type: text/plain", ";a*0=b", 150_000), Parsed),
        ("encoded words without end", repeated("From: a@a.example\nSubject: ", "=?utf-8?q?=41?= ", 60_000), Parsed),
        ("neither lines nor fields", vec![b':'; 5 * MILLION], Refused(RefusalCode::HeadersTooLarge)),
    ]
}

pub(crate) async fn generated() {
    let real = Named::new(REAL);
    // The product's own limits, but for the wall: the machine may be busy.
    let mut config = real.config();
    config.budget.wall = Duration::from_secs(120);
    let sandbox = Arc::new(Sandbox::start(config).await.unwrap());
    for (name, raw, end) in mails() {
        let beside = tokio::spawn({
            let sandbox = Arc::clone(&sandbox);
            async move { assert_passes(&sandbox).await }
        });
        let answer = send(&sandbox, raw.into()).await;
        assert!(end.is(&answer), "{name}: {}", summary(&answer));
        beside.await.unwrap();
    }
}

/// Where the collections are: CPython's beside this file, mail-parser's own in its crate.
fn folders() -> [(PathBuf, &'static str, usize); 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(here)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let mut parsers: Vec<_> = packages.filter(|package| package["name"] == "mail-parser").collect();
    parsers.sort_by_key(|package| package["version"].as_str());
    let manifest = Path::new(parsers.last().unwrap()["manifest_path"].as_str().unwrap());
    [(here.join("tests/fixtures/cpython"), "txt", 40), (manifest.with_file_name("resources/eml"), "eml", 200)]
}

fn collect(folder: &Path, extension: &str, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, all);
        } else if path.extension().is_some_and(|found| found == extension) {
            all.push(path);
        }
    }
}

/// As it is, with other line ends, and cut in the middle.
fn variants(raw: &[u8]) -> [Bytes; 4] {
    let lines = |end: &[u8]| {
        raw.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).collect::<Vec<_>>().join(end)
    };
    [raw.to_vec().into(), lines(b"\n").into(), lines(b"\r\n").into(), raw[..raw.len() / 2].to_vec().into()]
}

pub(crate) async fn collected() {
    let real = Named::new(REAL);
    let mut config = real.config();
    config.budget.wall = Duration::from_secs(120);
    let sandbox = Arc::new(Sandbox::start(config).await.unwrap());
    for (folder, extension, least) in folders() {
        let mut files = Vec::new();
        collect(&folder, extension, &mut files);
        assert!(files.len() >= least, "{} files in {}", files.len(), folder.display());
        let mut tasks = JoinSet::new();
        for file in files {
            let sandbox = Arc::clone(&sandbox);
            tasks.spawn(async move {
                for raw in variants(&std::fs::read(&file).unwrap()) {
                    let answer = send(&sandbox, raw).await;
                    assert!(answer.is_ok(), "{}: {}", file.display(), summary(&answer));
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
    assert_eq!(sandbox.limits(), &Limits::default());
}
