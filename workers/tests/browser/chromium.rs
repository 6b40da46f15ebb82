//! Headless Chromium and the server that it reads pages from. Every host name leads to that server, so that a request to
//! anywhere is seen.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// What the pages told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The cases whose script ran.
    pub(crate) ran: BTreeSet<usize>,
    /// The cases that the browser writes otherwise than they were.
    pub(crate) differ: BTreeSet<usize>,
    /// The cases that were seen outside their place.
    pub(crate) outside: BTreeSet<usize>,
    /// The requests that left: method, path and host.
    pub(crate) requests: Vec<String>,
}

/// Shows the pages one after another. Each tells the server what it sees (`/ran/1`, `/differs/1`, `/outside/1`) and
/// that it is done (`/done/`), and leads to the next by itself.
pub(crate) fn show(pages: Vec<String>) -> Seen {
    let count = pages.len();
    let server = Server::start(pages);
    let mut browser = Browser::start(server.port);
    for _ in 0..count {
        let done = server.done.recv_timeout(PATIENCE);
        assert!(done.is_ok(), "a page did not end: {:?}", browser.process.try_wait());
    }
    drop(browser);
    std::mem::take(&mut server.seen.lock().unwrap())
}

/// A browser with a group and a profile of its own, which end with it.
struct Browser {
    process: Child,
    profile: Option<TempDir>,
}

impl Browser {
    fn start(port: u16) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
            ])
            .args(["--disable-default-apps", "--no-default-browser-check", "--disable-client-side-phishing-detection"])
            .args(["--no-proxy-server", "--autoplay-policy=no-user-gesture-required", "--mute-audio"])
            .arg(format!("--host-resolver-rules=MAP * 127.0.0.1:{port}, EXCLUDE 127.0.0.1"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("http://127.0.0.1:{port}/page/0"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Its helpers hear of its end together with it.
        command.process_group(0);
        let process = command.spawn().expect("chromium: `make servers` installs it");
        Self { process, profile: Some(profile) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
        // A helper may write until it is gone, which is when the folder can be emptied.
        let Some(path) = self.profile.take().map(TempDir::keep) else { return };
        let end = Instant::now() + Duration::from_secs(60);
        while std::fs::remove_dir_all(&path).is_err() && path.exists() && Instant::now() < end {
            thread::yield_now();
        }
        assert!(!path.exists() || thread::panicking(), "{} stays", path.display());
    }
}

struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    done: Receiver<()>,
}

impl Server {
    fn start(pages: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages = Arc::new(pages);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (tell, done) = channel();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (pages, seen, tell) = (Arc::clone(&pages), Arc::clone(&shared), tell.clone());
                thread::spawn(move || answer(&stream, port, &pages, &seen, &tell));
            }
        });
        Self { port, seen, done }
    }
}

/// Answers one request. What is not the page's own is what must not be asked for.
fn answer(mut stream: &TcpStream, port: u16, pages: &[String], seen: &Mutex<Seen>, tell: &Sender<()>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let host = lines.take_while(|line| !line.is_empty()).find_map(|line| Some(line.strip_prefix("Host: ")?.to_owned()));
    let (host, path) = (host?, first.split(' ').nth(1)?);
    let mut body = "";
    let own = host == format!("127.0.0.1:{port}");
    match path.trim_start_matches('/').split_once('/') {
        Some(("page", number)) if own => body = pages.get(number.parse::<usize>().ok()?)?,
        Some(("ran", number)) if own => {
            seen.lock().unwrap().ran.insert(number.parse().ok()?);
        }
        Some(("differs", number)) if own => {
            seen.lock().unwrap().differ.insert(number.parse().ok()?);
        }
        Some(("outside", number)) if own => {
            seen.lock().unwrap().outside.insert(number.parse().ok()?);
        }
        Some(("done", _)) if own => tell.send(()).ok()?,
        _ if own && path == "/favicon.ico" => {}
        // The browser looks for its maker, its proxy and its name servers by itself.
        _ if !own && !host.ends_with(".example") => {}
        _ => seen.lock().unwrap().requests.push(format!("{first} {host}")),
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\nContent-Length";
    write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).ok()
}
