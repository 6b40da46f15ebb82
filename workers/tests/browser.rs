//! What the sanitiser lets through, in a real browser: no script runs and no request leaves.
//!
//! Every case of `tests/fixtures/xss.txt` gets a frame of its own in headless Chromium, every event that has a name is sent to
//! every element, and every link with a scheme of its own is clicked. All host names lead to a server of the test, so
//! that a request to anywhere is seen. The same cases as they were written show that the page would tell.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../src/mail/sanitise/xss.rs"]
mod xss;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
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

use mailtri::mail::{limits::Limits, sanitise::sanitise};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// A host name that leads to the test's server, as every other does.
const HOST: &str = "canary.example";
/// How many frames a page has.
const FRAMES: usize = 250;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn no_script_runs_and_no_request_leaves() {
    let (written, generated) = (xss::written(), xss::generated());
    // In full with SOAK=1: it takes a browser two minutes.
    let step = if std::env::var_os("SOAK").is_some() { 1 } else { 6 };
    let others = generated.into_iter().chain(xss::wrapped(11)).step_by(step);
    let cases: Vec<String> = written.into_iter().chain(others).map(|case| case.replace("HOST", HOST)).collect();
    assert!(cases.len() > 700, "{}", cases.len());
    let limits = Limits { html_budget: Duration::from_secs(60), ..Limits::default() };
    let cleaned: Vec<String> = cases.iter().map(|case| sanitise(case, &limits).unwrap().html).collect();
    let seen = show(&cleaned);
    let ran: Vec<_> = seen.ran.iter().map(|n| (&cases[*n], &cleaned[*n])).collect();
    assert!(ran.is_empty(), "{ran:#?}");
    // Read by the browser and written again it is the same: what comes after it reads what was checked here.
    let differ: Vec<_> = seen.differ.iter().map(|n| (&cases[*n], &cleaned[*n])).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(seen.requests.is_empty(), "{:#?}", seen.requests);
}

#[test]
fn the_page_tells_of_scripts_and_requests() {
    let cases: Vec<String> = xss::written().into_iter().map(|case| case.replace("HOST", HOST)).collect();
    let seen = show(&cases);
    assert!(seen.ran.len() > 80, "{} of {}", seen.ran.len(), cases.len());
    let asked = |what: &str| seen.requests.iter().any(|request| request.contains(HOST) && request.contains(what));
    assert!(["/t.gif", "/s.css", "/b.gif"].iter().any(|what| asked(what)), "{:#?}", seen.requests);
    assert!(seen.requests.len() > 10, "{:#?}", seen.requests);
}

/// What happened while cases were shown.
#[derive(Debug, Default)]
struct Seen {
    /// The cases whose script ran.
    ran: BTreeSet<usize>,
    /// The cases that the browser writes otherwise than they were.
    differ: BTreeSet<usize>,
    /// The requests that left: method, path and host.
    requests: Vec<String>,
}

fn show(cases: &[String]) -> Seen {
    let server = Server::start(cases);
    let mut browser = Browser::start(server.port);
    for _ in 0..cases.len().div_ceil(FRAMES) {
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
    fn start(cases: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages: Arc<Vec<String>> = Arc::new(pages(cases));
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
        Some(("done", _)) if own => tell.send(()).ok()?,
        _ if own && path == "/favicon.ico" => {}
        // The browser looks for its maker, its proxy and its name servers by itself.
        _ if !own && !host.ends_with(".example") => {}
        _ => seen.lock().unwrap().requests.push(format!("{first} {host}")),
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\nContent-Length";
    write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).ok()
}

fn pages(cases: &[String]) -> Vec<String> {
    let count = cases.len().div_ceil(FRAMES);
    let page = |(number, cases): (usize, &[String])| {
        let mut page = String::from("<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body>");
        for (index, case) in cases.iter().enumerate() {
            let case_number = number * FRAMES + index;
            let own = format!("<script>window.xss = () => parent.ran({case_number})</script>");
            let document = format!("<!doctype html><meta charset=utf-8>{own}<div>{case}</div>")
                .replace('&', "&amp;")
                .replace('"', "&quot;");
            let _ = write!(page, "<iframe width=50 height=50 srcdoc=\"{document}\"></iframe>");
        }
        let next = if number + 1 < count { format!("location = '/page/{}'", number + 1) } else { String::new() };
        let events: String = xss::words("@events").iter().fold(String::new(), |all, event| format!("{all}'{event}',"));
        let _ = write!(
            page,
            "<script>{}</script>",
            SCRIPT
                .replace("EVENTS", &events)
                .replace("NEXT", &next)
                .replace("NUMBER", &number.to_string())
                .replace("FIRST", &(number * FRAMES).to_string())
        );
        page
    };
    cases.chunks(FRAMES).enumerate().map(page).collect()
}

/// Sends every event to every element, clicks what has a scheme of its own, and waits for what comes of it.
const SCRIPT: &str = r"
const told = new Set();
window.ran = n => { if (!told.has(n)) { told.add(n); fetch('/ran/' + n) } };
const poke = element => {
  for (const name of [EVENTS]) try { element.dispatchEvent(new Event(name)) } catch {}
  const address = element.href ?? element.action;
  const text = String(address?.baseVal ?? address ?? 'http:');
  if (!/^(https?|mailto|tel):/.test(text)) try { element.click ? element.click() : element.dispatchEvent(new MouseEvent('click', { bubbles: true })) } catch {}
};
addEventListener('load', () => {
  document.querySelectorAll('iframe').forEach((frame, index) => {
    const written = frame.contentDocument?.querySelector('div')?.innerHTML;
    if (written !== frame.srcdoc.slice(frame.srcdoc.indexOf('<div>') + 5, -6)) fetch('/differs/' + (index + FIRST))
  });
  for (const frame of document.querySelectorAll('iframe')) try { frame.contentDocument.querySelectorAll('*').forEach(poke) } catch {}
  setTimeout(async () => { await fetch('/done/NUMBER'); NEXT }, 1000);
});
";
