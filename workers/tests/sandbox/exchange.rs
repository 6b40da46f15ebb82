//! Requests and answers, and what happens when there is none.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use mailtri::auth::evidence::Trust;
use mailtri::mail::limits::Limits;
use mailtri::mail::parse::{RefusalCode, parse};
use mailtri::sandbox::{Body, Death, Sandbox, SandboxConfig, SandboxError, StartError, task};
use shared::blobs::{BlobError, ByteStream};
use shared::pii::Pii;
use tokio::task::JoinSet;

use super::given::{Named, REAL, assert_passes, config, deaths, mail, sandbox, send, told};

pub(crate) async fn ordinary() {
    let recipients = vec![Pii::new("task+x@b.example".to_owned())];
    let expected = parse(&mail(""), &Limits::default(), &recipients).unwrap();
    let real = Named::new(REAL);
    let sandbox = real.sandbox().await;
    for _ in 0..3 {
        assert_eq!(send(&sandbox, mail("")).await.unwrap(), Ok(expected.clone()));
    }
}

pub(crate) async fn refusal() {
    let sandbox = sandbox().await;
    assert!(matches!(send(&sandbox, Bytes::new()).await, Ok(Err(refusal)) if refusal.code == RefusalCode::Empty));
    assert_passes(&sandbox).await;
}

/// As large as a mail may be by default, and with as little memory as the settings let a child have for it.
pub(crate) async fn the_largest() {
    const LARGEST: usize = 40_000_000;
    let mut config = config();
    config.limits.raw = LARGEST;
    config.memory = 4 * LARGEST as u64 + (96 << 20);
    config.budget.wall = Duration::from_secs(120);
    let sandbox = Sandbox::start(config).await.unwrap();
    let base64 = format!("{}\r\n", "5OTk".repeat(19));
    for (content_type, encoding, line) in [
        ("application/pdf", "base64", &*base64),
        ("text/plain; charset=utf-8", "8bit", "0123456789 ä\n"),
        ("text/plain; charset=windows-1252", "base64", &base64),
        ("text/html; charset=windows-1252", "base64", &base64),
        ("text/plain; charset=windows-1252", "quoted-printable", "=E4=E4=E4=E4=\r\n"),
        ("message/rfc822", "base64", &base64),
    ] {
        let head = format!(
            "From: a@a.example\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        );
        let mut raw = head.into_bytes();
        raw.extend(line.bytes().cycle().take(LARGEST + 1 - raw.len()));
        let raw = Bytes::from(raw);
        let mail = send(&sandbox, raw.slice(..LARGEST)).await.unwrap().unwrap();
        assert_eq!((mail.raw.len, mail.parts.len()), (LARGEST as u64, 1), "{content_type} {encoding}");
        let refusal = send(&sandbox, raw).await.unwrap().unwrap_err();
        assert_eq!(refusal.code, RefusalCode::TooLarge);
    }
}

/// A body whose chunks come from elsewhere, perhaps with fewer or more bytes than it says.
struct Streamed(u64, Vec<Result<Bytes, BlobError>>);

#[async_trait::async_trait]
impl Body for Streamed {
    fn len(&self) -> u64 {
        self.0
    }

    async fn open(&self) -> Result<ByteStream, BlobError> {
        let chunks: Vec<_> = self.1.iter().map(|chunk| chunk.as_ref().cloned().map_err(|_| BlobError::Range)).collect();
        Ok(stream::iter(chunks).boxed())
    }
}

pub(crate) async fn streamed() {
    let sandbox = sandbox().await;
    let ask = async |len: usize, chunks| {
        let task = task::Parse { limits: Limits::default(), recipients: Vec::new(), trust: Trust::default() };
        sandbox.ask(task, &Streamed(len as u64, chunks)).await
    };
    let (whole, first) = (mail(""), mail("X-Do: exit"));
    let chunks = |bytes: &Bytes| bytes.chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>();
    let parsed = ask(whole.len(), chunks(&whole)).await.unwrap().unwrap();
    assert_eq!(parsed.raw.len, whole.len() as u64);
    // The second attempt reads it again from the start.
    assert!(matches!(ask(first.len(), chunks(&first)).await, Err(SandboxError::Poisoned { .. })));
    for len in [whole.len() - 1, whole.len() + 1] {
        assert!(matches!(ask(len, chunks(&whole)).await, Err(SandboxError::Body(BlobError::Damaged(_)))), "{len}");
    }
    let broken = vec![Ok(whole.slice(..9)), Err(BlobError::Range)];
    assert!(matches!(ask(whole.len(), broken).await, Err(SandboxError::Body(BlobError::Range))));
    let over = Limits::default().raw + 1;
    assert!(matches!(ask(over, Vec::new()).await, Err(SandboxError::BodyTooLong(len)) if len == over as u64));
    assert_passes(&sandbox).await;
}

pub(crate) async fn killed_in_the_middle() {
    let sandbox = Sandbox::start(SandboxConfig { processes: NonZeroUsize::MIN, ..config() }).await.unwrap();
    // The first attempt is on the child of that id, the second on another one.
    let pid = told(&sandbox, "X-Do: tell pid").await;
    assert!(send(&sandbox, mail(&format!("X-Do: leave {pid}"))).await.unwrap().is_ok());
    // And from outside, while it waits: the next mail finds the child gone.
    let pid = told(&sandbox, "X-Do: tell pid").await;
    let status = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(status.success());
    assert_passes(&sandbox).await;
}

pub(crate) async fn poison() {
    let sandbox = Arc::new(sandbox().await);
    let mut tasks = JoinSet::new();
    for index in 0..60 {
        let sandbox = Arc::clone(&sandbox);
        tasks.spawn(async move {
            if index % 3 > 0 {
                return assert_passes(&sandbox).await;
            }
            let (first, second) = deaths(&sandbox, "X-Do: exit").await;
            for death in [first, second] {
                assert!(matches!(death, Death::Ended(Some(status)) if status.code() == Some(7)), "{death:?}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

pub(crate) async fn garbage() {
    let sandbox = sandbox().await;
    for (order, is_right) in [
        ("X-Do: say garbage", (|d| matches!(d, Death::Garbage(_))) as fn(&Death) -> bool),
        ("X-Do: say version", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say too much", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say twice", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say hello again", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say half", |d| matches!(d, Death::Ended(_))),
        ("X-Do: say json", |d| matches!(d, Death::Unreadable)),
        ("X-Do: say nested", |d| matches!(d, Death::Unreadable)),
        ("X-Do: lie", |d| matches!(d, Death::Untrue(_))),
    ] {
        let (first, second) = deaths(&sandbox, order).await;
        assert!(is_right(&first) && is_right(&second), "{order}: {first:?} {second:?}");
        assert_passes(&sandbox).await;
    }
}

pub(crate) async fn recycled() {
    let config = SandboxConfig { recycle_after: NonZeroU32::new(3).unwrap(), ..config() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let mut pids = Vec::new();
    for _ in 0..6 {
        pids.push(told(&sandbox, "X-Do: tell pid").await);
    }
    assert!(pids[0] == pids[2] && pids[3] == pids[5] && pids[2] != pids[3], "{pids:?}");
    let missing = SandboxConfig::new("/nonexistent/mailtri".into());
    assert!(matches!(Sandbox::start(missing).await, Err(SandboxError::Spawn(StartError::Process(_)))));
    assert_eq!(sandbox.limits(), &Limits::default());
}
