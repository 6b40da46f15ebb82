//! The child that misbehaves: locked down and served like the real one, it does what a mail's first line says.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use mailtri::mail::parse::parse;
use mailtri::sandbox::child::{child_main, hello, serve};
use mailtri::sandbox::task::Parse;
use mailtri::sandbox::{Lockdown, Request, Task};
use rustix::process::{getppid, test_kill_process};
use shared::pii::Pii;

use super::degraded;
use super::given::{REAL, WITHOUT_LANDLOCK, WITHOUT_SECCOMP};

/// The child that this name asks for.
pub(crate) fn child(program: &str) -> ExitCode {
    if program.contains(WITHOUT_LANDLOCK) {
        degraded::take_away(&degraded::LANDLOCK);
    }
    if program.contains(WITHOUT_SECCOMP) {
        degraded::take_away(&degraded::SECCOMP);
    }
    if program.contains(REAL) {
        return child_main();
    }
    let mut output = std::io::stdout().lock();
    hello(&mut output, &Lockdown::apply()).unwrap();
    let served = serve(&mut std::io::stdin().lock(), &mut output, answer);
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn answer(request: &Request, raw: &[u8]) -> serde_json::Result<Vec<u8>> {
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(order) = std::str::from_utf8(line).unwrap_or_default().strip_prefix("X-Do: ") else {
        return request.answer(raw);
    };
    let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
    let task = match request {
        Request::Parse(task) => task,
        Request::Walk(_) => {
            act(verb, rest);
            return request.answer(raw);
        }
        Request::Verify(_) => return request.answer(raw),
    };
    let mut mail = parse(raw, &task.limits, &task.recipients).unwrap();
    match verb {
        "lie" => mail.parts[0].address.0[0].end += 1_000_000,
        "tell" => mail.subject = Some(Pii::new(tell(rest))),
        _ => act(verb, rest),
    }
    Parse::write(Ok(mail))
}

/// What ends a child, or is meant to.
fn act(verb: &str, rest: &str) {
    match verb {
        "exit" => std::process::exit(7),
        "panic" => panic!("as told"),
        "abort" => std::process::abort(),
        "hang" => loop {
            std::thread::park();
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        "recurse" => drop(recurse(0)),
        "allocate" => drop(vec![1_u8; rest.parse::<usize>().unwrap() << 20]),
        "leave" if rest == std::process::id().to_string() => std::process::exit(7),
        "leave" => {}
        "keep" => std::mem::forget(vec![1_u8; rest.parse::<usize>().unwrap() << 20]),
        "say" => say(rest),
        _ => drop(forbidden(verb, rest)),
    }
}

fn recurse(depth: u64) -> u64 {
    let fill = std::hint::black_box([depth; 64]);
    if depth < u64::MAX { recurse(depth + 1) + fill[0] } else { 0 }
}

/// Everything that a mail which took its child over would like to do; what came of it, where the child lives on.
pub(crate) const FORBIDDEN: &[&str] = &[
    "open", "write", "mkdir", "stat", "list", "tcp", "udp", "unix", "spawn", "exec", "thread", "signal", "sleep",
    "stderr",
];

fn forbidden(verb: &str, rest: &str) -> std::io::Result<()> {
    match verb {
        "open" => fs::File::open("/etc/passwd").map(drop),
        "write" => fs::write(rest, "x"),
        "mkdir" => fs::create_dir(rest),
        "stat" => fs::metadata("/etc/passwd").map(drop),
        "list" => fs::read_dir("/").map(drop),
        "tcp" => TcpStream::connect("127.0.0.1:9").map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "unix" => UnixStream::connect("/run/clamav/clamd.ctl").map(drop),
        "spawn" => Command::new("/bin/true").spawn().map(drop),
        "exec" => Err(Command::new("/bin/true").exec()),
        "thread" => std::thread::Builder::new().spawn(|| {}).map(drop),
        "signal" => Ok(test_kill_process(getppid().unwrap())?),
        // Reading is for standard input alone, writing for the other two.
        "stderr" => Ok(rustix::io::read(std::io::stderr(), &mut [0; 1]).map(|_| ())?),
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_secs(1));
            Ok(())
        }
        other => panic!("{other} is not something to do"),
    }
}

fn tell(rest: &str) -> String {
    if rest == "pid" {
        return std::process::id().to_string();
    }
    let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    forbidden(verb, rest).map_or_else(|error| format!("{:?}", error.kind()), |()| "done".to_owned())
}

/// Says something else than an answer, and goes.
fn say(what: &str) {
    let bytes: &[u8] = match what {
        "garbage" => b"HTTP/1.1 200 OK\r\n\r\n",
        "version" => b"MT\x09\x03\x02\0\0\0{}",
        "too much" => b"MT\x02\x03\xff\xff\xff\xff",
        "half" => b"MT\x02\x03\xff\0\0\0{",
        "json" => b"MT\x02\x03\x02\0\0\0{}",
        "twice" => b"MT\x02\x03\x02\0\0\0{}MT\x02\x03\x02\0\0\0{}",
        "hello again" => b"MT\x02\x04\x02\0\0\0{}",
        "nested" => &nested(),
        other => panic!("{other} is not something to say"),
    };
    // The lock that the server holds is this thread's own.
    std::io::stdout().write_all(bytes).unwrap();
    std::io::stdout().flush().unwrap();
    std::process::exit(0)
}

/// An answer of 200,000 brackets.
fn nested() -> Vec<u8> {
    let json = [b"{\"Ok\":".to_vec(), vec![b'['; 200_000]].concat();
    let len = u32::try_from(json.len()).unwrap().to_le_bytes();
    [b"MT\x02\x03".to_vec(), len.to_vec(), json].concat()
}
