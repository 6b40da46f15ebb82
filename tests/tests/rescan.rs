//! Stored attachments after the signatures have changed.

use std::{fs, time::Duration};

use serde_json::Value;
use tests::{
    clamd::Clamd,
    config::Config,
    containers::fixture,
    fleet::{Fleet, Ran},
    mails::Mail,
    mime::{attachment, mail, multipart, text},
    receiver::Receiver,
    soak::{scale, within},
};

const LIMIT: Duration = Duration::from_secs(180);

fn with(name: &str, content: &str) -> Mail {
    mail(name, &multipart(&[text("see attached"), attachment("a.txt", "text/plain", content.as_bytes())]))
}

fn signature(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{text}:0:*:{hex}\n")
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs it with signatures of that version at least: clamd takes a moment to load them.
async fn rescan(fleet: &Fleet, database: &str) -> Vec<Value> {
    loop {
        let ran = fleet.run(&["rescan", "--json"]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let lines = lines(&ran);
        if lines.last().unwrap()["engine"]["database"] == database {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rescan_tells_every_change_once_and_goes_on_where_it_stopped() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let local = fleet.local().await;
        let count = scale(30, 1000);
        let mut mails: Vec<Mail> = (0..count).map(|i| with(&format!("good-{i}"), &format!("content {i}"))).collect();
        mails.extend([with("first", "the first needle"), with("second", "the second needle")]);
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit_and_wait(&mails, LIMIT).await;
        local.terminate();

        let all = count + 2;
        let first = rescan(&fleet, "27500").await;
        assert_eq!(first.len(), 1, "nothing has changed: {first:?}");
        assert_eq!(first[0]["total"]["scanned"], all);
        // These signatures have seen everything.
        let again = rescan(&fleet, "27500").await;
        assert_eq!(
            (&again[0]["resumed"], &again[0]["total"]["scanned"]),
            (&Value::Bool(true), &first[0]["total"]["scanned"])
        );

        clamd.update(27_501, &[("more.ndb", &signature("first needle"))]).await;
        let second = rescan(&fleet, "27501").await;
        assert_eq!(second.len(), 2, "{second:?}");
        let change = &second[0];
        assert_eq!(
            (&change["event"], &change["previous"], &change["verdict"]),
            (&"attachment.verdict_changed".into(), &"clean".into(), &"infected".into())
        );
        assert_eq!(change["detail"], "first needle.UNOFFICIAL");
        let key = change["key"].as_str().unwrap().strip_prefix("attachments/").unwrap();
        let recorded = || find(&fleet.data().join("blobs/objects/verdicts"), key);
        let record: Value = serde_json::from_slice(&recorded()).unwrap();
        assert_eq!((&record["verdict"], &record["previous"]["verdict"]), (&"infected".into(), &"clean".into()));
        assert_eq!(record["audit"].as_array().unwrap().len(), 1);

        // What is known is not told again; what was found and is found no more is a change.
        clamd.update(27_502, &[("more.ndb", &signature("second needle"))]).await;
        let third = rescan(&fleet, "27502").await;
        let mut told: Vec<_> =
            third[..third.len() - 1].iter().map(|change| change["verdict"].as_str().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, ["clean", "infected"], "{third:?}");
        let record: Value = serde_json::from_slice(&recorded()).unwrap();
        assert_eq!((&record["verdict"], &record["audit"].as_array().unwrap().len()), (&"clean".into(), &2));

        // Without a scanner nothing is said, and nothing is lost.
        clamd.kill();
        let ran = fleet.run(&["rescan", "--again"]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        clamd.restart().await;
        let ran = fleet.run(&["rescan", "--again"]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(&format!("{all} scanned with signatures 27502, 0 changed, 0 failed")), "{ran:?}");
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_let_pass_is_never_called_clean_later() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("scan", "encrypted = \"deliver\""));
        let local = fleet.local().await;
        // clamd calls it clean: the walk of containers is what says that nobody can look into it.
        let document = fixture("encrypted.docx");
        let mail = mail("locked", &multipart(&[text("see"), attachment("a.docx", "application/msword", &document)]));
        receiver.expect("/hook", &mail);
        fleet.submit_and_wait(&[mail], LIMIT).await;
        local.terminate();
        let nothing = rescan(&fleet, "27500").await;
        assert_eq!(nothing.len(), 1, "nothing has changed: {nothing:?}");

        let hex: String = document[512..544].iter().map(|byte| format!("{byte:02x}")).collect();
        for (version, signature, previous, verdict) in [
            (27_501, format!("Locked:0:*:{hex}\n"), "encrypted", "infected"),
            (27_502, signature("something else"), "infected", "encrypted"),
        ] {
            clamd.update(version, &[("more.ndb", &signature)]).await;
            let told = rescan(&fleet, &version.to_string()).await;
            assert_eq!(told.len(), 2, "{told:?}");
            assert_eq!((&told[0]["previous"], &told[0]["verdict"]), (&previous.into(), &verdict.into()), "{told:?}");
        }
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rescan_that_dies_between_pages_goes_on_from_the_last_one_that_it_noted() {
    /// More than one page of the store's list, less than two.
    const ALL: usize = 230;
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let mut fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let local = fleet.local().await;
        let file = |i: usize| attachment(&format!("{i}.txt"), "text/plain", format!("content {i}").as_bytes());
        let mail = mail("many", &multipart(&(0..ALL).map(file).collect::<Vec<_>>()));
        receiver.expect("/hook", &mail);
        fleet.submit_and_wait(&[mail], LIMIT).await;
        local.terminate();

        // The second page is looked at, and not noted.
        clamd.update(27_501, &[("more.ndb", &signature("content "))]).await;
        fleet.set("FAILPOINTS", "rescan::after_page=1*off->panic");
        let died = loop {
            let ran = fleet.run(&["rescan", "--json"]).await;
            assert!(!ran.stdout.contains("rescan.done"), "it did not die: {ran:?}");
            if ran.stdout.contains("\"27501\"") {
                break ran;
            }
        };
        assert_eq!((died.code, died.stdout.lines().count()), (Some(101), ALL), "every change is told: {died:?}");
        fleet.unset("FAILPOINTS");
        let ran = fleet.run(&["rescan", "--json"]).await;
        // What the first run found is on record, so that it is no change any more.
        let lines = lines(&ran);
        assert_eq!((ran.code, lines.len()), (Some(0), 1), "{ran:?}");
        assert_eq!((&lines[0]["resumed"], &lines[0]["total"]["scanned"]), (&true.into(), &ALL.into()));
        assert_eq!((&lines[0]["total"]["changed"], &lines[0]["total"]["failed"]), (&200.into(), &0.into()));
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// The object of that key, however the store names its files.
fn find(folder: &std::path::Path, key: &str) -> Vec<u8> {
    let (mail, sha256) = key.split_once('/').unwrap();
    let names = |folder: &std::path::Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::Path, text: &str| path.file_name().unwrap().to_str().unwrap().contains(text);
    let of_mail = names(folder).find(|path| holds(path, mail)).expect("a record of the mail");
    let file = names(&of_mail).find(|path| holds(path, sha256)).expect("a record of the attachment");
    let bytes = fs::read(file).unwrap();
    // The store's own header comes first.
    bytes[48..].to_vec()
}
