//! Nothing from a mail and no secret reaches a log, a metric, a listing or an error, whatever becomes of the mail.

use std::{fs, time::Duration};

use serde_json::Value;
use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::Fixture,
    fleet::Fleet,
    mails::{Mail, base64_lines},
    metrics::Metrics,
    receiver::{Answer, Receiver},
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(180);
/// In every value of every mail. No word of ours holds it.
const CANARY: &str = "kanarienvogel";

/// A mail of which every value holds the canary; `kind` is in its subject alone, for the rules.
fn mail(kind: &str, attachment: &[u8], head: &str) -> Mail {
    let c = CANARY;
    let raw = format!(
        "Return-Path: <{c}@{c}.example>\r\nDate: Tue, 3 Nov 2026 09:00:00 +0000\r\nFrom: {c} Name <{c}@{c}.example>\r\n\
         To: {c}+tag@mail.example\r\nCc: \"{c}\" <cc-{c}@mail.example>\r\nMessage-ID: <{c}.{kind}@{c}.example>\r\n\
         Subject: {kind} {c}: argument {c}\r\nX-{c}: header {c}\r\nMIME-Version: 1.0\r\n{head}\
         Content-Type: multipart/mixed; boundary={c}\r\n\r\n--{c}\r\nContent-Type: text/html\r\n\r\n\
         <p title=\"{c}\">body {c}<script>{c}()</script></p>\r\n--{c}\r\n\
         Content-Type: application/octet-stream; name={c}.bin\r\nContent-Disposition: attachment; filename={c}.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}--{c}--\r\n",
        base64_lines(attachment)
    );
    Mail { name: format!("mail-{kind}"), raw: raw.into_bytes(), marker: String::new() }
}

#[tokio::test]
async fn no_canary_leaves_by_logs_metrics_listings_or_errors() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        receiver.plan("/gone", &[], Answer::Status(410));
        receiver.plan("/flaky", &[Answer::Status(500), Answer::Redirect], Answer::Status(200));
        let metrics = Metrics::free_port();
        let rule = |name: &str, what: &str| format!("name = \"{name}\"\nwhen = {{ subject = \"{name}*\" }}\n{what}");
        let config = Config::new(&clamd)
            .destination("hook", &receiver, "/hook", "")
            .destination("gone", &receiver, "/gone", "")
            .destination("flaky", &receiver, "/flaky", "")
            .section("route", "default = [\"hook\"]")
            .section("telemetry", &format!("log = \"trace\"\n{}", metrics.section()))
            .rule(&rule("dead", "deliver = [\"gone\"]"))
            .rule(&rule("retried", "deliver = [\"flaky\"]"))
            .rule(&rule("held", "action = \"quarantine\"\nreason = \"asked for\""))
            .rule(&rule("refused", "action = \"reject\"\nreason = \"asked for\""))
            .rule(&rule("left", "action = \"drop\"\nreason = \"asked for\""));
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;

        let eicar = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
        let twice = format!("Content-Type: text/{CANARY}\r\n");
        let mails = [
            mail("fine", CANARY.as_bytes(), ""),
            mail("dead", CANARY.as_bytes(), ""),
            mail("retried", CANARY.as_bytes(), ""),
            mail("held", CANARY.as_bytes(), ""),
            mail("refused", CANARY.as_bytes(), ""),
            mail("left", CANARY.as_bytes(), ""),
            mail("infected", eicar.as_bytes(), ""),
            mail("ambiguous", CANARY.as_bytes(), &twice),
        ];
        let ended = fleet.submit_and_wait(&mails, LIMIT).await;
        let ends: Vec<_> = ended.iter().map(|e| e.names()[0]).collect();
        assert_eq!(
            ends,
            [
                "delivered",
                "dead_lettered",
                "delivered",
                "quarantined",
                "rejected",
                "dropped",
                "quarantined",
                "quarantined"
            ]
        );
        let arrived = receiver.book(|b| b.arrivals().iter().filter(|a| a.payload.to_string().contains(CANARY)).count());
        assert_eq!(arrived, 5, "the canary was in the mails");

        let metrics = metrics.get().await;
        assert!(metrics.contains("# TYPE"), "{metrics}");
        check("metrics", &metrics, &receiver);
        check_commands(&fleet, &receiver, &ended[3].mail).await;
        let mut logged = 0;
        for log in fs::read_dir(fleet.logs()).unwrap() {
            let text = String::from_utf8_lossy(&fs::read(log.unwrap().path()).unwrap()).into_owned();
            logged += text.lines().count();
            check("the log", &text, &receiver);
        }
        assert!(logged > 50, "at trace level there is more to look at than {logged} lines");
    })
    .await;
}

async fn check_commands(fleet: &Fleet, receiver: &Receiver, held: &str) {
    let listed = fleet.run(&["dlq", "list", "--each", "--json"]).await;
    let letter: Value = serde_json::from_str(listed.stdout.lines().next().expect("a dead letter")).unwrap();
    let dead = letter["id"].as_str().unwrap();
    let commands: [&[&str]; 9] = [
        &["dlq", "list"],
        &["dlq", "list", "--json"],
        &["dlq", "list", "--each"],
        &["dlq", "show", dead],
        &["dlq", "export"],
        &["quarantine", "list"],
        &["quarantine", "list", "--json"],
        &["quarantine", "show", held],
        &["dlq", "show", "nothing"],
    ];
    for command in commands {
        let ran = fleet.run(command).await;
        assert_eq!(ran.code == Some(0), !command.contains(&"nothing"), "{ran:?}");
        check(&command.join(" "), &format!("{}{}", ran.stdout, ran.stderr), receiver);
    }
    let broken = fleet.data().with_file_name("broken.eml");
    fs::write(&broken, format!("no colon here {CANARY}")).unwrap();
    let ran = fleet.run(&["submit", broken.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(65), "{ran:?}");
    check("submit of what is no mail", &ran.stderr, receiver);
}

fn check(place: &str, text: &str, receiver: &Receiver) {
    let lower = text.to_lowercase();
    let secret = receiver.secret().trim_start_matches("whsec_");
    let hit = text.lines().find(|l| l.to_lowercase().contains(CANARY) || l.contains(secret));
    assert!(!lower.contains(CANARY) && !text.contains(secret), "a canary in {place}: {hit:?}");
}

#[test]
fn the_canary_is_in_no_fixture() {
    for fixture in tests::fixtures::FIXTURES {
        let raw = Fixture::mail(&fixture).raw;
        assert!(!String::from_utf8_lossy(&raw).contains(CANARY));
    }
}
