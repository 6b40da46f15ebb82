//! Bad input to every command: a clear error, the right exit code, and nothing left behind.

use std::{fs, path::Path, time::Duration};

use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::Fixture,
    fleet::{self, Fleet, Ran, run},
    mails::Mails,
    receiver::Receiver,
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(120);
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 65;
const MISSING: i32 = 66;
const CONFIG: i32 = 78;

async fn mailtri(args: &[&str]) -> Ran {
    run(fleet::mailtri().args(args), b"").await
}

/// A command failed with this code, and said why in words that hold all of `said`, on stderr alone.
#[track_caller]
fn refused(ran: &Ran, code: i32, said: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for said in said {
        assert!(ran.stderr.contains(said), "{said:?} is not said: {ran:?}");
    }
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("RUST_BACKTRACE"), "{ran:?}");
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn submit_refuses_what_is_no_mail_and_stores_nothing_of_it() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let file = |name: &str, content: &[u8]| {
            let path = fleet.data().with_file_name(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let huge = [&Fixture::named("plain").mail().raw[..], &vec![b'x'; 100 << 20]].concat();
        let cases = [
            ("/nowhere/a.eml".to_owned(), MISSING, "/nowhere/a.eml"),
            (file("not-a-mail", &[0x89, b'P', b'N', b'G', 0, 1, 2, 0xff]), BAD_INPUT, "not-a-mail"),
            (file("empty", b""), BAD_INPUT, "empty"),
            (file("huge.eml", &huge), BAD_INPUT, "limits.max_mail"),
        ];
        for (path, code, said) in &cases {
            let ran = fleet.run(&["submit", path]).await;
            refused(&ran, *code, &[said]);
            assert_eq!(ran.stdout, "", "nothing was taken in");
        }
        assert_eq!(files(&fleet.data().join("blobs")), 0, "a refused mail was stored");

        let good = Mails::new("good", seeded("bad input")).text();
        receiver.expect("/hook", &good);
        let path = fleet.write(&[good]).remove(0);
        let ran = fleet.run(&["submit", &cases[2].0, path.to_str().unwrap(), &cases[0].0]).await;
        assert!(ran.code != Some(0) && ran.stdout.lines().count() == 1, "the good one among bad ones: {ran:?}");
        let _local = fleet.local().await;
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

#[tokio::test]
async fn standard_input_a_directory_and_an_mbox_are_taken() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let mut source = Mails::new("ways", seeded("ways in"));
        let mails: Vec<_> = (0..3).map(|_| source.text()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        let piped = run(fleet.command(&["submit", "-"]).arg("--data").arg(fleet.data()), &mails[0].raw).await;
        assert_eq!((piped.code, piped.stdout.lines().count()), (Some(0), 1), "{piped:?}");
        let folder = fleet.write(&mails[1..]).remove(0);
        let ran = fleet.run(&["submit", folder.parent().unwrap().to_str().unwrap()]).await;
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{ran:?}");
        let _local = fleet.local().await;
        receiver.wait_complete(LIMIT).await.assert_sound();

        let mbox = fleet.data().with_file_name("two.mbox");
        let one = b"From a@b.example Tue Nov  3 09:00:00 2026\nFrom: a@b.example\nSubject: one\n\none\n\n";
        fs::write(&mbox, [&one[..], &one[..]].concat()).unwrap();
        let ran = fleet.run(&["submit", mbox.to_str().unwrap()]).await;
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{ran:?}");
    })
    .await;
}

#[tokio::test]
async fn all_configuration_errors_are_told_at_once_by_every_command() {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let config = Config::simple(&clamd, &receiver)
        .section("limits", "max_mail = \"much\"")
        .section("stage.parse", "visibility = \"never\"\nvisibilty = \"3s\"")
        .section("telemetry", "listen = \"nowhere\"");
    let fleet = Fleet::new(&config);
    let said = ["limits.max_mail", "stage.parse.visibility", "visibilty", "telemetry.listen"];
    refused(&run(&mut fleet.command(&["config", "check"]), b"").await, CONFIG, &said);
    refused(&fleet.run(&["local"]).await, CONFIG, &said);
    refused(&fleet.run(&["worker", "parse"]).await, CONFIG, &said);
    let mail = Fixture::named("plain").path();
    refused(&fleet.run(&["submit", mail.to_str().unwrap()]).await, CONFIG, &said);
    assert!(!fleet.data().exists(), "a data directory was made from a bad configuration");
}

#[tokio::test]
async fn a_good_configuration_is_shown_without_its_secrets() {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
    let check = run(&mut fleet.command(&["config", "check"]), b"").await;
    assert_eq!(check.code, Some(0), "{check:?}");
    let show = run(&mut fleet.command(&["config", "show"]), b"").await;
    assert_eq!(show.code, Some(0), "{show:?}");
    assert!(show.stdout.contains(&receiver.url("/hook")), "{show:?}");
    let secret = receiver.secret().trim_start_matches("whsec_");
    assert!(!show.stdout.contains(secret) && !show.stderr.contains(secret));
}

#[tokio::test]
async fn wrong_usage_and_missing_things_are_told() {
    refused(&mailtri(&["worker", "parse", "dance", "--data", "/nowhere"]).await, USAGE, &["dance"]);
    refused(&mailtri(&["frobnicate"]).await, USAGE, &["frobnicate"]);
    refused(&mailtri(&["local"]).await, USAGE, &["--data"]);
    refused(&mailtri(&["config", "check", "--config", "/nowhere/m.toml"]).await, CONFIG, &["/nowhere/m.toml"]);
    refused(&mailtri(&["dlq", "list", "--data", "/nowhere"]).await, MISSING, &["/nowhere"]);
    refused(&mailtri(&["quarantine", "list", "--data", "/nowhere"]).await, MISSING, &["/nowhere"]);
    refused(&mailtri(&["inspect", "/nowhere/a.eml"]).await, MISSING, &["/nowhere/a.eml"]);
    refused(&mailtri(&["inspect", "-"]).await, BAD_INPUT, &[]);
}

#[tokio::test]
async fn an_id_that_does_not_exist_is_told() {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
    fleet.submit(&[Fixture::named("plain").mail()]).await;
    for args in [["dlq", "show", "0123abcd"], ["dlq", "requeue", "0123abcd"], ["quarantine", "show", "0123abcd"]] {
        let ran = fleet.run(&args).await;
        assert!([Some(FAILED), Some(MISSING)].contains(&ran.code), "{ran:?}");
        assert!(ran.stderr.contains("0123abcd"), "{ran:?}");
    }
}

#[tokio::test]
async fn inspect_shows_what_would_become_of_a_mail_and_sends_nothing() {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
    let path = Fixture::named("command-subject").path();
    let ran = run(&mut fleet.command(&["inspect", "--json", path.to_str().unwrap()]), b"").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(shown.to_string().contains("send-invoice"), "{shown:#}");
    let plain = run(&mut fleet.command(&["inspect", path.to_str().unwrap()]), b"").await;
    assert!(plain.code == Some(0) && plain.stdout.contains("Send Invoice: Q1"), "{plain:?}");
    assert!(receiver.book(|book| book.arrivals().is_empty()) && !fleet.data().exists());
}

#[tokio::test]
async fn pipeline_help_and_completions_print_what_they_promise() {
    let pipeline = mailtri(&["pipeline"]).await;
    assert_eq!(pipeline.code, Some(0), "{pipeline:?}");
    for stage in ["parse", "scan", "route", "deliver"] {
        assert!(pipeline.stdout.contains(stage), "{pipeline:?}");
    }
    let json = mailtri(&["pipeline", "--json"]).await;
    assert!(serde_json::from_str::<serde_json::Value>(&json.stdout).is_ok(), "{json:?}");
    let help = mailtri(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    for command in ["local", "worker", "submit", "inspect", "pipeline", "dlq", "quarantine", "config"] {
        assert!(help.stdout.contains(command), "{command} is not in the help");
    }
    for shell in ["bash", "zsh", "fish"] {
        let completions = mailtri(&["completions", shell]).await;
        assert!(completions.code == Some(0) && completions.stdout.contains("mailtri"), "{shell}");
    }
}
