//! A clamd that dies, stands still, reloads or lies while mails flow: nothing is marked clean that was not scanned,
//! nothing is lost, no other stage notices.

use std::time::Duration;

use rand::RngExt;
use shared::clamav::testing::Options;
use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::Fixture,
    fleet::Fleet,
    liar::{Liar, Lie},
    mails::{Mail, Mails},
    mime::{attachment, mail, multipart, text},
    process::Process,
    receiver::Receiver,
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(180);
/// Many attempts, soon after each other: what is tested is that none of them marks anything.
const PATIENT: &str = "max_attempts = 100\nbackoff_first = \"200ms\"\nbackoff_longest = \"1s\"";
/// Scanners that are given up soon.
const SHORT: &str = "connect_timeout = \"1s\"\nwrite_timeout = \"1s\"\ndeadline = \"5s\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_clamd_nothing_passes_and_with_it_everything_ends_as_it_should() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("stage.scan", PATIENT));
        let local = fleet.local().await;
        let mut source = Mails::new("clamd", seeded("clamd faults"));

        let before: Vec<Mail> = (0..5).map(|_| source.any()).collect();
        before.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&before).await;
        receiver.wait_complete(LIMIT).await.assert_sound();

        clamd.kill();
        let during: Vec<Mail> = (0..scale(15, 100)).map(|_| source.any()).collect();
        fleet.submit(&during).await;
        let infected = [Fixture::named("eicar").mail(), Fixture::named("eicar-zip").mail()];
        fleet.submit(&infected).await;
        local.wait_log("scanner_unreachable", LIMIT).await;
        assert_eq!(receiver.report().invented, [""; 0], "delivered without a scan");

        clamd.restart().await;
        during.iter().for_each(|mail| receiver.expect("/hook", mail));
        receiver.wait_complete(LIMIT).await.assert_sound();
        let again = fleet.submit_and_wait(&infected, LIMIT).await;
        assert!(again.iter().all(|ended| ended.names() == ["quarantined"]), "{again:?}");
        // EICAR is no obligation: had it been delivered, it would be an invention.
        receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clamd_that_dies_again_and_again_in_the_middle_of_scans_lets_nothing_through() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("stage.scan", PATIENT));
        let _local = fleet.local().await;
        let mut source = Mails::new("flaky", seeded("a flaky clamd"));
        let mails: Vec<Mail> = (0..scale(8, 40)).map(|_| source.attachment(1_500_000)).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&[Fixture::named("eicar").mail()]).await;
        fleet.submit(&mails).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            clamd.kill();
            clamd.restart().await;
        }
        let ended = fleet.submit_and_wait(&[Fixture::named("eicar-zip").mail()], LIMIT).await;
        assert_eq!(ended[0].names(), ["quarantined"]);
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// Waits until so many mails have passed a stage of a process.
async fn passed(process: &Process, stage: &str, count: usize) {
    let stage = format!("\"stage\":\"{stage}\"");
    let is_passed = |line: &&str| line.contains("\"outcome\":\"passed\"") && line.contains(&stage);
    while std::fs::read_to_string(process.log()).unwrap().lines().filter(is_passed).count() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Connections of a process, those that it listens on among them.
fn sockets(pid: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let target = |file: std::io::Result<std::fs::DirEntry>| std::fs::read_link(file.ok()?.path()).ok();
    files.filter_map(target).filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_popular_attachment_outlives_the_death_of_its_scanner() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::simple(&clamd, &receiver).section("scan", "raw = \"never\"");
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let parsing = fleet.worker(&["parse"]).await;
        let mut popular = vec![b'x'; 2_000_000];
        seeded("a popular attachment").fill(&mut popular[1..]);
        let with_it = |i: usize| {
            let parts = [text(&format!("mail {i}")), attachment("a.dat", "application/octet-stream", &popular)];
            mail(&format!("popular-{i}"), &multipart(&parts))
        };
        let mails: Vec<Mail> = (0..40).map(with_it).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&mails).await;
        passed(&parsing, "parse", mails.len()).await;

        let _scanning = [fleet.worker(&["scan"]).await, fleet.worker(&["scan"]).await];
        // Two that it listens on, a session with each worker: the rest are scans, of one content.
        while sockets(clamd.pid().unwrap()) < 4 + 8 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        clamd.kill();
        clamd.restart().await;
        let _rest = fleet.worker(&["route", "deliver"]).await;
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// EICAR, attached and zipped: each submitted now has to be found.
async fn eicar_is_found(fleet: &Fleet) {
    let infected = [Fixture::named("eicar").mail(), Fixture::named("eicar-zip").mail()];
    for ended in fleet.submit_and_wait(&infected, LIMIT).await {
        assert_eq!(ended.names(), ["quarantined"], "{ended:?}");
        assert!(ended.ends[0].reason.as_ref().is_some_and(|reason| reason.starts_with("infected")), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clamds_one_dies_and_no_mail_notices() {
    within(LIMIT, async {
        let (mut one, mut two, receiver) = (Clamd::start().await, Clamd::start().await, Receiver::start().await);
        let config = Config::scanned_by(&[one.endpoint(), two.endpoint_tcp()], SHORT).to(&receiver);
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let local = fleet.local().await;
        let mut source = Mails::new("two", seeded("two clamds"));
        let mut mails = |count: usize| -> Vec<Mail> { (0..count).map(|_| source.any()).collect() };
        let before = mails(10);
        before.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit_and_wait(&before, LIMIT).await;

        one.kill();
        let after = mails(scale(20, 200));
        after.iter().for_each(|mail| receiver.expect("/hook", mail));
        for ended in fleet.submit_and_wait(&after, LIMIT).await {
            assert_eq!((ended.names(), ended.ends[0].attempts), (vec!["delivered"], 1), "{ended:?}");
        }
        eicar_is_found(&fleet).await;
        let log = std::fs::read_to_string(local.log()).unwrap();
        assert!(!log.contains("scanner_unreachable"), "a mail waited although one clamd is well");

        // The dead one comes back, the other one goes: the work follows.
        one.restart().await;
        two.kill();
        let last = mails(10);
        last.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit_and_wait(&last, LIMIT).await;
        eicar_is_found(&fleet).await;
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clamd_that_stands_still_hurts_no_other_stage_and_no_mail() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::scanned_by(&[clamd.endpoint_tcp()], SHORT).to(&receiver);
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let scanning = fleet.worker(&["parse", "scan"]).await;
        let mut source = Mails::new("still", seeded("a clamd that stands still"));
        let ahead: Vec<Mail> = (0..10).map(|_| source.any()).collect();
        ahead.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&ahead).await;
        passed(&scanning, "scan", ahead.len()).await;

        clamd.pause();
        let mails: Vec<Mail> = (0..scale(15, 100)).map(|_| source.any()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&mails).await;
        scanning.wait_log("scanner_unreachable", LIMIT).await;
        // What needs no scan ends as ever: `parse` goes on, and so does what comes after the scan.
        let ambiguous = fleet.submit_and_wait(&[Fixture::named("content-type-twice").mail()], LIMIT).await;
        assert_eq!(ambiguous[0].names(), ["quarantined"], "{ambiguous:?}");
        let _rest = fleet.worker(&["route", "deliver"]).await;
        while receiver.report().delivered < ahead.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(receiver.report().delivered, ahead.len(), "delivered without a scan");
        assert_eq!(receiver.report().invented, [""; 0], "delivered without a scan");

        clamd.resume();
        receiver.wait_complete(LIMIT).await.assert_sound();
        eicar_is_found(&fleet).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clamd_that_answers_nonsense_marks_no_mail() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let liar = Liar::before(&clamd.endpoint_tcp()).await;
        let config = Config::scanned_by(&[liar.endpoint()], SHORT).to(&receiver);
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let _local = fleet.local().await;
        let mut source = Mails::new("lies", seeded("a clamd that lies"));
        // About raw mails, so that self-tests pass and it stays in use; then about everything.
        for (lie, needle) in [
            (Lie::Garbage, "sender.example"),
            (Lie::HalfALine, "sender.example"),
            (Lie::TwoAnswers, "sender.example"),
            (Lie::Nothing, "sender.example"),
            (Lie::Early, ""),
            (Lie::Garbage, ""),
            (Lie::Silence, ""),
        ] {
            // Long ones, so that there is something before their end.
            let mails: Vec<Mail> = (0..4).map(|_| source.attachment(300_000)).collect();
            mails.iter().for_each(|mail| receiver.expect("/hook", mail));
            liar.lie(lie, needle.as_bytes());
            fleet.submit(&mails).await;
            let delivered = receiver.report().delivered;
            while liar.lies() < 4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(receiver.report().delivered, delivered, "{lie:?} about {needle:?} was believed");
            liar.be_honest();
            receiver.wait_complete(LIMIT).await.assert_sound();
            eicar_is_found(&fleet).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_change_while_mails_flow_and_are_in_force_at_once() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::scanned_by(&[clamd.endpoint()], SHORT).to(&receiver);
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let _local = fleet.local().await;
        let mut source = Mails::new("reload", seeded("signatures that change"));
        for version in 1..scale(4, 20) {
            let mails: Vec<Mail> = (0..6).map(|_| source.any()).collect();
            mails.iter().for_each(|mail| receiver.expect("/hook", mail));
            fleet.submit(&mails).await;
            let needle = format!("needle-{version}");
            clamd.update(27_500 + version, &[("more.ndb", &signature(&needle))]).await;
            eicar_is_found(&fleet).await;
            // Sooner or later the new signature is loaded; from then on it holds.
            loop {
                let needled = source.with_text(&needle);
                receiver.allow("/hook", &needled);
                if fleet.submit_and_wait(&[needled], LIMIT).await[0].names() == ["quarantined"] {
                    break;
                }
            }
            let ended = fleet.submit_and_wait(&[source.with_text(&needle)], LIMIT).await;
            assert_eq!(ended[0].names(), ["quarantined"], "{ended:?}");
        }
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// A signature of a text, wherever it stands.
fn signature(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{text}:0:*:{hex}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clamd_that_stands_still_for_a_reload_is_drained_and_the_other_one_goes_on() {
    within(LIMIT, async {
        let settings = vec!["ConcurrentDatabaseReload no".to_owned(), "IdleTimeout 15".to_owned()];
        let mut one = Clamd::with(Options { settings, ..Options::default() }).await;
        let (two, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::scanned_by(&[one.endpoint_tcp(), two.endpoint_tcp()], SHORT).to(&receiver);
        let fleet = Fleet::new(&config.section("stage.scan", PATIENT));
        let local = fleet.local().await;
        let mut source = Mails::new("drained", seeded("a reload that stands still"));
        let mut mails = |count: usize| -> Vec<Mail> { (0..count).map(|_| source.any()).collect() };
        let before = mails(10);
        before.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit_and_wait(&before, LIMIT).await;
        one.update(27_501, &[]).await;
        let log = || std::fs::read_to_string(local.log()).unwrap();
        while !log().contains("\"database\":\"27501\"") {
            let during = mails(5);
            during.iter().for_each(|mail| receiver.expect("/hook", mail));
            for ended in fleet.submit_and_wait(&during, LIMIT).await {
                // What was with it when it stopped waited for the deadline, and no attempt was counted.
                assert_eq!((ended.names(), ended.ends[0].attempts), (vec!["delivered"], 1), "{ended:?}");
            }
            eicar_is_found(&fleet).await;
        }
        assert!(log().contains("clamd is not used"), "it was drained");
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}
