//! Each stage under its own role of the deployed template, on an emulator that enforces IAM.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::json;
use shared::{
    blobs::{Blobs, Condition},
    queue::{Outgoing, Queue},
};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails},
    moto::Moto,
    receiver::{Answer, Receiver},
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(240);
const LEASE: Duration = Duration::from_secs(20);
const STAGES: [&str; 4] = ["parse", "scan", "route", "deliver"];
const PREFIXES: [&str; 13] = [
    "raw/",
    "raw/http/",
    "ses/",
    "inline/",
    "parsed/",
    "attachments/",
    "verdicts/",
    "decisions/",
    "ends/",
    "quarantine/",
    "undecodable/",
    "claims/",
    "elsewhere/",
];

/// Puts a mail as the API's role may, and announces it.
async fn receive(moto: &Moto, mail: &Mail) {
    let key = format!("raw/http/{}", mail.name);
    let bucket = moto.bucket("api");
    bucket.put(&key, mail.raw.clone().into(), Condition::IfAbsent).await.unwrap();
    let record = json!({
        "eventVersion": "2.3", "eventSource": "aws:s3", "eventTime": "2026-11-03T09:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": moto.bucket_name()},
            "object": {"key": key, "size": mail.raw.len(), "sequencer": "00C70AB0A1B4E5C2"},
        },
    });
    let body = json!({"Records": [record]}).to_string();
    let message = Outgoing { body, delay: Duration::ZERO, group: String::new() };
    assert_eq!(moto.queue("api", "parse").send(&[message]).await, [Ok(())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stage_does_its_work_under_its_own_role_and_the_operator_sends_a_letter_back() {
    within(LIMIT, async {
        let (moto, clamd, receiver) = tokio::join!(Moto::start(), Clamd::start(), Receiver::start());
        let config = Config::simple(&clamd, &receiver).short_leases(LEASE, 10);
        let mut fleet = Fleet::new(&moto.config(config));
        let mut workers = Vec::new();
        for stage in STAGES {
            for (name, value) in moto.keys(stage) {
                fleet.set(name, value);
            }
            workers.push(fleet.worker(&[stage]).await);
        }

        let mut source = Mails::new("role", seeded("least privilege"));
        // Large enough for a parsed mail of its own, with a part that is stored.
        let noise = "a line of a mail that is too large to travel within a job\r\n".repeat(5000);
        let mails = [source.text(), source.attachment(200_000), source.with_text(&noise)];
        receiver.plan("/hook", &[Answer::Status(410)], Answer::Status(200));
        for mail in &mails {
            receiver.expect("/hook", mail);
            receive(&moto, mail).await;
        }
        let operator = moto.queue("operator", "deliver-dlq");
        while operator.depth().await.unwrap().visible == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for (name, value) in moto.keys("operator") {
            fleet.set(name, value);
        }
        let listed = fleet.run(&["dlq", "list", "--json"]).await;
        assert!(listed.stdout.contains("\"gone\""), "{listed:?}");
        let sent = fleet.run(&["dlq", "requeue", "--all", "--json"]).await;
        assert_eq!(sent.stdout.trim(), r#"{"sent_back":1}"#, "{sent:?}");
        receiver.wait_complete(LIMIT).await.assert_sound();

        for worker in workers {
            worker.stop(LIMIT).await;
        }
        for log in fs::read_dir(fleet.logs()).unwrap() {
            let text = fs::read_to_string(log.unwrap().path()).unwrap();
            let signs = ["HTTP 403", "unavailable: 403", "AccessDenied"];
            let refused: Vec<&str> = text.lines().filter(|line| signs.iter().any(|sign| line.contains(sign))).collect();
            assert!(refused.is_empty(), "{refused:#?}");
        }
    })
    .await;
}

/// What a role may do, by the names of the table in `tests/aws/roles.py`.
fn allowed(role: &str) -> BTreeSet<String> {
    let (reads, writes): (&[&str], &[&str]) = match role {
        "parse" => (
            &["raw/", "raw/http/", "ses/", "inline/", "ends/", "claims/"],
            &["inline/", "parsed/", "ends/", "quarantine/", "undecodable/", "claims/"],
        ),
        "scan" => (
            &["raw/", "raw/http/", "ses/", "inline/", "parsed/", "ends/", "claims/"],
            &["attachments/", "verdicts/", "ends/", "undecodable/", "claims/"],
        ),
        "route" => (
            &["parsed/", "decisions/", "ends/", "claims/"],
            &["decisions/", "ends/", "quarantine/", "undecodable/", "claims/"],
        ),
        "deliver" => (&["parsed/", "ends/", "claims/"], &["ends/", "undecodable/", "claims/"]),
        "api" => (&["raw/", "raw/http/", "ses/", "inline/", "attachments/", "ends/"], &["raw/http/"]),
        "operator" => (
            &[
                "raw/",
                "raw/http/",
                "ses/",
                "inline/",
                "parsed/",
                "attachments/",
                "verdicts/",
                "ends/",
                "quarantine/",
                "undecodable/",
                "claims/",
            ],
            &["ends/", "claims/", "verdicts/"],
        ),
        "exporter" => (&[], &[]),
        other => panic!("{other} is not a role that is known here"),
    };
    let gets = reads.iter().map(|prefix| format!("get {prefix}"));
    let puts = writes.iter().map(|prefix| format!("put {prefix}"));
    let mut all: BTreeSet<String> = gets.chain(puts).collect();
    let mut add = |call: &str, queue: &str| all.insert(format!("{call} {queue}"));
    let dlq = |stage: &str| format!("{stage}-dlq");
    if let Some(at) = STAGES.iter().position(|stage| *stage == role) {
        for call in ["receive", "delete", "depth", "send"] {
            add(call, role);
        }
        add("send", &dlq(role));
        STAGES.get(at + 1).map(|next| add("send", next));
    }
    for stage in STAGES {
        if ["exporter", "operator"].contains(&role) {
            add("depth", stage);
            add("depth", &dlq(stage));
        }
        if role == "operator" {
            add("send", stage);
            add("receive", &dlq(stage));
            add("delete", &dlq(stage));
        }
    }
    match role {
        "api" => drop(add("send", "parse")),
        "operator" => drop(add("delete", "quarantine/")),
        _ => {}
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_role_is_not_given_is_refused() {
    within(LIMIT, async {
        let moto = Moto::start().await;
        let tried = moto.try_everything(&PREFIXES).await;
        assert_eq!(tried.len(), 7);
        for (role, calls) in tried {
            let refused = |code: &str| code == "AccessDenied" || code == "403";
            let (refused, answered): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(_, code)| refused(code));
            let answered: BTreeSet<String> = answered.into_iter().map(|(call, _)| call).collect();
            assert_eq!(answered, allowed(&role), "{role}");
            eprintln!("{role}: {} calls answered, {} refused", answered.len(), refused.len());
        }
    })
    .await;
}
