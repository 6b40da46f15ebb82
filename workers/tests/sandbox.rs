//! The sandbox with real children. This binary is its own child: started as `sandbox` it serves, and misbehaves
//! where the mail tells it to. It has its own `main`, since the standard harness writes to standard output.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test binary")]

use std::io::Write;
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use mailtri::mail::limits::Limits;
use mailtri::mail::model::{FindingCode, ParsedMail, Severity};
use mailtri::mail::parse::{Refusal, RefusalCode, parse};
use mailtri::sandbox::child::{child_main, serve};
use mailtri::sandbox::pool::SUBCOMMAND;
use mailtri::sandbox::{Body, Budget, Death, Request, Sandbox, SandboxConfig, SandboxError, task};
use shared::blobs::{BlobError, ByteStream};
use shared::pii::Pii;
use tokio::task::JoinSet;

type Case = (&'static str, fn(&tokio::runtime::Runtime));

const CASES: [Case; 11] = [
    ("an ordinary mail is parsed as in process", |rt| rt.block_on(ordinary())),
    ("a refusal is an answer", |rt| rt.block_on(refusal())),
    ("a mail of 39 MB passes through the pipe", |rt| rt.block_on(large())),
    ("a body is streamed, and one that does not come is not the mail's fault", |rt| rt.block_on(streamed())),
    ("30,000 stacked messages are answered", |rt| rt.block_on(stacked())),
    ("a child that is killed in the middle costs nothing", |rt| rt.block_on(killed_in_the_middle())),
    ("a mail that ends its child twice is poisoned and its neighbours are unhurt", |rt| rt.block_on(poison())),
    ("a panic ends the child and is told", |rt| rt.block_on(panics())),
    ("the wall limit is kept", |rt| rt.block_on(wall_limit())),
    ("what is no answer is refused", |rt| rt.block_on(garbage())),
    ("children are kept warm and recycled", |rt| rt.block_on(recycled())),
];

/// Started by this name, the binary is the child that the program has.
const REAL: &str = "real-child";

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let is_real = arguments.next().is_some_and(|program| program.ends_with(REAL));
    let argument = arguments.next();
    if argument.as_deref() == Some(SUBCOMMAND) {
        return if is_real { child_main() } else { test_child() };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, case) in CASES.iter().filter(|(name, _)| argument.as_ref().is_none_or(|part| name.contains(part))) {
        case(&runtime);
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// Serves like the real child, but for mails that say otherwise in their first line.
fn test_child() -> ExitCode {
    let served = serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock(), answer);
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn answer(request: &Request, raw: &[u8]) -> serde_json::Result<Vec<u8>> {
    let Request::Parse(task) = request;
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let parsed = || parse(raw, &task.limits, &task.recipients);
    let say = |bytes: &[u8]| {
        std::io::stdout().write_all(bytes).unwrap();
        std::io::stdout().flush().unwrap();
        std::process::exit(0)
    };
    match std::str::from_utf8(line).unwrap_or_default() {
        "X-Do: exit" => std::process::exit(7),
        "X-Do: panic" => panic!("as told"),
        "X-Do: hang" => loop {
            std::thread::park();
        },
        "X-Do: once" if first_time(raw) => std::process::abort(),
        "X-Do: say garbage" => say(b"HTTP/1.1 200 OK\r\n\r\n"),
        "X-Do: say version" => say(b"MT\x09\x03\x02\0\0\0{}"),
        "X-Do: say too much" => say(b"MT\x01\x03\xff\xff\xff\xff"),
        "X-Do: say half" => say(b"MT\x01\x03\xff\0\0\0{"),
        "X-Do: say json" => say(b"MT\x01\x03\x02\0\0\0{}"),
        "X-Do: lie" => {
            let mut mail = parsed().unwrap();
            mail.parts[0].address.0[0].end += 1_000_000;
            serde_json::to_vec(&Answer::Ok(mail))
        }
        "X-Do: tell pid" => {
            let mut mail = parsed().unwrap();
            mail.subject = Some(Pii::new(std::process::id().to_string()));
            serde_json::to_vec(&Answer::Ok(mail))
        }
        _ => request.answer(raw),
    }
}

type Answer = Result<ParsedMail, Refusal>;

/// Whether the file that the mail names on its second line is still there; removes it.
fn first_time(raw: &[u8]) -> bool {
    let line = raw.split(|byte| *byte == b'\n').nth(1).unwrap();
    std::fs::remove_file(std::str::from_utf8(line.strip_prefix(b"X-File: ").unwrap()).unwrap()).is_ok()
}

fn config() -> SandboxConfig {
    let mut config = SandboxConfig::new(std::env::current_exe().unwrap());
    config.processes = NonZeroUsize::new(2).unwrap();
    config
}

fn sandbox() -> Sandbox {
    Sandbox::start(config()).unwrap()
}

fn mail(first: &str) -> Bytes {
    let rest = "From: Ann <ann@a.example>\nSubject: Hi\n\nhello\n";
    Bytes::from(if first.is_empty() { rest.to_owned() } else { format!("{first}\n{rest}") })
}

async fn send(sandbox: &Sandbox, raw: Bytes) -> Result<Answer, SandboxError> {
    sandbox.parse(raw, vec![Pii::new("task+x@b.example".to_owned())]).await
}

async fn assert_passes(sandbox: &Sandbox) {
    let answer = send(sandbox, mail("")).await.unwrap();
    assert!(matches!(answer, Ok(mail) if mail.text.as_ref().unwrap().expose() == "hello\n"));
}

async fn deaths(sandbox: &Sandbox, first: &str) -> (Death, Death) {
    match send(sandbox, mail(first)).await {
        Err(SandboxError::Poisoned { first, second }) => (first, second),
        other => panic!("{other:?}"),
    }
}

async fn ordinary() {
    let recipients = vec![Pii::new("task+x@b.example".to_owned())];
    let expected = parse(&mail(""), &Limits::default(), &recipients).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.program = folder.path().join(REAL);
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &config.program).unwrap();
    let sandbox = Sandbox::start(config).unwrap();
    for _ in 0..3 {
        assert_eq!(send(&sandbox, mail("")).await.unwrap(), Ok(expected.clone()));
    }
}

async fn refusal() {
    let sandbox = sandbox();
    assert!(matches!(send(&sandbox, Bytes::new()).await, Ok(Err(refusal)) if refusal.code == RefusalCode::Empty));
    assert_passes(&sandbox).await;
}

async fn large() {
    let mut raw =
        b"From: a@a.example\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    while raw.len() < 39 << 20 {
        raw.extend_from_slice(&[b'Q'; 76]);
        raw.extend_from_slice(b"\r\n");
    }
    let len = raw.len() as u64;
    let Ok(mail) = send(&sandbox(), raw.into()).await.unwrap() else { panic!("refused") };
    assert_eq!((mail.raw.len, mail.parts.len()), (len, 1));
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

async fn streamed() {
    let sandbox = sandbox();
    let ask = async |len: usize, chunks| {
        let task = task::Parse { limits: Limits::default(), recipients: Vec::new() };
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

async fn stacked() {
    let raw = "Content-Type: message/rfc822\r\n\r\n".repeat(30_000);
    let Ok(mail) = send(&sandbox(), raw.into()).await.unwrap() else { panic!("refused") };
    let depth = mail.findings.iter().find(|finding| finding.code == FindingCode::DepthExceeded).unwrap();
    assert_eq!((depth.severity, mail.parts.len()), (Severity::Ambiguous, 1));
}

async fn killed_in_the_middle() {
    let sandbox = sandbox();
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let answer = send(&sandbox, mail(&format!("X-Do: once\nX-File: {}", file.display()))).await.unwrap();
    assert!(answer.is_ok());
    assert!(!file.exists(), "the first child never came to it");
    // And from outside, while it waits: the next mail finds the child gone.
    let pid = pid(&sandbox).await;
    let status = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(status.success());
    assert_passes(&sandbox).await;
}

async fn pid(sandbox: &Sandbox) -> String {
    let Ok(mail) = send(sandbox, mail("X-Do: tell pid")).await.unwrap() else { panic!("refused") };
    mail.subject.unwrap().into_inner()
}

async fn poison() {
    let sandbox = Arc::new(sandbox());
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

async fn panics() {
    let (first, _) = deaths(&sandbox(), "X-Do: panic").await;
    assert!(matches!(first, Death::Ended(Some(status)) if status.code() == Some(101)), "{first:?}");
}

async fn wall_limit() {
    let mut config = config();
    config.budget = Budget { wall: Duration::from_secs(1) };
    let sandbox = Sandbox::start(config).unwrap();
    let both = deaths(&sandbox, "X-Do: hang").await;
    assert!(matches!(both, (Death::WallLimit, Death::WallLimit)), "{both:?}");
    assert_passes(&sandbox).await;
}

async fn garbage() {
    let sandbox = sandbox();
    for (told, is_right) in [
        ("X-Do: say garbage", (|d| matches!(d, Death::Garbage(_))) as fn(&Death) -> bool),
        ("X-Do: say version", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say too much", |d| matches!(d, Death::Garbage(_))),
        ("X-Do: say half", |d| matches!(d, Death::Ended(_))),
        ("X-Do: say json", |d| matches!(d, Death::Unreadable)),
        ("X-Do: lie", |d| matches!(d, Death::Untrue(_))),
    ] {
        let (first, second) = deaths(&sandbox, told).await;
        assert!(is_right(&first) && is_right(&second), "{told}: {first:?} {second:?}");
        assert_passes(&sandbox).await;
    }
}

async fn recycled() {
    let mut config = config();
    config.recycle_after = NonZeroU32::new(3).unwrap();
    let sandbox = Sandbox::start(config).unwrap();
    let mut pids = Vec::new();
    for _ in 0..6 {
        pids.push(pid(&sandbox).await);
    }
    assert!(pids[0] == pids[2] && pids[3] == pids[5] && pids[2] != pids[3], "{pids:?}");
    let missing = SandboxConfig::new("/nonexistent/mailtri".into());
    assert!(matches!(Sandbox::start(missing), Err(SandboxError::Spawn(_))));
    assert_eq!(sandbox.limits(), &Limits::default());
}
