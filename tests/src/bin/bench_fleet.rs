//! `make bench-fleet`: processor time for a mail's whole way on one machine: queue, store, parse, sanitise, scan of the mail
//! and of its parts, a limit, a signed webhook. Of the workers with their children, beside that of clamd.
//!
//! Prints figures beside their goals and judges none of them. An argument says how many mails.

use std::{fmt::Write, fs, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails},
    process::{self, Process},
    receiver::Receiver,
    soak::{scale, seeded},
};

const LIMIT: Duration = Duration::from_secs(600);
/// No mail waits for a turn of it, and all are charged.
const SENDERS: &str = "by = \"sender\"\nrate = \"100000/sec\"";
/// What is submitted at once: a command's arguments are bounded.
const BATCH: usize = 100;

/// A kind of traffic, and its goal in milliseconds a mail.
struct Mix {
    name: &'static str,
    goal: f64,
    mail: fn(&mut Mails, &mut StdRng) -> Mail,
}

const MIXES: [Mix; 3] = [
    Mix { name: "text, 4-8 KB", goal: 0.7, mail: text },
    Mix { name: "newsletter, 20-60 KB of HTML", goal: 1.5, mail: newsletter },
    Mix { name: "mixed, 15 % with 50 KB-2 MB attached", goal: 2.0, mail: mixed },
];

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| scale(1_000, 5_000));
    println!("{count} mails each; ms of processor time a mail, MiB at most");
    println!("{:<40}{:>8}{:>8}{:>10}{:>8}{:>8}", "", "workers", "goal", "children", "clamd", "memory");
    for mix in MIXES {
        measure(&mix, count).await;
    }
}

async fn measure(mix: &Mix, count: usize) {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("limit.senders", SENDERS));
    let (mut source, mut rng) = (Mails::new("bench", seeded("bench-fleet")), seeded("bench-fleet sizes"));
    let mails: Vec<Mail> = (0..count).map(|_| (mix.mail)(&mut source, &mut rng)).collect();
    for batch in mails.chunks(BATCH) {
        fleet.submit(batch).await;
    }
    mails.iter().for_each(|mail| receiver.expect("/hook", mail));
    let scanner = clamd.pid().and_then(|pid| pid.try_into().ok()).unwrap();
    let scanned = process::usage(scanner).cpu;
    let worker = fleet.local().await;
    receiver.wait_complete(LIMIT).await.assert_sound();
    let (own, children) = (worker.usage().cpu, children(&worker));
    let memory: u64 = worker.children().into_iter().chain([worker.pid()]).map(high_water).sum();
    let a_mail = |seconds: f64| seconds * 1_000.0 / f64::from(u32::try_from(count).unwrap());
    println!(
        "{:<40}{:>8.2}{:>8.1}{:>10.2}{:>8.2}{:>8}",
        mix.name,
        a_mail(own + children),
        mix.goal,
        a_mail(children),
        a_mail(process::usage(scanner).cpu - scanned),
        memory / 1024,
    );
    worker.stop(LIMIT).await;
}

/// What its children have cost, those that are gone included, in seconds.
fn children(worker: &Process) -> f64 {
    let alive: f64 = worker.children().into_iter().map(|pid| process::usage(pid).cpu).sum();
    alive + process::reaped(worker.pid())
}

/// The largest resident set that a process ever had, in KiB.
fn high_water(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn text(source: &mut Mails, rng: &mut StdRng) -> Mail {
    source
        .with_text(&lines("A line of an ordinary letter, of which there are some.\r\n", rng.random_range(4_000..8_000)))
}

fn newsletter(source: &mut Mails, rng: &mut StdRng) -> Mail {
    let mut html = "<!DOCTYPE html><html><head><style>.a{color:red}</style></head><body>\r\n".to_owned();
    let length = rng.random_range(20_000..60_000);
    while html.len() < length {
        let number: u32 = rng.random_range(0..100_000);
        let _ = write!(
            html,
            "<table width=\"600\" border=\"0\" cellpadding=\"0\" style=\"border-collapse:collapse;width:600px\"><tr>\r\n\
             <td class=\"a\" valign=\"top\" style=\"padding:20px 30px;font-family:Helvetica,sans-serif;color:#333333\">\r\n\
             <h2 style=\"margin:0 0 10px 0;font-size:22px\">Offer {number}</h2><p style=\"margin:0\">{}</p>\r\n\
             <a href=\"https://click.example/?u={number}&amp;c=1\" style=\"display:inline-block;padding:12px\">More</a>\r\n\
             <img src=\"https://img.example/{number}.png\" alt=\"x\" width=\"540\"></td></tr></table>\r\n",
            lines("New this week &amp; next, for you alone. ", 300)
        );
    }
    source.with_html(&lines("What stands in the newsletter, as text.\r\n", 1_500), &html)
}

fn mixed(source: &mut Mails, rng: &mut StdRng) -> Mail {
    match rng.random_range(0..100) {
        // As many of 50 to 100 KB as of 1 to 2 MB.
        0..15 => source.attachment(50_000_usize.saturating_mul(1 << rng.random_range(0..6_u32)) * 5 / 4),
        15..55 => newsletter(source, rng),
        _ => text(source, rng),
    }
}

fn lines(line: &str, length: usize) -> String {
    line.repeat(length / line.len())
}
