//! One mail, end to end: every fixture ends as it should, and what the receiver gets is what was sent.

use std::{fs, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::{Expect, FIXTURES, Fixture},
    fleet::Fleet,
    mails::Mails,
    receiver::Receiver,
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn every_fixture_ends_as_it_should_and_arrives_as_it_was_sent() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let _local = fleet.local().await;
        let mails: Vec<_> = FIXTURES.iter().map(Fixture::mail).collect();
        for (fixture, mail) in FIXTURES.iter().zip(&mails) {
            if fixture.expect == Expect::Delivered {
                receiver.expect("/hook", mail);
            }
        }
        for (fixture, ended) in FIXTURES.iter().zip(fleet.submit_and_wait(&mails, LIMIT).await) {
            match fixture.expect {
                Expect::Delivered => assert_eq!(ended.names(), ["delivered"], "{ended:?}"),
                Expect::Quarantined(why) => {
                    assert_eq!(ended.names(), ["quarantined"], "{ended:?}");
                    assert!(ended.ends[0].reason.as_ref().is_some_and(|r| r.contains(why)), "{ended:?}");
                }
            }
        }
        let report = receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0);
        check_payloads(&receiver);
    })
    .await;
}

fn data(receiver: &Receiver, fixture: &str) -> Value {
    let sha256 = Fixture::named(fixture).mail().sha256();
    receiver.book(|book| {
        let arrival = book.arrivals().iter().find(|a| a.sha256 == sha256).unwrap();
        assert_eq!(arrival.payload["type"], "mail.processed");
        arrival.payload["data"].clone()
    })
}

fn text<'a>(data: &'a Value, key: &str) -> &'a str {
    data[key].as_str().unwrap_or_else(|| panic!("no {key} in {data:#}"))
}

fn check_payloads(receiver: &Receiver) {
    let plain = data(receiver, "plain");
    assert_eq!(plain["subject"], "Lunch on Thursday?");
    assert_eq!(plain["from"], json!([{"name": "Ada Lovelace", "address": "ada@sender.example"}]));
    assert_eq!(plain["to"][0]["address"], "desk@mail.example");
    assert_eq!(plain["message_id"], "fixture-01@sender.example");
    assert_eq!(plain["raw"]["size"], Fixture::named("plain").mail().raw.len());
    assert_eq!((&plain["verdict"], &plain["intent"]), (&json!("clean"), &Value::Null));
    assert!(text(&plain, "text").contains("is Thursday still good for lunch?"));

    check_html(&data(receiver, "newsletter"));
    check_charsets(receiver);
    check_attachments(receiver);

    let intent = |name| data(receiver, name)["intent"].clone();
    assert_eq!(intent("command-plus"), json!({"source": "recipient", "command": "task", "argument": "notion"}));
    assert_eq!(intent("command-subject"), json!({"source": "subject", "command": "send-invoice", "argument": "Q1"}));
    assert_eq!(intent("command-body"), json!({"source": "body", "command": "task", "argument": "Create new feature"}));
}

fn check_html(newsletter: &Value) {
    let html = text(newsletter, "html");
    for kept in ["Ten <b>offers</b> for you.", "https://shop.example/offers", "<td>Tea</td>", "color"] {
        assert!(html.contains(kept), "{kept} is not in {html}");
    }
    for gone in ["<script", "onload", "onclick", "javascript:", "<iframe", "<form", "<input", "url(", "steal", "phish"]
    {
        assert!(!html.contains(gone), "{gone} is in {html}");
    }
    assert!(newsletter["findings"].to_string().contains("active_content_removed"));
}

fn check_charsets(receiver: &Receiver) {
    let japanese = data(receiver, "japanese");
    assert_eq!(japanese["subject"], "会議のお知らせ");
    assert_eq!(japanese["from"][0]["name"], "田中");
    assert!(text(&japanese, "text").contains("明日の会議は十時からです。"));
    let german = data(receiver, "windows-1252");
    assert_eq!(german["subject"], "Preisübersicht – 100 €");
    assert_eq!(german["from"][0]["name"], "Jürgen Groß");
    assert!(text(&german, "text").contains("Der Preis beträgt 100 € – „fest“."));
    let long = data(receiver, "quoted-printable");
    for kept in ["Grüße aus Köln", "Umbruch, Ende.", "Trailing space \n", "and a = sign."] {
        assert!(text(&long, "text").replace("\r\n", "\n").contains(kept), "{kept}");
    }
    let html = data(receiver, "html-only");
    assert_eq!(html["subject"], "Café ☕");
    assert!(text(&html, "text").contains("Only HTML, café."));
}

fn check_attachments(receiver: &Receiver) {
    let attachments = |name| data(receiver, name)["attachments"].as_array().unwrap().clone();
    let pdf = attachments("pdf");
    let content = last_base64_part("pdf");
    assert_eq!(pdf.len(), 1);
    assert_eq!((&pdf[0]["name"], &pdf[0]["content_type"]), (&json!("invoice.pdf"), &json!("application/pdf")));
    assert_eq!(pdf[0]["size"], content.len());
    assert_eq!(pdf[0]["sha256"], shared::ids::hex(&Sha256::digest(&content)));

    assert_eq!(attachments("inline-image")[0]["content_id"], "dot@sender.example");
    assert!(attachments("invitation").iter().any(|a| a["name"] == "invite.ics"));
    assert!(attachments("nested").iter().any(|a| a["name"] == "votes.csv"), "{:?}", attachments("nested"));
    let bidi = data(receiver, "bidi-name");
    let name = text(&bidi["attachments"][0], "name");
    assert!(name.ends_with(".docm") && !name.contains('\u{202e}'), "{name}");
    assert!(bidi["tags"].to_string().contains("bidi_characters"));
    let damaged = data(receiver, "base64-stray");
    assert!(damaged["findings"].to_string().contains("encoding_damaged"));
    assert_eq!(damaged["attachments"][0]["size"], 4 * "a file whose encoding has one byte too many\n".len());
}

/// Decoded here, by other code than the one under test.
fn last_base64_part(fixture: &str) -> Vec<u8> {
    let raw = String::from_utf8(Fixture::named(fixture).mail().raw).unwrap();
    let body = raw.rsplit("base64\r\n\r\n").next().unwrap().split("--").next().unwrap();
    BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap()
}

#[tokio::test]
async fn several_processes_share_one_data_directory() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let _first = fleet.worker(&["parse", "scan"]).await;
        let _second = fleet.worker(&["route", "deliver"]).await;
        let mut source = Mails::new("shared", seeded("several processes"));
        let mails: Vec<_> = (0..20).map(|_| source.any()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&mails).await;
        let report = receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0);
    })
    .await;
}

#[tokio::test]
async fn a_mail_for_two_destinations_reaches_both_and_ends_twice() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::new(&clamd)
            .destination("one", &receiver, "/one", "")
            .destination("two", &receiver, "/two", "")
            .section("route", "default = [\"one\", \"two\"]");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mail = Mails::new("fan", seeded("fan-out")).html();
        receiver.expect("/one", &mail);
        receiver.expect("/two", &mail);
        let ended = fleet.submit_and_wait(&[mail], LIMIT).await;
        assert_eq!(ended[0].names(), ["delivered", "delivered"]);
        let mut branches: Vec<_> = ended[0].ends.iter().map(|e| e.branch.as_str()).collect();
        branches.sort_unstable();
        assert_eq!(branches, ["one", "two"]);
        receiver.wait_complete(LIMIT).await.assert_sound();
        let ids = receiver.book(|b| b.arrivals().iter().map(|a| a.id.clone()).collect::<Vec<_>>());
        assert_ne!(ids[0], ids[1], "each destination has its own webhook-id");
    })
    .await;
}

#[tokio::test]
async fn a_file_put_into_incoming_is_taken_in_once_and_removed() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let _local = fleet.local().await;
        let mut source = Mails::new("incoming", seeded("incoming"));
        let (moved, written) = (source.text(), source.html());
        receiver.expect("/hook", &moved);
        receiver.expect("/hook", &written);
        let incoming = fleet.data().join("incoming");
        let draft = fleet.write(&[moved]).remove(0);
        fs::rename(draft, incoming.join("moved.eml")).unwrap();
        fs::write(incoming.join("written.eml"), &written.raw).unwrap();
        let report = receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0);
        assert_eq!(fs::read_dir(incoming).unwrap().flatten().filter(|e| e.path().is_file()).count(), 0);
    })
    .await;
}

#[tokio::test]
async fn rules_decide_by_recipient_and_subject_where_a_mail_ends() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::new(&clamd)
            .destination("desk", &receiver, "/desk", "")
            .destination("else", &receiver, "/else", "")
            .section("route", "default = [\"else\"]")
            .rule("name = \"held\"\nwhen = { subject = \"*held*\" }\naction = \"quarantine\"\nreason = \"asked for\"")
            .rule("name = \"refused\"\nwhen = { subject = \"*refused*\" }\naction = \"reject\"\nreason = \"asked for\"")
            .rule("name = \"left\"\nwhen = { subject = \"*left*\" }\naction = \"drop\"\nreason = \"asked for\"")
            .rule("name = \"desk\"\nwhen = { recipient = \"desk@*\", subject = \"*desk*\" }\ndeliver = [\"desk\"]");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let kinds = ["held", "refused", "left", "desk", "other"];
        let mails: Vec<_> = kinds.iter().map(|kind| Mails::new(kind, seeded("rules")).text()).collect();
        receiver.expect("/desk", &mails[3]);
        receiver.expect("/else", &mails[4]);
        let ended = fleet.submit_and_wait(&mails, LIMIT).await;
        let ends: Vec<_> = ended.iter().map(|e| e.names()[0]).collect();
        assert_eq!(ends, ["quarantined", "rejected", "dropped", "delivered", "delivered"]);
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}
