//! `make bench-aws`: the requests to SQS and S3 that a mail of 20 KB without attachments costs under load, counted
//! before the emulator, and their price.
//!
//! Prints figures beside their goals and judges none of them. An argument says how many mails.

use std::{net::SocketAddr, time::Duration};

use shared::testing::proxy::Proxy;
use tests::{
    aws::Scene,
    fleet::Fleet,
    mails::{Mail, Mails},
    soak::{scale, seeded},
};

const LIMIT: Duration = Duration::from_secs(600);
const LEASE: Duration = Duration::from_secs(60);
/// What a request to SQS is billed by.
const CHUNK: u64 = 64 * 1024;

/// Dollars for a million requests: list price, us-east-1, 2026-11, without the free tier. <https://aws.amazon.com/sqs/pricing/>
const SQS: f64 = 0.40;
/// PUT and LIST of S3 Standard; see [`SQS`]. <https://aws.amazon.com/s3/pricing/>
const S3_PUT: f64 = 5.00;
/// GET and HEAD of S3 Standard; see [`SQS`].
const S3_GET: f64 = 0.40;

#[tokio::main]
async fn main() {
    let scene = Scene::start().await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], scene.cloud.port()))).await.unwrap();
    let fleet = Fleet::new(&scene.config(LEASE, &proxy.endpoint()));
    let mut source = Mails::new("bench", seeded("bench-aws"));
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| scale(500, 5000));
    let body = "twenty kilobytes of text, line after line, and no attachment\r\n".repeat(320);
    let mails: Vec<Mail> = (0..count).map(|_| source.with_text(&body)).collect();
    println!("{} mails of {} bytes wait; one process starts", mails.len(), mails[0].raw.len());
    scene.send(&mails).await;
    let worker = fleet.workers(1).await;
    scene.receiver.wait_complete(LIMIT).await.assert_sound();
    scene.cloud.drained().await;
    print(&Counted::of(&proxy.heads(), &scene.cloud.output("MailBucket")), mails.len());
    for process in worker {
        process.stop(LIMIT).await;
    }
}

/// Requests, by what they are for.
#[derive(Default)]
struct Counted {
    sends: u64,
    /// The chunks that the sends are billed for.
    send_chunks: u64,
    receives: u64,
    settlements: u64,
    reads: u64,
    writes: u64,
    /// Ends with their audit trail, decisions, quarantine.
    records: u64,
}

impl Counted {
    fn of(heads: &[String], bucket: &str) -> Self {
        let mut counted = Self::default();
        for head in heads {
            if head.contains("SendMessageBatch") {
                counted.sends += 1;
                counted.send_chunks += length(head).div_ceil(CHUNK);
            } else if head.contains("ReceiveMessage") {
                counted.receives += 1;
            } else if head.contains("AmazonSQS") {
                counted.settlements += 1;
            } else if let Some(key) = head.split(&format!("/{bucket}/")).nth(1) {
                let own = ["ends/", "decisions/", "quarantine/"].iter().any(|prefix| key.starts_with(prefix));
                match (own, head.starts_with("PUT") || head.starts_with("POST")) {
                    (true, _) => counted.records += 1,
                    (false, true) => counted.writes += 1,
                    (false, false) => counted.reads += 1,
                }
            }
        }
        counted
    }
}

fn length(head: &str) -> u64 {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print(counted: &Counted, mails: usize) {
    let each = |count: u64| count as f64 / mails as f64;
    let sqs = each(counted.sends + counted.receives + counted.settlements);
    // What was sent is received again, in calls of up to ten messages as well.
    let billed = each(counted.send_chunks * 2 + counted.receives.saturating_sub(counted.sends) + counted.settlements);
    let line = |what: &str, figure: f64, goal: &str| println!("{what:40} {figure:7.2} {goal}");
    line("SQS requests a mail", sqs, "(goal 1.6)");
    line("  sends", each(counted.sends), "");
    line("  receives", each(counted.receives), "");
    line("  deletes, visibility", each(counted.settlements), "");
    line("  billed, by chunks of 64 KB", billed, "");
    line("S3 requests a mail", each(counted.reads + counted.writes), "(goal 2)");
    line("  reads", each(counted.reads), "");
    line("  writes", each(counted.writes), "");
    line("ends, decisions, quarantine", each(counted.records), "(counted apart)");
    let dollars = billed * SQS + each(counted.reads) * S3_GET + each(counted.writes + counted.records) * S3_PUT;
    line("dollars per million mails", dollars, "(list price, us-east-1, 2026-11; requests only)");
}
