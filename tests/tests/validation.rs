//! What is noticed about a mail, who sends it and to whom decides how it ends, and `inspect` foretells it.

use std::time::Duration;

use serde_json::Value;
use shared::testing::dns::DnsStub;
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Ended, Fleet, run},
    mails::Mail,
    receiver::Receiver,
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(120);

/// How a mail has to end, and a part of the reason.
type Expected = (&'static str, &'static str);

/// A mail, its envelope, and its end.
struct Case {
    name: &'static str,
    from: &'static str,
    to: &'static [&'static str],
    raw: String,
    ends: Expected,
}

const HEAD: &str =
    "From: Ann <ann@a.example>\nTo: desk@ours.example\nSubject: Hi\nDate: Tue, 24 Nov 2026 10:00:00 +0100\n";
const DESK: &[&str] = &["desk@ours.example"];

fn case(name: &'static str, raw: String, ends: Expected) -> Case {
    // No two mails are the same: the receiver tells them apart by their bytes.
    let raw = raw.replace("Subject: Hi", &format!("Subject: {name}")).replace('\n', "\r\n");
    Case { name, from: "ann@a.example", to: DESK, raw, ends }
}

fn head(field: &str, value: &str) -> String {
    let line = |line: &str| if line.starts_with(field) { format!("{field}: {value}\n") } else { format!("{line}\n") };
    HEAD.lines().map(line).collect()
}

fn cases() -> Vec<Case> {
    let long = "x".repeat(1_200);
    let delivered = ("delivered", "");
    vec![
        case("ordinary", format!("{HEAD}\nhello\n"), delivered),
        case("tagged", format!("{HEAD}\n{long}\n"), delivered),
        case(
            "refused-by-a-finding",
            format!("{}\nhello\n", head("Date", "yesterday")),
            ("rejected", "date_unreadable in header Date"),
        ),
        Case {
            to: &["box@acme.example"],
            ..case("of-a-stricter-tenant", format!("{HEAD}\n{long}\n"), ("quarantined", "line_too_long in body"))
        },
        case(
            "read-in-two-ways",
            format!("From: eve@b.example\n{HEAD}\nhello\n"),
            ("quarantined", "ambiguous: repeated_header in header From"),
        ),
        case(
            "with-a-boundary-of-two-readings",
            format!("{HEAD}Content-Type: multipart/mixed; boundary=\"b\\1\"\n\n--b1\n\nhello\n--b1--\n"),
            ("quarantined", "ambiguous: boundary_damaged in part 1"),
        ),
        case(
            "program-in-a-text",
            format!("{HEAD}\nhello\nbegin 644 invoice.exe\n#35J0\n`\nend\n"),
            ("quarantined", "executable_attachment in part 1"),
        ),
        case("name-with-a-comma", format!("{}\nhello\n", head("From", "Smith, John <john@a.example>")), delivered),
        case(
            "blocked-behind-a-comma",
            format!("{}\nhello\n", head("From", "Smith, John <eve@bad.example>")),
            ("rejected", "blocked_sender in header From"),
        ),
        case(
            "in-disguise",
            format!("{}\nhello\n", head("From", "Desk <desk@0urs.example>")),
            ("quarantined", "lookalike_domain in header From"),
        ),
        case(
            "known-and-not-theirs",
            format!("{}\nhello\n", head("From", "Bank <info@bank.example>")),
            ("quarantined", "known_sender_unverified in header From"),
        ),
        Case {
            from: "Eve+x@bad.example",
            ..case("blocked", format!("{HEAD}\nhello\n"), ("rejected", "blocked_sender in envelope"))
        },
        case(
            "blocked-by-from",
            format!("{}\nhello\n", head("From", "eve@bad.example")),
            ("rejected", "blocked_sender in header From"),
        ),
        Case {
            to: &["nobody@elsewhere.example"],
            ..case("for-nobody-here", format!("{HEAD}\nhello\n"), ("rejected", "unknown_recipient in envelope"))
        },
        Case {
            to: &["nobody@elsewhere.example", "hidden@ours.example"],
            ..case("for-some-here", format!("{HEAD}\nhello\n"), delivered)
        },
    ]
}

fn config(clamd: &Clamd, receiver: &Receiver) -> Config {
    Config::new(clamd)
        .destination("hook", receiver, "/hook", "")
        .destination("odd", receiver, "/odd", "")
        .section("tenants", "\"acme.example\" = \"acme\"")
        .section("findings", "date_unreadable = \"reject\"")
        .section("findings.tenant.acme", "line_too_long = \"quarantine\"")
        .section("senders", "known = [\"bank.example\"]\nblocked = [\"eve@bad.example\"]")
        .section("recipients", "accepted = [\"ours.example\"]")
        .rule("name = \"odd\"\nwhen = { tag = \"line_too_long\" }\ndeliver = \"odd\"")
        .section("route", "default = [\"hook\"]")
}

async fn submit(fleet: &Fleet, case: &Case) -> Ended {
    let path = fleet.write(&[mail(case)]).remove(0);
    let wait = format!("--wait={}", LIMIT.as_secs());
    let mut command = fleet.on_plane(&["submit", "--json", &wait, "--from", case.from]);
    case.to.iter().for_each(|to| {
        command.args(["--to", to]);
    });
    let ran = run(command.arg(path), b"").await;
    assert_eq!(ran.code, Some(0), "{}: {ran:?}", case.name);
    serde_json::from_str(&ran.stdout).unwrap()
}

async fn inspect(fleet: &Fleet, case: &Case) -> Value {
    let path = fleet.write(&[mail(case)]).remove(0);
    let mut command = fleet.command(&["inspect", "--json", "--from", case.from]);
    case.to.iter().for_each(|to| {
        command.args(["--to", to]);
    });
    let ran = run(command.arg(path), b"").await;
    assert_eq!(ran.code, Some(0), "{}: {ran:?}", case.name);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn mail(case: &Case) -> Mail {
    Mail { name: case.name.into(), raw: case.raw.clone().into_bytes(), marker: String::new() }
}

#[tokio::test]
async fn findings_senders_and_recipients_end_a_mail_as_the_policy_says_and_as_inspect_foretells() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&config(&clamd, &receiver));
        let _local = fleet.local().await;
        for case in &cases() {
            if case.ends.0 == "delivered" {
                receiver.expect(if case.name == "tagged" { "/odd" } else { "/hook" }, &mail(case));
            }
            let foretold = inspect(&fleet, case).await;
            assert_eq!(foretold["end"]["end"], case.ends.0, "{}: {foretold:#}", case.name);
            assert!(foretold["end"]["why"].as_str().unwrap().contains(case.ends.1), "{}: {foretold:#}", case.name);

            let ended = submit(&fleet, case).await;
            assert_eq!(ended.names(), [case.ends.0], "{}: {ended:?}", case.name);
            let end = &ended.ends[0];
            let reason = end.reason.clone().unwrap_or_default();
            assert!(reason.contains(case.ends.1), "{}: {ended:?}", case.name);
            assert!(!reason.contains('@'), "an address is in the reason: {reason}");
        }
        receiver.wait_complete(LIMIT).await.assert_sound();
        check_payloads(&receiver);
    })
    .await;
}

/// What the receiver is told: the tags, and only the recipients that are taken.
fn check_payloads(receiver: &Receiver) {
    let data = |name: &str| {
        let sha256 = cases().iter().find(|case| case.name == name).map(|case| mail(case).sha256()).unwrap();
        receiver.book(|book| {
            let arrival = book.arrivals().iter().find(|a| a.sha256 == sha256);
            arrival.unwrap().payload["data"].clone()
        })
    };
    let tagged = data("tagged");
    assert_eq!(tagged["tags"], serde_json::json!(["line_too_long"]));
    assert_eq!(tagged["rules"], serde_json::json!(["odd"]));
    let finding = &tagged["findings"][0];
    assert_eq!((&finding["code"], &finding["where"]), (&"line_too_long".into(), &"body".into()));
    assert_eq!(finding["what"], "a line is longer than 998 bytes");
}

#[tokio::test]
async fn a_mail_for_some_who_are_here_goes_on_to_them_alone() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&config(&clamd, &receiver));
        let _local = fleet.local().await;
        let case = cases().into_iter().find(|case| case.name == "for-some-here").unwrap();
        receiver.expect("/hook", &mail(&case));
        let ended = submit(&fleet, &case).await;
        assert!(ended.ends[0].audit.iter().any(|step| step.what == "parsed"), "{ended:?}");
        receiver.wait_complete(LIMIT).await.assert_sound();
        receiver.book(|book| {
            let data = &book.arrivals()[0].payload["data"];
            assert_eq!(data["envelope"]["to"], serde_json::json!(["hidden@ours.example"]));
            assert_eq!(data["tags"], serde_json::json!(["recipient_left_out"]));
            // Who else was addressed is nobody's business, and stays out of the payload.
            assert!(!data["envelope"].to_string().contains("elsewhere"));
        });
    })
    .await;
}

/// What Amazon SES writes above a mail from a client.
fn by_ses(client: &str, mail_from: &str, from: &str) -> String {
    let raw = format!(
        "Return-Path: <{mail_from}>\nReceived: from m.bank.example (m.bank.example [{client}])\n by \
         inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc\n for desk@ours.example;\n Tue, 24 Nov 2026 09:00:00 \
         +0000 (UTC)\nX-SES-RECEIPT: AEFB\n{}\nhello\n",
        head("From", from)
    );
    raw.replace('\n', "\r\n")
}

/// A domain that publishes no policy of its own is trusted only where its mail proves to be its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_sender_is_taken_where_it_is_verified_and_held_where_it_is_not() {
    within(LIMIT, async {
        let (clamd, receiver, dns) = (Clamd::start().await, Receiver::start().await, DnsStub::start().unwrap());
        dns.txt("bank.example", "v=spf1 ip4:192.0.2.10 -all");
        dns.txt("other.example", "v=spf1 ip4:192.0.2.66 -all");
        let keys = format!(
            "resolver = \"{}\"\ntimeout = \"2s\"\ntrusted_hosts = [\"inbound-smtp.*.amazonaws.com\"]",
            dns.address()
        );
        let config = Config::asking(&clamd, &keys)
            .destination("hook", &receiver, "/hook", "")
            .section("senders", "known = [\"bank.example\"]")
            .section("route", "default = [\"hook\"]");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mail = |name: &str, raw: String| Mail { name: name.into(), raw: raw.into_bytes(), marker: String::new() };
        let genuine = mail("genuine", by_ses("192.0.2.10", "a@bank.example", "Bank <info@bank.example>"));
        // SPF passes, for somebody else's domain.
        let forged = mail("forged", by_ses("192.0.2.66", "a@other.example", "Bank <info@bank.example>"));
        let stranger = mail("stranger", by_ses("192.0.2.66", "a@other.example", "Other <info@other.example>"));
        [&genuine, &stranger].into_iter().for_each(|mail| receiver.expect("/hook", mail));
        let ended = fleet.submit_and_wait(&[genuine.clone(), forged, stranger], LIMIT).await;
        let ends: Vec<_> = ended.iter().map(|ended| ended.ends[0].end.as_str()).collect();
        assert_eq!(ends, ["delivered", "quarantined", "delivered"], "{ended:?}");
        let reason = ended[1].ends[0].reason.as_deref().unwrap_or_default();
        assert!(reason.contains("known_sender_unverified in header From"), "{reason}");
        receiver.wait_complete(LIMIT).await.assert_sound();

        let path = fleet.write(&[genuine]).remove(0);
        let shown = run(&mut fleet.command(&["inspect", path.to_str().unwrap()]), b"").await;
        assert!(shown.stdout.contains("sender: bank.example") && shown.stdout.contains("spf    pass"), "{shown:?}");
    })
    .await;
}
