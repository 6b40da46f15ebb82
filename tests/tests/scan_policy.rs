//! What becomes of mail in which something is not clean, by verdict, tenant and rule; and what readiness says of scanners.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use shared::clamav::{
    selftest::eicar,
    testing::{encrypted_zip, zip},
};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Fleet, run},
    mails::Mail,
    mime::{attachment, mail, multipart, text},
    receiver::Receiver,
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(180);

/// A mail with a text, a harmless attachment and another one.
fn with(name: &str, to: &str, other: Vec<u8>) -> Mail {
    let parts = [text("see attached"), attachment("good.txt", "text/plain", b"all is well"), other];
    let made = mail(name, &multipart(&parts));
    let raw = String::from_utf8(made.raw).unwrap().replace("desk@mail.example", to).into_bytes();
    Mail { raw, ..made }
}

fn locked() -> Vec<u8> {
    attachment("locked.zip", "application/zip", encrypted_zip())
}

fn virus() -> Vec<u8> {
    attachment("x.zip", "application/zip", &zip(&[("x.com", &eicar())]))
}

/// The payload's data that arrived at a path for a mail.
fn data(receiver: &Receiver, path: &str, mail: &Mail) -> Value {
    receiver.book(|book| {
        let mut arrivals = book.arrivals().iter();
        let arrival = arrivals.find(|arrival| arrival.path == path && arrival.sha256 == mail.sha256());
        arrival.unwrap_or_else(|| panic!("{} did not arrive", mail.name)).payload["data"].clone()
    })
}

/// The content of every object below a folder of the store: its own header is 48 bytes.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![fs::read(&path).unwrap()[48..].to_vec()] }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_says_for_each_verdict_tenant_and_rule_what_becomes_of_a_mail() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::new(&clamd)
            .destination("hook", &receiver, "/hook", "")
            .destination("archive", &receiver, "/archive", "")
            .section("scan", "infected = \"reject\"\nencrypted = \"deliver_without\"")
            .rule("name = \"open\"\nwhen = { recipient = \"open@*\" }\ndeliver = \"hook\"\nscan = { encrypted = \"deliver\" }")
            .rule("name = \"archive\"\nwhen = { recipient = \"archive@*\" }\ndeliver = \"archive\"\nstop = false\nscan = { infected = \"deliver\" }")
            .rule("name = \"rest\"\ndeliver = \"hook\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let without = with("without", "desk@mail.example", locked());
        let open = with("open", "open@mail.example", locked());
        let infected = with("infected", "open@mail.example", virus());
        // The leniency of one rule is not for the destination of the other.
        let archived = with("archived", "archive@mail.example", virus());
        for mail in [&without, &open] {
            receiver.expect("/hook", mail);
        }
        let ended = fleet.submit_and_wait(&[without.clone(), open.clone(), infected, archived], LIMIT).await;
        let names: Vec<_> = ended.iter().map(|ended| ended.names()[0]).collect();
        assert_eq!(names, ["delivered", "delivered", "rejected", "rejected"], "{ended:#?}");
        let why = ended[2].ends[0].reason.as_deref().unwrap();
        assert!(why.starts_with("infected: Eicar-Test") && !why.contains("x.com"), "{why}");

        let data_without = data(&receiver, "/hook", &without);
        assert_eq!((&data_without["verdict"], &data_without["scan"]["withheld"]), (&json!("encrypted"), &json!([4])));
        assert!(data_without["raw"]["key"].is_null(), "the raw mail has the part in it");
        assert_eq!(data_without["attachments"][0]["verdict"], "clean");
        assert_eq!(data_without["attachments"][1]["verdict"], "encrypted");
        assert_eq!(data_without["attachments"][1]["name"], "locked.zip");
        assert!(data_without["attachments"][0]["key"].is_string() && data_without["attachments"][1]["key"].is_null());
        let places: Vec<&Value> =
            data_without["scan"]["items"].as_array().unwrap().iter().map(|item| &item["place"]).collect();
        assert_eq!(places, ["raw", "part", "member"], "{data_without:#}");
        assert_eq!(data_without["scan"]["database"], "27500");

        let data_open = data(&receiver, "/hook", &open);
        assert_eq!((&data_open["verdict"], &data_open["scan"]["withheld"]), (&json!("encrypted"), &json!([])));
        assert!(data_open["raw"]["key"].is_string());
        assert!(data_open["attachments"].as_array().unwrap().iter().all(|attached| attached["key"].is_string()));
        receiver.report().assert_sound();

        // Stored by itself is what is delivered, and nothing else: the zip under a password once, for the open rule.
        let stored = files(&fleet.data().join("blobs/objects/attachments"));
        assert_eq!(stored.iter().filter(|content| content.starts_with(b"PK")).count(), 1);
        assert!(!stored.iter().any(|content| content.windows(5).any(|window| window == b"x.com")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_s_policy_goes_by_the_envelope_and_a_body_is_left_out_with_its_part() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::simple(&clamd, &receiver)
            .section("tenants", "\"strict.example\" = \"strict\"")
            .section("scan", "infected = \"deliver_without\"")
            .section("scan.tenant.strict", "infected = \"quarantine\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let head = b"Content-Type: text/plain\r\n\r\n";
        let body = mail("body", &[head, &eicar()[..], b"\r\n"].concat());
        receiver.expect("/hook", &body);
        let paths = fleet.write(std::slice::from_ref(&body));
        let path = paths[0].to_str().unwrap();
        let wait = format!("--wait={}", LIMIT.as_secs());
        let ran = fleet.run(&["submit", "--json", &wait, path]).await;
        assert!(ran.stdout.contains("delivered"), "{ran:?}");
        let data = data(&receiver, "/hook", &body);
        assert_eq!((&data["text"], &data["html"]), (&Value::Null, &Value::Null), "{data:#}");
        assert_eq!(data["scan"]["withheld"], json!([1]));
        let ran = fleet.run(&["submit", "--json", &wait, "--to", "desk@strict.example", path]).await;
        assert!(ran.stdout.contains("quarantined"), "{ran:?}");
        receiver.report().assert_sound();
    })
    .await;
}

/// An archive of one file, in an archive, in a mail.
fn packed(name: &str, to: &str, file: &str) -> Mail {
    let inner = zip(&[(file, b"nothing that a signature knows")]);
    with(name, to, attachment("invoice.zip", "application/zip", &zip(&[("inner.zip", &inner)])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_an_archive_is_held_to_the_rules_for_attachments() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::new(&clamd)
            .destination("hook", &receiver, "/hook", "")
            .destination("pages", &receiver, "/pages", "")
            .section("tenants", "\"open.example\" = \"open\"\n\"strict.example\" = \"strict\"")
            .section("findings.tenant.open", "script_attachment = \"tag\"")
            .section("findings.tenant.strict", "script_attachment = \"reject\"")
            .rule("name = \"pages\"\nwhen = { tag = \"html_attachment\" }\ndeliver = \"pages\"")
            .rule("name = \"rest\"\ndeliver = \"hook\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let (page, open) = (packed("page", "a@mail.example", "a.html"), packed("open", "a@open.example", "pay.js"));
        let text = packed("text", "a@mail.example", "a.txt");
        receiver.expect("/pages", &page);
        [&open, &text].iter().for_each(|mail| receiver.expect("/hook", mail));
        let kept = [
            (
                "invoice.pdf.exe",
                "quarantined",
                "executable_attachment in the zip in part 4: an attachment is a program",
            ),
            ("pay.js", "quarantined", "script_attachment in the zip in part 4: "),
            ("pay.lnk", "quarantined", "shortcut_attachment in the zip in part 4: "),
            ("pay.iso", "quarantined", "disk_image_attachment in the zip in part 4: "),
            ("pay.hta", "quarantined", "script_attachment in the zip in part 4: "),
        ];
        let wait = format!("--wait={}", LIMIT.as_secs());
        let submit = async |mail: &Mail, to: &str| {
            let paths = fleet.write(std::slice::from_ref(mail));
            fleet.run(&["submit", "--json", &wait, "--to", to, paths[0].to_str().unwrap()]).await
        };
        for (file, end, why) in kept {
            let mail = packed(file, "a@mail.example", file);
            let said = submit(&mail, "a@mail.example").await.stdout;
            assert!(said.contains(end) && said.contains(why), "{file}: {said}");
            assert!(!said.replace(&format!("{file}.eml"), "").contains(file), "no name of a file is on record: {said}");
            let path = &fleet.write(std::slice::from_ref(&mail))[0];
            let args = ["inspect", "--json", "--to", "a@mail.example", path.to_str().unwrap()];
            let foretold = run(&mut fleet.command(&args), b"").await;
            assert!(foretold.stdout.contains(why), "{file}: {foretold:?}");
        }
        let said = submit(&packed("strict", "a@strict.example", "pay.js"), "a@strict.example").await.stdout;
        assert!(said.contains("rejected") && said.contains("script_attachment"), "{said}");
        for (mail, to) in [(&page, "a@mail.example"), (&open, "a@open.example"), (&text, "a@mail.example")] {
            let said = submit(mail, to).await.stdout;
            assert!(said.contains("delivered"), "{}: {said}", mail.name);
        }
        assert_eq!(data(&receiver, "/pages", &page)["tags"], json!(["html_attachment"]));
        let data_open = data(&receiver, "/hook", &open);
        assert_eq!(data_open["tags"], json!(["script_attachment"]));
        assert_eq!(data_open["findings"][0]["where"], "the zip in part 4", "{data_open:#}");
        assert_eq!(data(&receiver, "/hook", &text)["tags"], json!([]));
        receiver.report().assert_sound();
    })
    .await;
}

async fn get(port: u16, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_metrics_say_which_scanners_with_which_signatures_there_are() {
    within(LIMIT, async {
        let (mut clamd, mut other) = (Clamd::start().await, Clamd::start().await);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = Config::scanned_by(&[clamd.endpoint(), other.endpoint()], "")
            .section("telemetry", &format!("listen = \"127.0.0.1:{port}\""));
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let until = async |wanted: &dyn Fn(u16, &str) -> bool| loop {
            let (status, text) = get(port, "/ready").await;
            if wanted(status, &text) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let ready = until(&|status, text| status == 200 && text.matches("signatures 27500").count() == 2).await;
        assert!(ready.contains("ClamAV 1."), "{ready}");
        let (_, metrics) = get(port, "/metrics").await;
        assert!(metrics.contains("mailtri_scanner_endpoints{state=\"admitted\"} 2"), "{metrics}");
        assert!(metrics.lines().any(|line| line.starts_with("mailtri_scanner_versions") && line.contains("27500")));
        assert!(metrics.contains("mailtri_scanner_signatures_age_seconds"));

        // One is enough; none is not.
        clamd.kill();
        until(&|status, text| status == 200 && text.contains("not used")).await;
        other.kill();
        until(&|status, text| status == 503 && text.matches("not used").count() == 2).await;
        clamd.restart().await;
        until(&|status, _| status == 200).await;
    })
    .await;
}
