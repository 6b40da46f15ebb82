//! What is fuzzed: one function a reader of foreign bytes. Each takes any bytes and panics when something does not
//! hold. The fuzzer calls them, and so does an ordinary test (`workers/tests/corpus.rs`) with the collected inputs.

// The tree that the sanitiser's own tests look at.
#[path = "../../../workers/src/mail/sanitise/dom.rs"]
mod dom;

use std::fmt::Debug;

use self::dom::{Context, parse as parse_html};
use mailtri::{
    announce::{self, Announcement},
    auth::{
        domain::Domain,
        evidence::Trust,
        verify::{KeyRecord, Verify},
    },
    containers::{self, WalkLimits},
    jobs::{DeliverJob, ParseJob, RouteJob, ScanJob},
    mail::{
        addr_spec::AddrSpec,
        decode::PartReader,
        limits::Limits,
        model::ParsedMail,
        names::{self, MAX_NAME, is_hidden},
        sanitise::{MAX_GROWTH, sanitise as clean},
    },
    sandbox::{
        Lockdown, Request, Task,
        buffer::Buffer,
        child,
        frame::{self, Kind},
        task::{Parse, Walk},
    },
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use shared::{
    clamav::{ScanError, Verdict, reply},
    envelope::Envelope,
};

/// Small enough that limits are reached, and that the fuzzer is not slowed by long inputs.
fn limits() -> Limits {
    Limits { raw: 1 << 20, fields: 50, depth: 8, parts: 50, text: 4_096, html: 16_384, ..Limits::default() }
}

/// A parse that believes every server, so that all that is read of their words is read.
fn parse() -> Parse {
    let any = || vec!["*".to_owned()];
    Parse { limits: limits(), recipients: Vec::new(), trust: Trust { hosts: any(), authserv_ids: any() } }
}

/// A raw mail: what the child answers is what the parent takes for true, and each part is where it is said to be.
pub fn mime(raw: &[u8]) {
    if let Ok(mail) = honest(&parse(), raw) {
        assert_eq!(mail.raw.sha256, <[u8; 32]>::from(Sha256::digest(raw)));
        check_parts(&mail, raw);
    }
}

/// What a task makes of some bytes, which its own check has to take for true.
fn honest<T: Task<Answer: Clone + PartialEq + Debug>>(task: &T, bytes: &[u8]) -> T::Answer {
    let answer = task.run(bytes);
    let written = T::write(answer.clone()).unwrap();
    let len = bytes.len() as u64;
    assert!(written.len() as u64 <= task.max_answer(len), "an answer of {} bytes to {len}", written.len());
    assert_eq!(task.check(&answer, len), Ok(()));
    assert_eq!(Some(&answer), T::read(&written).as_ref());
    answer
}

/// A mail's signatures, with a key at hand for some of them.
pub fn verify(raw: &[u8]) {
    let key = Domain::parse("s._domainkey.a.example").unwrap();
    let record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned();
    honest(&Verify { max_mail: 1 << 20, keys: vec![(key, KeyRecord::Texts(vec![record]))] }, raw);
}

/// A container, or what looks like one; by its bytes, and as what is named like a mail.
pub fn walk(content: &[u8]) {
    let limits = WalkLimits { depth: 4, members: 100, ..WalkLimits::default() };
    for (kind, name) in [(None, "a.eml.gz"), (Some(containers::Kind::Mail), "a.eml")] {
        let name = name.to_owned().into();
        honest(&Walk { limits, len: content.len() as u64, kind, name, budget: None }, content);
    }
}

fn check_parts(mail: &ParsedMail, raw: &[u8]) {
    for part in &mail.parts {
        let range = part.address.outer_range();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let mut decoded = Vec::new();
        let mut reader = PartReader::new(&part.address);
        reader.push(&raw[range], &mut decoded);
        reader.finish(&mut decoded);
        assert_eq!(part.content.len, decoded.len() as u64);
        assert_eq!(part.content.sha256, <[u8; 32]>::from(Sha256::digest(&decoded)));
    }
}

/// HTML: what is clean stays as it is, holds no element that runs or loads, and is read by everybody as it was written.
pub fn sanitise(html: &[u8]) {
    let (html, limits) = (String::from_utf8_lossy(html), limits());
    let Ok(once) = clean(&html, &limits) else { return };
    assert!(once.html.len() <= limits.html * MAX_GROWTH);
    let lower = once.html.to_ascii_lowercase();
    for active in ["<script", "<style", "<iframe", "<object", "<embed", "<svg", "<math", "<base", "<meta", "<link"] {
        assert!(!lower.contains(active), "{active}");
    }
    // Read as any reader does and written again it is the same: nothing means one thing here and another there. That
    // ammonia changed nothing that was written is asserted where it runs.
    for context in [Context::Within("div"), Context::Within("td"), Context::Page] {
        for scripting in [true, false] {
            let tree = parse_html(&once.html, context, scripting);
            assert_eq!(tree.inner_html(), once.html, "{context:?}, scripting {scripting}");
            tree.visit(&mut |name, is_html, attributes| {
                assert!(is_html && name != "#comment", "{name}");
                assert!(attributes.iter().all(|(name, _)| !name.starts_with("on")), "{attributes:?}");
            });
        }
    }
    // What grew beyond a limit is refused the second time, which is no other answer.
    if let Ok(twice) = clean(&once.html, &limits) {
        assert_eq!(once.html, twice.html);
    }
}

/// Addresses, display names and file names: safe to show, bounded, and stable.
pub fn names(text: &[u8]) {
    let (name, _) = names::file_name(&String::from_utf8_lossy(text));
    if let Some(name) = name {
        assert!(name.len() <= MAX_NAME && !name.is_empty() && !name.chars().any(is_hidden));
        assert_eq!(names::file_name(&name).0.as_deref(), Some(&*name));
    }
    if let Some(address) = AddrSpec::parse(&String::from_utf8_lossy(text)) {
        let again = AddrSpec::parse(&address.to_string()).unwrap();
        assert!(again == address && !address.domain().contains('@'));
    }
    let line: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let disposition = b"\r\nContent-Disposition: attachment; filename";
    mime(&[b"From: ", &*line, b"\r\nTo: ", &line, b"\r\nSubject: ", &line, disposition, &line, b"\r\n\r\nx"].concat());
}

/// A job of the queue: what is read is written as it was read.
pub fn job(body: &[u8]) {
    let Ok(body) = std::str::from_utf8(body) else { return };
    if let Ok(envelope) = Envelope::decode(body) {
        let again = Envelope::decode(&envelope.encode().unwrap()).unwrap();
        assert_eq!(format!("{envelope:?}"), format!("{again:?}"));
        // Of any kind: what a stage is handed is checked by its type alone.
        drop((envelope.job::<ParseJob>(), envelope.job::<ScanJob>()));
        drop((envelope.job::<RouteJob>(), envelope.job::<DeliverJob>()));
    }
    let _ = serde_json::from_str::<Box<RawValue>>(body);
}

/// An announcement: keys are what S3 takes, and an error holds nothing of the body.
pub fn announcement(body: &[u8]) {
    let Ok(body) = std::str::from_utf8(body) else { return };
    for announced in announce::read(body).into_iter().flatten() {
        if let Announcement::Stored(stored) = announced {
            assert!((1..=1024).contains(&stored.key.len()));
        }
    }
}

/// A reply of clamd: clean is one exact reply and no other.
pub fn clamd_reply(bytes: &[u8]) {
    let verdict = reply::verdict(bytes);
    assert_eq!(matches!(verdict, Ok(Verdict::Clean)), bytes == b"stream: OK\0");
    let refusal = reply::refusal(bytes);
    assert!(matches!(refusal, Ok(Verdict::LimitsExceeded { .. }) | Err(ScanError::Scanner(_) | ScanError::Garbled)));
    drop(reply::version(bytes));
}

/// The pipe between parent and child, from either side: a child ends or answers in frames.
pub fn frame(input: &[u8]) {
    let mut output = Vec::new();
    drop(child::serve(&mut &*input, &mut output, Request::answer));
    let mut answers = &*output;
    let mut buffer = Buffer::default();
    while let Some(payload) = frame::read(&mut answers, Kind::Answer, frame::MAX, &mut buffer).unwrap() {
        assert!(Parse::read(payload).is_some() || serde_json::from_slice::<serde_json::Value>(payload).is_ok());
    }
    if let Ok(Some(payload)) = frame::read(&mut &*input, Kind::Hello, 4_096, &mut buffer) {
        drop(serde_json::from_slice::<Lockdown>(payload));
    }
    if let Ok(Some(payload)) = frame::read(&mut &*input, Kind::Answer, 1 << 20, &mut buffer)
        && let Some(answer) = Parse::read(payload)
    {
        let _ = parse().check(&answer, 1_000);
    }
}
