//! `make bench-scan`, first half: what the scan reaches of what clamd can do.
//!
//! A bare client pumps bytes from memory into a clamd as fast as it takes them; the product's way (store, ranged read,
//! base64, SHA-256, pool) scans attachments of the same bytes in the same clamd, at the same concurrency, in turns. No byte
//! is scanned twice by a way, and clamd's cache is off. Prints figures and judges none of them.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a measurement for people")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    fs,
    io::{Read, Write},
    num::NonZeroUsize,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{StreamExt, stream};
use mailtri::{
    content::RawMail,
    jobs::Source,
    mail::{
        limits::Limits,
        model::{Part, PartRole},
        parse::parse,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use shared::{
    blobs::{Blobs, Body, Condition, ETag, Put, dir::DirBlobs},
    clamav::{
        Content, Scanner, Verdict,
        endpoint::Endpoint,
        pool::{Pool, PoolConfig, Terms},
        testing::{Options, TestClamd},
    },
};

/// Streams at once.
const AT_ONCE: usize = 4;
/// Turns of each way.
const TURNS: usize = 3;
/// The bare client's chunks.
const CHUNK: usize = 256 * 1024;

#[tokio::main]
async fn main() {
    let clamd = TestClamd::start(Options::default()).await.unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let blobs: Arc<dyn Blobs> = Arc::new(DirBlobs::open(folder.path()).unwrap());
    let pool = pool(&clamd);
    println!("{AT_ONCE} streams at once, {TURNS} turns of each; CPU in ms a scan, of clamd + client");
    println!("{:>9}  {:>27}  {:>27}  ratio", "bytes", "bare: scans/s, CPU", "ours: scans/s, CPU");
    for (size, count) in [(10_000, 300), (1_000_000, 24), (10_000_000, 6)] {
        let mut bench = Bench { clamd: &clamd, blobs: &blobs, pool: &pool, rng: StdRng::seed_from_u64(7), size, count };
        let (mut bare, mut ours) = (Spent::default(), Spent::default());
        for _ in 0..TURNS {
            bare.add(bench.bare().await);
            ours.add(bench.ours().await);
        }
        println!(
            "{size:>9}  {:>13.1} {:>6.2} + {:.2}  {:>13.1} {:>6.2} + {:.2}  {:.1} %",
            bare.rate(),
            bare.clamd * 1000.0 / bare.scans as f64,
            bare.own * 1000.0 / bare.scans as f64,
            ours.rate(),
            ours.clamd * 1000.0 / ours.scans as f64,
            ours.own * 1000.0 / ours.scans as f64,
            100.0 * ours.rate() / bare.rate(),
        );
    }
}

fn pool(clamd: &TestClamd) -> Pool {
    let config = PoolConfig::new(vec![clamd.endpoint_unix()], 40_000_000);
    let terms = Terms { concurrency: NonZeroUsize::new(AT_ONCE).unwrap(), ..config.terms };
    Pool::start(PoolConfig { terms, ..config })
}

/// What some scans took.
#[derive(Default)]
struct Spent {
    scans: usize,
    wall: Duration,
    clamd: f64,
    own: f64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.scans += other.scans;
        self.wall += other.wall;
        self.clamd += other.clamd;
        self.own += other.own;
    }

    fn rate(&self) -> f64 {
        self.scans as f64 / self.wall.as_secs_f64()
    }
}

struct Bench<'a> {
    clamd: &'a TestClamd,
    blobs: &'a Arc<dyn Blobs>,
    pool: &'a Pool,
    rng: StdRng,
    size: usize,
    count: usize,
}

impl Bench<'_> {
    fn contents(&mut self) -> Vec<Bytes> {
        let mut content = || {
            let mut bytes = vec![0; self.size];
            self.rng.fill_bytes(&mut bytes);
            Bytes::from(bytes)
        };
        (0..self.count).map(|_| content()).collect()
    }

    async fn bare(&mut self) -> Spent {
        let contents = self.contents();
        let Endpoint::Unix(socket) = self.clamd.endpoint_unix() else { panic!("a Unix socket") };
        let scans = contents.into_iter().map(|content| {
            let socket = socket.clone();
            async move { tokio::task::spawn_blocking(move || pump(&socket, &content)).await.unwrap() }
        });
        self.measured(scans).await
    }

    async fn ours(&mut self) -> Spent {
        let mut mails = Vec::new();
        for (i, content) in self.contents().into_iter().enumerate() {
            mails.push(store(self.blobs, &format!("raw/{i}"), &content).await);
        }
        let pool = self.pool;
        let scans = mails.iter().map(|(raw, part)| async move {
            let content = Content::new(part.content.len, raw.part(part));
            assert_eq!(pool.scan(content).await.unwrap().verdict, Verdict::Clean);
        });
        self.measured(scans).await
    }

    async fn measured(&self, scans: impl Iterator<Item = impl Future<Output = ()>>) -> Spent {
        let clamd = PathBuf::from(format!("/proc/{}/stat", self.clamd.pid().unwrap()));
        let (own, before, start) = (cpu("/proc/self/stat".into()), cpu(clamd.clone()), Instant::now());
        let scans = stream::iter(scans).buffer_unordered(AT_ONCE).count().await;
        let (wall, own) = (start.elapsed(), cpu("/proc/self/stat".into()) - own);
        Spent { scans, wall, clamd: cpu(clamd) - before, own }
    }
}

/// The least that a client has to do.
fn pump(socket: &PathBuf, content: &[u8]) {
    let mut clamd = UnixStream::connect(socket).unwrap();
    clamd.write_all(b"zINSTREAM\0").unwrap();
    for chunk in content.chunks(CHUNK) {
        clamd.write_all(&u32::try_from(chunk.len()).unwrap().to_be_bytes()).unwrap();
        clamd.write_all(chunk).unwrap();
    }
    clamd.write_all(&[0; 4]).unwrap();
    let mut answer = Vec::new();
    clamd.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"stream: OK\0");
}

/// A stored mail with the content attached, and the attachment.
async fn store(blobs: &Arc<dyn Blobs>, key: &str, content: &[u8]) -> (RawMail, Part) {
    let mut raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
        Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    for line in content.chunks(57) {
        raw.extend_from_slice(BASE64_STANDARD.encode(line).as_bytes());
        raw.extend_from_slice(b"\r\n");
    }
    let mail = parse(&raw, &Limits::default(), &[]).unwrap();
    let part = mail.parts.into_iter().find(|part| part.role == PartRole::Attachment).unwrap();
    let size = raw.len() as u64;
    let Put::Stored(meta) = blobs.put(key, Body::from(raw), Condition::Always).await.unwrap() else { panic!("{key}") };
    let etag: ETag = meta.etag;
    let source = Source { bucket: "local".to_owned(), key: key.to_owned(), etag, version: None, size };
    (RawMail::Stored(Arc::clone(blobs), source), part)
}

/// CPU time of a process, in seconds: Linux counts in hundredths (proc(5)).
fn cpu(stat: PathBuf) -> f64 {
    let text = fs::read_to_string(stat).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
