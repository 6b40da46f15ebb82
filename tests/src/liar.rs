//! Stands before a real clamd and passes everything on, until it is told to lie about streams.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// How a stream is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Bytes that mean nothing.
    Garbage,
    /// The beginning of a good answer.
    HalfALine,
    /// A good answer, with another one behind it.
    TwoAnswers,
    /// A good answer before the stream has ended.
    Early,
    /// The connection is closed.
    Nothing,
    /// The connection stays open.
    Silence,
}

/// What is lied about, and how.
type Rule = Option<(Lie, Vec<u8>)>;

/// A listener on 127.0.0.1; ends when dropped.
pub struct Liar {
    port: u16,
    rule: Arc<Mutex<Rule>>,
    lies: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Liar {
    /// Stands before the clamd at `address` (`tcp:127.0.0.1:PORT`), and is honest at first.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn before(address: &str) -> Self {
        let clamd = address.strip_prefix("tcp:").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rule, lies) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let shared = (Arc::clone(&rule), Arc::clone(&lies));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (clamd, (rule, lies)) = (clamd.clone(), shared.clone());
                // A connection that breaks is what is tested here.
                tokio::spawn(async move { drop(serve(client, &clamd, &rule, &lies).await) });
            }
        });
        Self { port, rule, lies, task }
    }

    /// What to configure.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("tcp:127.0.0.1:{}", self.port)
    }

    /// Lies so about every stream that holds `needle`; an empty one is in all of them.
    pub fn lie(&self, lie: Lie, needle: &[u8]) {
        self.lies.store(0, Ordering::SeqCst);
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Some((lie, needle.to_vec()));
    }

    /// Is honest again.
    pub fn be_honest(&self) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lies since it was last told to lie.
    #[must_use]
    pub fn lies(&self) -> usize {
        self.lies.load(Ordering::SeqCst)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, clamd: &str, rule: &Mutex<Rule>, lies: &AtomicUsize) -> std::io::Result<()> {
    let mut seen = Vec::new();
    let told = rule.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((lie, needle)) = told {
        let mut buffer = vec![0; 64 * 1024];
        // A command has no stream; a stream is read until its end.
        while !(has_ended(&seen) || lie == Lie::Early && seen.len() > 20) {
            match client.read(&mut buffer).await? {
                0 => return Ok(()),
                read => seen.extend_from_slice(&buffer[..read]),
            }
        }
        // Early is only what comes before the end.
        let told_late = lie == Lie::Early && has_ended(&seen);
        let about_it = seen.windows(needle.len().max(1)).any(|window| window.starts_with(&needle));
        if seen.starts_with(b"zINSTREAM\0") && about_it && !told_late {
            lies.fetch_add(1, Ordering::SeqCst);
            return tell(&mut client, lie).await;
        }
    }
    let mut server = TcpStream::connect(clamd).await?;
    server.write_all(&seen).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Whether all of a command or of a stream was read.
fn has_ended(seen: &[u8]) -> bool {
    let Some(mut chunks) = seen.strip_prefix(b"zINSTREAM\0") else {
        return seen.ends_with(b"\0") && !b"zINSTREAM\0".starts_with(seen);
    };
    while let Some((len, rest)) = chunks.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        if len == 0 {
            return true;
        }
        let Some(rest) = rest.get(len..) else { return false };
        chunks = rest;
    }
    false
}

async fn tell(client: &mut TcpStream, lie: Lie) -> std::io::Result<()> {
    match lie {
        Lie::Garbage => client.write_all(b"\x16\x03\x01\0\xffOK\0").await,
        Lie::HalfALine => client.write_all(b"stream: O").await,
        Lie::TwoAnswers => client.write_all(b"stream: OK\0stream: OK\0").await,
        Lie::Early => client.write_all(b"stream: OK\0").await,
        Lie::Nothing => Ok(()),
        Lie::Silence => {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.map(drop)
        }
    }
}
