//! `make bench-parse`: processor time for one mail, of a bare loop over the libraries, of the stage through the sandbox, and of
//! the peers in Node and Python, in one run over one generated corpus.
//!
//! Prints figures and judges none of them. This program is its own sandbox child.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

mod corpus;

use std::{
    fs,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use bytes::Bytes;
use mail_parser::{MessageParser, PartKind};
use mailtri::{
    mail::{limits::Limits, parse::parse},
    sandbox::{Sandbox, SandboxConfig, child::child_main, pool::SUBCOMMAND},
};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

/// How often the corpus is gone through, after once to warm up.
const ROUNDS: u32 = 5;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SUBCOMMAND) {
        return child_main();
    }
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/bench-parse".to_owned()));
    let mails: Vec<Bytes> = corpus::generate().into_iter().map(Bytes::from).collect();
    write(&folder.join("corpus"), &mails);
    let total: usize = mails.iter().map(Bytes::len).sum();
    let html: Vec<usize> = mails.iter().flat_map(|mail| html_sizes(mail)).collect();
    println!(
        "{} mails, mean {} KB; {} HTML bodies, {:.1} MB",
        mails.len(),
        total / mails.len() / 1000,
        html.len(),
        mega(html.iter().sum())
    );

    let bare = in_process(&mails, bare);
    let digests = in_process(&mails, digests);
    let direct = in_process(&mails, |mail| drop(parse(mail, &Limits::default(), &[]).unwrap()));
    let stage = through_the_sandbox(&mails);
    let mut rows = vec![
        ("mail-parser and ammonia, a bare loop".to_owned(), Some(bare)),
        ("SHA-256 of the mails and of their parts, alone".to_owned(), Some(digests)),
        ("the parse in process".to_owned(), Some(direct)),
        ("the parse through the sandbox (parent and child)".to_owned(), Some(stage)),
    ];
    let peers = [
        ("Node: mailparser, sanitize-html", "node", "peer.mjs"),
        ("Python: fast-mail-parser, nh3", "venv/bin/python", "peer.py"),
    ];
    for (name, program, script) in peers {
        rows.push((name.to_owned(), peer(&folder, program, script)));
    }
    println!("{:<52}{:>12}{:>22}", "processor time", "µs a mail", "of the sandbox's");
    for (name, time) in rows {
        match time {
            Some(time) => println!(
                "{name:<52}{:>12.0}{:>21.2}×",
                time.as_secs_f64() * 1e6,
                time.as_secs_f64() / stage.as_secs_f64()
            ),
            None => println!("{name:<52}{:>12}", "did not run"),
        }
    }
    ExitCode::SUCCESS
}

fn mega(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap()) / 1e6
}

/// What a program without limits, checks and digests would do: read every part, clean every HTML body.
fn bare(raw: &[u8]) {
    let message = MessageParser::default().parse(raw).unwrap();
    let mut seen = 0;
    for part in message.parts() {
        match part.kind() {
            PartKind::Html => seen += ammonia::clean(&part.text().unwrap_or_default()).len(),
            PartKind::Text => seen += part.text().unwrap_or_default().len(),
            PartKind::Binary => seen += part.decoded().len(),
            _ => {}
        }
    }
    std::hint::black_box(seen);
}

/// What the parse owes the scan beside that: digests of the mail and of each decoded part.
fn digests(raw: &[u8]) {
    let message = MessageParser::default().parse(raw).unwrap();
    std::hint::black_box(Sha256::digest(raw));
    for part in message.parts().filter(|part| !part.is_multipart() && !part.is_message()) {
        std::hint::black_box(Sha256::digest(&*part.decoded()));
    }
}

fn html_sizes(raw: &[u8]) -> Vec<usize> {
    let message = MessageParser::default().parse(raw).unwrap();
    let html = message.parts().filter(|part| matches!(part.kind(), PartKind::Html));
    html.map(|part| part.text().unwrap_or_default().len()).collect()
}

/// Processor time of this process for a mail.
fn in_process(mails: &[Bytes], work: impl Fn(&[u8])) -> Duration {
    mails.iter().for_each(|mail| work(mail));
    let before = own_time();
    (0..ROUNDS).for_each(|_| mails.iter().for_each(|mail| work(mail)));
    a_mail(own_time() - before, mails)
}

/// Processor time of this process and its child for a mail.
fn through_the_sandbox(mails: &[Bytes]) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = SandboxConfig::new(std::env::current_exe().unwrap());
        config.processes = NonZeroUsize::MIN;
        // One child throughout, so that no account is lost with it.
        config.recycle_after = NonZeroU32::MAX;
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut before = Duration::ZERO;
        for round in 0..=ROUNDS {
            if round == 1 {
                before = own_time() + childrens_time();
            }
            for mail in mails {
                sandbox.parse(mail.clone(), vec![]).await.unwrap().unwrap();
            }
        }
        a_mail(own_time() + childrens_time() - before, mails)
    })
}

fn a_mail(time: Duration, mails: &[Bytes]) -> Duration {
    time / ROUNDS / u32::try_from(mails.len()).unwrap()
}

fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Processor time of the children: of those that are alive, each a single thread, and of those that the pool has replaced.
fn childrens_time() -> Duration {
    let me = std::process::id().to_string();
    let stat = |path: &Path| fs::read_to_string(path.join("stat")).unwrap_or_default();
    // proc_pid_stat(5), counted behind the name: 1 is the parent, 13 and 14 are the times of children that were waited for.
    let field = |stat: &str, index: usize| {
        stat.rsplit_once(") ").and_then(|(_, rest)| Some(rest.split(' ').nth(index)?.to_owned()))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let alive = processes.filter(|path| field(&stat(path), 1).as_ref() == Some(&me)).filter_map(|path| {
        let schedule = fs::read_to_string(path.join("schedstat")).ok()?;
        schedule.split(' ').next()?.parse::<u64>().ok()
    });
    let own = stat(Path::new("/proc/self"));
    let ticks: u64 = [13, 14].iter().map(|index| field(&own, *index).unwrap().parse::<u64>().unwrap()).sum();
    let gone = Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second());
    Duration::from_nanos(alive.sum()) + gone
}

fn write(corpus: &Path, mails: &[Bytes]) {
    fs::create_dir_all(corpus).unwrap();
    for (number, mail) in mails.iter().enumerate() {
        fs::write(corpus.join(format!("{number:03}.eml")), mail).unwrap();
    }
}

/// A peer's own account of its processor time for a mail, in microseconds on its last line.
fn peer(folder: &Path, program: &str, script: &str) -> Option<Duration> {
    let own = folder.join(program);
    let program =
        if own.exists() { fs::canonicalize(own.parent()?).ok()?.join(own.file_name()?) } else { program.into() };
    let output =
        Command::new(program).current_dir(folder).args([script, "corpus", &ROUNDS.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().last()?.trim().parse().ok().map(Duration::from_secs_f64).map(|seconds| seconds / 1_000_000)
}
