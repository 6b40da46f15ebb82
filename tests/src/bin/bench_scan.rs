//! `make bench-scan`, second half: the memory of a worker with 100 mails of 25 MB in flight.
//!
//! clamd stands still, so that every stream is open and waits; that is the most that a worker ever holds. Prints figures
//! beside their goal and judges none of them.

use std::{fs, time::Duration};

use shared::clamav::testing::Options;
use tests::{clamd::Clamd, config::Config, fleet::Fleet, mails::Mails, soak::seeded};

const MAILS: usize = 100;
/// In base64, with its line ends, about 25 MB.
const CONTENT: usize = 18_200_000;
const GOAL_MIB: u64 = 256;

#[tokio::main]
async fn main() {
    // A thread for every stream: nothing waits for anything but clamd itself.
    let settings = vec![format!("MaxThreads {}", MAILS + 10), "MaxQueue 400".to_owned()];
    let clamd = Clamd::with(Options { settings, ..Options::default() }).await;
    let config = Config::scanned_by(&[clamd.endpoint()], &format!("concurrency = {MAILS}\nwrite_timeout = \"2min\""))
        .section("stage.scan", &format!("concurrency = {MAILS}"))
        .section("stage.parse", "concurrency = 2");
    let fleet = Fleet::new(&config);
    let mut source = Mails::new("large", seeded("bench-scan"));
    println!("{MAILS} mails of 25 MB are parsed");
    for _ in 0..MAILS {
        fleet.submit(&[source.attachment(CONTENT)]).await;
    }
    let parsing = fleet.worker(&["parse"]).await;
    while count(&fs::read_to_string(parsing.log()).unwrap_or_default(), "\"passed\"") < MAILS {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    parsing.terminate();
    let scanning = fleet.worker(&["scan"]).await;
    let idle = high_water(scanning.pid());
    // Streams begin, then clamd stands still.
    tokio::time::sleep(Duration::from_secs(3)).await;
    clamd.pause();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (peak, sockets) = (high_water(scanning.pid()), sockets(scanning.pid()));
    println!("idle {} MiB; with {sockets} sockets open {} MiB at most (goal {GOAL_MIB})", idle / 1024, peak / 1024);
    clamd.resume();
}

fn count(text: &str, word: &str) -> usize {
    text.matches(word).count()
}

/// The largest resident set that the process ever had, in KiB.
fn high_water(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn sockets(pid: i32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    open.filter(|fd| {
        fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket"))
    })
    .count()
}
