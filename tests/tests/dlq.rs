//! The dead-letter desk: what it shows, what it sends back, and what a kill in the middle leaves (needs the feature
//! `mailtri/failpoints`, as `make test` builds it).

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json, value::to_raw_value};
use shared::{
    clock::Clock,
    envelope::{Attempt, Dead, Envelope, Origin, Undecodable, UndecodableBody, VERSION},
    ids::{StageName, TenantId, WorkId},
    pii::Pii,
    queue::{Outgoing, Queue, sqlite::SqliteQueues},
};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Fleet, Ran},
    load::Load,
    soak::{scale, within},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(240);
const CANARY: &str = "kanarienvogel";
const USAGE: i32 = 2;
const MISSING: u32 = 120;
const UNDECODABLE: u32 = 60;
const DIED: u32 = 20;

/// A fleet without workers, and its queues.
struct Desk {
    fleet: Fleet,
    queues: Queues,
}

enum Queues {
    Embedded(Arc<SqliteQueues>),
    Sqs(Box<Load>),
}

impl Desk {
    async fn new() -> Self {
        let clamd = Clamd::start().await;
        let fleet = Fleet::new(&Config::new(&clamd));
        let queues = SqliteQueues::open(&fleet.data().join("queue"), Clock::system()).unwrap();
        Self { fleet, queues: Queues::Embedded(queues) }
    }

    async fn on_sqs() -> Self {
        let (clamd, load) = tokio::join!(Clamd::start(), Load::start());
        let fleet = Fleet::new(&load.config(Config::new(&clamd)));
        Self { fleet, queues: Queues::Sqs(Box::new(load)) }
    }

    /// Three kinds: jobs whose object is missing (every third is of the tenant `acme`, every fourth two hours old),
    /// bodies that are no jobs, and jobs that the queue itself moved.
    async fn three_kinds(&self, missing: u32) {
        self.put("parse-dlq", (0..missing).map(|n| missing_object(n).encode().unwrap())).await;
        self.put("parse-dlq", (0..UNDECODABLE).map(undecodable)).await;
        let died = (0..DIED).map(|n| Envelope { dead: None, ..missing_object(1_000_000 + n) });
        self.put("scan-dlq", died.map(|envelope| envelope.encode().unwrap())).await;
    }

    fn queue(&self, name: &str) -> Arc<dyn Queue> {
        match &self.queues {
            Queues::Embedded(queues) => queues.queue(name, None).unwrap(),
            Queues::Sqs(load) => load.queue(name),
        }
    }

    async fn put(&self, queue: &str, bodies: impl Iterator<Item = String>) {
        let message = |body| Outgoing { body, delay: Duration::ZERO, group: "default".to_owned() };
        let all: Vec<Outgoing> = bodies.map(message).collect();
        let queue = self.queue(queue);
        for batch in all.chunks(10) {
            let sent = queue.send(batch).await;
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        }
    }

    /// Takes out everything that is in a queue.
    async fn drain(&self, queue: &str) -> Vec<String> {
        let (queue, never) = (self.queue(queue), CancellationToken::new());
        let mut bodies = Vec::new();
        loop {
            let got = queue.receive(10, Duration::ZERO, Duration::from_secs(60), &never).await.unwrap();
            if got.is_empty() {
                return bodies;
            }
            let receipts: Vec<_> = got.iter().map(|message| message.receipt.clone()).collect();
            assert!(queue.delete(&receipts).await.iter().all(Result::is_ok));
            bodies.extend(got.into_iter().map(|message| message.body));
        }
    }

    async fn depth(&self, queue: &str) -> u64 {
        self.queue(queue).depth().await.unwrap().total()
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.fleet.run(&[&["dlq"], args].concat()).await
    }

    #[track_caller]
    fn ok(ran: Ran) -> Ran {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }

    async fn lines(&self, args: &[&str]) -> Vec<Value> {
        let ran = Self::ok(self.run(args).await);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn groups(&self, more: &[&str]) -> BTreeMap<String, u64> {
        let groups = self.lines(&[&["list", "--json"], more].concat()).await;
        groups.iter().map(|g| (g["class"].as_str().unwrap().to_owned(), g["count"].as_u64().unwrap())).collect()
    }
}

fn missing_object(n: u32) -> Envelope {
    let tenant = if n.is_multiple_of(3) { TenantId::new("acme").unwrap() } else { TenantId::default_tenant() };
    let now = Timestamp::now();
    let origin = Origin { work: WorkId::derive(&[b"mail", &n.to_be_bytes()]), tenant, first_seen: now };
    let stored = json!({"bucket": "nowhere", "key": format!("raw/{n}"), "etag": null, "size": null});
    let job = json!({"mail": {"stored": stored}, "envelope": {"from": CANARY, "to": []}});
    let mut envelope = Envelope::first(origin, StageName("parse"), to_raw_value(&job).unwrap());
    let (class, reason) = ("object_missing".to_owned(), "the mail is not there".to_owned());
    envelope.attempt = 4;
    envelope.remember(Attempt { at: now, stage: "parse".into(), class: class.clone(), reason: reason.clone() });
    let at = if n.is_multiple_of(4) { now - SignedDuration::from_hours(2) } else { now };
    envelope.dead = Some(Dead { at, stage: "parse".into(), class, reason });
    envelope
}

fn undecodable(n: u32) -> String {
    let (stage, class) = ("parse".to_owned(), "undecodable".to_owned());
    let dead = Dead { at: Timestamp::now(), stage, class, reason: "not an envelope".to_owned() };
    let body = UndecodableBody::Inline(Pii::new(format!("{CANARY} {n}")));
    serde_json::to_string(&Undecodable { version: VERSION, dead, body }).unwrap()
}

fn counts<const N: usize>(counts: [(&str, u32); N]) -> BTreeMap<String, u64> {
    counts.map(|(class, count)| (class.to_owned(), u64::from(count))).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_grouped_shown_exported_and_purged_and_their_content_only_where_it_is_asked_for() {
    within(LIMIT, async {
        let desk = Desk::new().await;
        desk.three_kinds(MISSING).await;
        let all = [("object_missing", MISSING), ("undecodable", UNDECODABLE), ("worker_died", DIED)];
        assert_eq!(desk.groups(&["--fresh", "0"]).await, counts(all));
        assert_eq!(desk.groups(&["--tenant", "acme"]).await["object_missing"], 40);
        let each = desk.lines(&["list", "--each", "--json"]).await;
        let ids: BTreeSet<&str> = each.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), each.len());
        assert_eq!(each.len(), 200);

        let table = Desk::ok(desk.run(&["list"]).await).stdout;
        assert_eq!(table.lines().count(), 4, "{table}");
        let one = each.iter().find(|letter| letter["class"] == "object_missing").unwrap();
        let id = one["id"].as_str().unwrap();
        let shown = Desk::ok(desk.run(&["show", id]).await).stdout;
        assert!(shown.contains("nowhere/raw/") && shown.contains("the mail is not there"), "{shown}");
        let exported = desk.run(&["export"]).await;
        assert_eq!(exported.stdout.lines().count(), 200);
        for text in [&table, &shown, &exported.stdout, &json!(each).to_string()] {
            assert!(!text.contains(CANARY));
        }
        assert!(Desk::ok(desk.run(&["show", id, "--content"]).await).stdout.contains(CANARY));
        let with = desk.lines(&["export", "--content", "--class", "undecodable"]).await;
        assert_eq!(with.iter().filter(|l| l["content"].as_str().unwrap().contains(CANARY)).count(), 60);

        let group = with[0]["fingerprint"].as_str().unwrap();
        assert_eq!(desk.run(&["purge", "--fingerprint", group]).await.code, Some(USAGE));
        assert_eq!(desk.run(&["purge", "--yes"]).await.code, Some(USAGE));
        assert_eq!(desk.lines(&["purge", "--fingerprint", group, "--dry-run", "--json"]).await.len(), 60);
        assert_eq!(desk.lines(&["purge", "--fingerprint", group, "--yes", "--json"]).await, [json!({"deleted": 60})]);
        assert_eq!(desk.lines(&["purge", "--stage", "scan", "--yes", "--json"]).await, [json!({"deleted": DIED})]);
        assert_eq!(desk.groups(&[]).await, counts([("object_missing", MISSING)]));
        let ends = std::fs::read_dir(desk.fleet.data().join("blobs/objects/ends")).unwrap().count();
        assert_eq!(ends, 20, "how the purged jobs ended is on record");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filter_takes_is_sent_back_as_the_same_job_and_the_rest_stays() {
    within(LIMIT, async {
        let desk = Desk::new().await;
        desk.three_kinds(MISSING).await;
        assert_eq!(desk.run(&["requeue"]).await.code, Some(USAGE));
        assert_eq!(desk.lines(&["requeue", "--all", "--dry-run", "--json"]).await.len(), 200);
        assert_eq!(desk.depth("parse").await + desk.depth("scan").await, 0, "a dry run sends nothing");

        let sent = async |args: &[&str]| {
            let said = desk.lines(&[&["requeue", "--json"], args].concat()).await;
            (said[0]["sent_back"].as_u64().unwrap(), desk.drain("parse").await)
        };
        let (old, jobs) = sent(&["--older-than", "1h"]).await;
        assert_eq!((old, jobs.len()), (30, 30));
        for job in &jobs {
            let job = Envelope::decode(job).unwrap();
            assert!(job.attempt == 0 && job.generation == 1 && job.dead.is_none());
            let history: Vec<&str> = job.history.iter().map(|a| a.class.as_str()).collect();
            assert_eq!(history, ["object_missing", "requeued"]);
        }
        let of_acme = (0..MISSING).filter(|n| n.is_multiple_of(3) && !n.is_multiple_of(4)).count();
        let wanted: BTreeSet<_> = (0..MISSING)
            .filter(|n| n.is_multiple_of(3) && !n.is_multiple_of(4))
            .map(|n| missing_object(n).id)
            .collect();
        let (acme, jobs) = sent(&["--stage", "parse", "--tenant", "acme", "--rate", "25/sec"]).await;
        assert_eq!(acme, of_acme as u64);
        assert_eq!(jobs.iter().map(|job| Envelope::decode(job).unwrap().id).collect::<BTreeSet<_>>(), wanted);

        let one = missing_object(1).id;
        let (single, jobs) = sent(&[one.as_str()]).await;
        assert_eq!((single, Envelope::decode(&jobs[0]).unwrap().id), (1, one));
        let (bodies, came) = sent(&["--class", "undecodable"]).await;
        assert_eq!(bodies, u64::from(UNDECODABLE));
        assert!(came.contains(&format!("{CANARY} 0")), "as it came");
        let (scans, _) = sent(&["--stage", "scan"]).await;
        assert_eq!((scans, desk.depth("scan").await), (u64::from(DIED), u64::from(DIED)));
        let rest = u64::from(MISSING) - old - acme - single;
        assert_eq!(desk.groups(&[]).await, BTreeMap::from([("object_missing".to_owned(), rest)]));
        assert_eq!(sent(&["--all"]).await.0, rest);
        assert_eq!(desk.depth("parse-dlq").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requeue_that_is_killed_in_the_middle_goes_on_and_loses_nothing() {
    within(LIMIT, async { killed_in_the_middle(Desk::new().await, scale(300, 10_000)).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requeue_on_sqs_that_is_killed_in_the_middle_goes_on_and_loses_nothing() {
    Box::pin(within(LIMIT, async { killed_in_the_middle(Desk::on_sqs().await, scale(300, 10_000)).await })).await;
}

async fn killed_in_the_middle(mut desk: Desk, missing: u32) {
    desk.three_kinds(missing).await;
    let middle = u64::from(missing / 2);
    desk.fleet.set("FAILPOINTS", &format!("dlq::after_send={middle}*off->pause"));
    let mut first = desk.fleet.on_plane(&["dlq", "requeue", "--all", "--hold", "10s"]).spawn().unwrap();
    let reached = async {
        while desk.depth("parse").await + desk.depth("scan").await <= middle {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, reached).await.expect("the requeue reaches its middle");
    first.kill().await.unwrap();
    desk.fleet.unset("FAILPOINTS");
    let sent = desk.depth("parse").await + desk.depth("scan").await;
    let left = desk.depth("parse-dlq").await + desk.depth("scan-dlq").await;
    let total = u64::from(missing + UNDECODABLE + DIED);
    eprintln!("killed with {sent} sent and {left} left of {total}");
    assert!(sent + left > total && left < total, "between a send and its delete");

    let began = Instant::now();
    let second = Desk::ok(desk.run(&["requeue", "--all", "--json", "--hold", "60s"]).await);
    let again = serde_json::from_str::<Value>(&second.stdout).unwrap()["sent_back"].as_u64().unwrap();
    eprintln!("the second run sent {again} in {:.1?}, the wait for the killed one's lease included", began.elapsed());
    assert_eq!(desk.depth("parse-dlq").await + desk.depth("scan-dlq").await, 0, "none is left");
    let bodies = [desk.drain("parse").await, desk.drain("scan").await].concat();
    let distinct: BTreeSet<String> = bodies
        .iter()
        .map(|body| Envelope::decode(body).map_or_else(|_| body.clone(), |envelope| envelope.id.to_string()))
        .collect();
    assert_eq!(distinct.len() as u64, total, "0 lost, and none under another id");
    assert!(bodies.len() as u64 <= sent + left, "no more copies than the kill left");
    rate(&desk, missing).await;
}

/// How fast a requeue goes when nothing stops it. Printed, and not judged.
async fn rate(desk: &Desk, missing: u32) {
    desk.three_kinds(missing).await;
    let began = Instant::now();
    let ran = Desk::ok(desk.run(&["requeue", "--all", "--json", "--hold", "60s"]).await);
    let sent = serde_json::from_str::<Value>(&ran.stdout).unwrap()["sent_back"].as_f64().unwrap();
    eprintln!("{sent} sent back at {:.0} a second", sent / began.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_prints_changes_and_an_interrupt_ends_it_and_a_requeue_cleanly() {
    within(LIMIT, async {
        let desk = Desk::new().await;
        desk.three_kinds(MISSING).await;
        let start = |args: &[&str]| {
            desk.fleet.command(args).arg("--data").arg(desk.fleet.data()).stdout(Stdio::piped()).spawn().unwrap()
        };
        let interrupt = |child: &tokio::process::Child| {
            kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
        };
        let mut watch = start(&["dlq", "watch", "--json", "--every", "1s", "--class", "object_missing"]);
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut next = async || -> Value { serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap() };
        assert_eq!(next().await["count"], MISSING);
        desk.put("parse-dlq", [missing_object(MISSING).encode().unwrap()].into_iter()).await;
        let change = next().await;
        assert_eq!((&change["before"], &change["count"]), (&json!(MISSING), &json!(MISSING + 1)));
        interrupt(&watch);
        assert!(watch.wait().await.unwrap().success());

        let slow = start(&["dlq", "requeue", "--all", "--rate", "2/sec"]);
        while desk.depth("parse").await + desk.depth("scan").await < 3 {
            sleep(Duration::from_millis(50)).await;
        }
        interrupt(&slow);
        let ended = slow.wait_with_output().await.unwrap();
        let (sent, visible) = (desk.depth("parse").await + desk.depth("scan").await, async |queue| {
            desk.queue(queue).depth().await.unwrap().visible
        });
        assert!(!ended.status.success());
        assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), format!("{sent} sent back"));
        assert_eq!(visible("parse-dlq").await + visible("scan-dlq").await + sent, 201, "none stays hidden");
    })
    .await;
}
