//! An HTTP proxy before the emulator that notes every request and plays one fault a request.
//!
//! One request a connection; a request is read whole before it is passed on.

use std::{
    collections::BTreeMap,
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
    time::sleep,
};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// It is answered by the emulator.
    Pass,
    /// It is answered with this status and error code.
    Answer(u16, &'static str),
    /// It is answered with these bytes.
    Raw(Vec<u8>),
    /// The answer ends after so many bytes of its body.
    Cut(usize),
    /// One byte of the answer's body is another one.
    Flip(usize),
    /// The answer stands still after so many bytes of its body.
    Pause(usize, Duration),
    /// The connection closes after so many bytes of the request's body.
    CutUpload(usize),
    /// It is passed on, and the connection closes without an answer.
    LoseAnswer,
    /// It is never answered.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.line.starts_with(&format!("{method} "))
    }

    fn parse(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        Self { line, headers: headers.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())).collect() }
    }
}

type Script = dyn Fn(usize, &Request) -> Turn + Send + Sync;

/// A running proxy; dropping it ends it.
pub(super) struct Proxy {
    port: u16,
    state: Arc<State>,
    task: AbortHandle,
}

struct State {
    upstream: u16,
    script: Box<Script>,
    seen: Mutex<Vec<Request>>,
    /// Bytes of requests' bodies that came so far.
    received: watch::Sender<usize>,
}

impl Proxy {
    /// Starts a proxy before the port `upstream`; `script` tells what happens to each request, counted from 0.
    pub(super) async fn start(upstream: u16, script: impl Fn(usize, &Request) -> Turn + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, received) = (Mutex::default(), watch::Sender::new(0));
        let state = Arc::new(State { upstream, script: Box::new(script), seen, received });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&serving);
                // A client that goes away is what many tests are about.
                tokio::spawn(async move { state.serve(client).await.ok() });
            }
        });
        Self { port, state, task: task.abort_handle() }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(super) fn received(&self) -> watch::Receiver<usize> {
        self.state.received.subscribe()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = head_end(&bytes) {
                break at;
            }
            if client.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let request = Request::parse(std::str::from_utf8(&bytes[..head - 4]).unwrap());
        let turn = self.note(&request);
        let len: usize = request.header("content-length").map_or(0, |len| len.parse().unwrap());
        let wanted = if let Turn::CutUpload(at) = turn { at.min(len) } else { len };
        while bytes.len() < head + wanted {
            let count = client.read_buf(&mut bytes).await?;
            if count == 0 {
                return Ok(());
            }
            self.received.send_modify(|received| *received += count);
        }
        self.play(turn, client, &bytes[..head], &bytes[head..]).await
    }

    fn note(&self, request: &Request) -> Turn {
        let mut seen = self.seen.lock().unwrap();
        seen.push(request.clone());
        (self.script)(seen.len() - 1, request)
    }

    async fn play(&self, turn: Turn, mut client: TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
        match turn {
            Turn::CutUpload(_) => return Ok(()),
            Turn::Hang => pending::<()>().await,
            Turn::Raw(answer) => return client.write_all(&answer).await,
            Turn::Answer(status, code) => {
                let xml =
                    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>scripted</Message></Error>");
                let head =
                    format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", xml.len());
                return client.write_all((head + &xml).as_bytes()).await;
            }
            Turn::LoseAnswer => return self.forward(head, body).await.map(drop),
            Turn::Pass | Turn::Cut(_) | Turn::Flip(_) | Turn::Pause(..) => {}
        }
        let mut answer = self.forward(head, body).await?;
        let body = head_end(&answer).unwrap();
        match turn {
            Turn::Cut(at) => answer.truncate(body + at),
            Turn::Flip(at) => answer[body + at] ^= 1,
            Turn::Pause(at, time) => {
                client.write_all(&answer[..body + at]).await?;
                sleep(time).await;
                return client.write_all(&answer[body + at..]).await;
            }
            _ => {}
        }
        client.write_all(&answer).await
    }

    /// The emulator's whole answer, marked as the last one of its connection.
    async fn forward(&self, head: &[u8], body: &[u8]) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(("127.0.0.1", self.upstream)).await?;
        let mut request = closing(head);
        request.extend_from_slice(body);
        upstream.write_all(&request).await?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).await?;
        let head = head_end(&answer).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut marked = closing(&answer[..head]);
        marked.extend_from_slice(&answer[head..]);
        Ok(marked)
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// A head that says that its connection ends.
fn closing(head: &[u8]) -> Vec<u8> {
    let head = std::str::from_utf8(head).unwrap().trim_end();
    let kept = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let lines: Vec<&str> = kept.chain(["connection: close", "", ""]).collect();
    lines.join("\r\n").into_bytes()
}
