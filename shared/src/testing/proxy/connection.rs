//! One connection: reads a request, does what its rule says, and lets the answer through as it comes.
//!
//! Clients of HTTP/1.1 do not send a request before the last answer has ended, so answers need no parsing: their bytes
//! go through in the shape that the request's rule asked for.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf},
    },
    sync::{Mutex, watch},
    time::sleep,
};

use super::{Answer, Fault, Shared};

const CHUNK: usize = 16 * 1024;
const MAX_HEAD: usize = 64 * 1024;

/// How an answer goes through.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    bytes_per_second: Option<u32>,
    /// The connection ends after so many bytes.
    left: Option<u64>,
    /// … with a reset.
    reset: bool,
    /// Nothing goes through.
    lost: bool,
}

type ToClient<'a> = Mutex<WriteHalf<'a>>;

pub(super) async fn serve(mut client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) -> io::Result<()> {
    let (from_upstream, to_upstream) = TcpStream::connect(upstream).await?.into_split();
    // Borrowed halves: an owned one ends the connection in order when it is dropped, which no reset may follow.
    let (from_client, to_client) = client.split();
    let to_client = Mutex::new(to_client);
    let (shape, shapes) = watch::channel(Shape::default());
    let requests = Requests { from_client, to_client: &to_client, to_upstream, upstream, shape, read: Vec::new() };
    let reset = tokio::select! {
        ended = requests.run(&shared) => ended.map(|()| false),
        ended = answers(from_upstream, &to_client, shapes) => ended,
    };
    if reset? { client.set_zero_linger() } else { Ok(()) }
}

/// Lets answers through until the upstream or a fault ends the connection. Says whether with a reset.
async fn answers(mut from: OwnedReadHalf, to: &ToClient<'_>, mut shapes: watch::Receiver<Shape>) -> io::Result<bool> {
    let (mut chunk, mut passed) = (vec![0; CHUNK], 0_u64);
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(false);
        }
        if shapes.has_changed().unwrap_or(false) {
            passed = 0;
        }
        let shape = *shapes.borrow_and_update();
        if shape.lost {
            continue;
        }
        let left = shape.left.map_or(u64::MAX, |most| most - passed.min(most));
        let passing = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        pass(&chunk[..passing], to, shape.bytes_per_second).await?;
        passed += passing as u64;
        if shape.left == Some(passed) {
            return Ok(shape.reset);
        }
    }
}

/// Writes at the given rate, a tenth of a second's worth at a time.
async fn pass(bytes: &[u8], to: &ToClient<'_>, bytes_per_second: Option<u32>) -> io::Result<()> {
    let Some(rate) = bytes_per_second else { return to.lock().await.write_all(bytes).await };
    for piece in bytes.chunks(usize::try_from(rate / 10).unwrap_or(CHUNK).max(1)) {
        to.lock().await.write_all(piece).await?;
        sleep(Duration::from_secs(piece.len() as u64) / rate).await;
    }
    Ok(())
}

struct Requests<'a> {
    from_client: ReadHalf<'a>,
    to_client: &'a Mutex<WriteHalf<'a>>,
    to_upstream: OwnedWriteHalf,
    upstream: SocketAddr,
    shape: watch::Sender<Shape>,
    /// What was read and not yet passed on.
    read: Vec<u8>,
}

impl Requests<'_> {
    async fn run(mut self, shared: &Shared) -> io::Result<()> {
        while let Some(head) = self.head().await? {
            let fault = shared.note(&head);
            self.shape.send_replace(shape(fault.as_ref()));
            match fault {
                Some(Fault::BlackHole) => return pending().await,
                Some(Fault::Answer(answer)) => return self.answer(&head, &answer).await,
                Some(Fault::Latency(wait)) => sleep(wait).await,
                Some(Fault::Repeat(times)) => {
                    self.repeat(&head, times).await?;
                    continue;
                }
                _ => {}
            }
            self.to_upstream.write_all(head.as_bytes()).await?;
            self.pass_body(body_length(&head)?).await?;
        }
        Ok(())
    }

    /// The next request's head, its empty line included; `None` when the client is done.
    async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).map(Some).map_err(|_| invalid("the head is no text"));
            }
            if self.read.len() > MAX_HEAD {
                return Err(invalid("the head is too long"));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.from_client.read_buf(&mut self.read).await
    }

    async fn pass_body(&mut self, mut left: usize) -> io::Result<()> {
        while left > 0 {
            if self.read.is_empty() && self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let passing = self.read.len().min(left);
            self.to_upstream.write_all(&self.read[..passing]).await?;
            self.read.drain(..passing);
            left -= passing;
        }
        Ok(())
    }

    async fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..length).collect())
    }

    /// Answers by itself and closes the connection.
    async fn answer(&mut self, head: &str, answer: &Answer) -> io::Result<()> {
        // Who expects a 100 sends no body before it.
        if !head.to_ascii_lowercase().contains("100-continue") {
            self.body(body_length(head)?).await?;
        }
        let mut text = format!("HTTP/1.1 {} Injected\r\nconnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", answer.body.len(), answer.body));
        let mut to = self.to_client.lock().await;
        to.write_all(text.as_bytes()).await?;
        to.shutdown().await
    }

    /// Carries the request out `times` times, each before the next; the client sees the last answer only.
    async fn repeat(&mut self, head: &str, times: u32) -> io::Result<()> {
        let body = self.body(body_length(head)?).await?;
        let once = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        for _ in 1..times {
            let mut copy = TcpStream::connect(self.upstream).await?;
            copy.write_all(once.as_bytes()).await?;
            copy.write_all(&body).await?;
            copy.read_to_end(&mut Vec::new()).await?;
        }
        self.to_upstream.write_all(head.as_bytes()).await?;
        self.to_upstream.write_all(&body).await
    }
}

fn shape(fault: Option<&Fault>) -> Shape {
    match fault {
        Some(Fault::Throttle(rate)) => Shape { bytes_per_second: Some((*rate).max(1)), ..Shape::default() },
        Some(Fault::CutAfter(bytes)) => Shape { left: Some(*bytes), ..Shape::default() },
        Some(Fault::ResetAfter(bytes)) => Shape { left: Some(*bytes), reset: true, ..Shape::default() },
        Some(Fault::LoseAnswer) => Shape { lost: true, ..Shape::default() },
        _ => Shape::default(),
    }
}

fn body_length(head: &str) -> io::Result<usize> {
    let fields = || head.lines().filter_map(|line| line.split_once(':'));
    let field = |name: &str| fields().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    if field("transfer-encoding").is_some() {
        return Err(invalid("requests need a content-length"));
    }
    field("content-length").map_or(Ok(0), |length| length.parse().map_err(|_| invalid("bad content-length")))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
