//! Processes that die at the worst moment (needs the feature `mailtri/failpoints`, as `make test` builds it).

use std::{fs, time::Duration};

use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Ended, Fleet},
    mails::{Mail, Mails},
    process::Process,
    receiver::Receiver,
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(240);
const LEASE: Duration = Duration::from_secs(2);
const MAX_CRASHES: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_kills_its_worker_every_time_is_dead_lettered_and_its_neighbours_are_delivered() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let mut fleet = Fleet::new(&Config::simple(&clamd, &receiver).short_leases(LEASE, MAX_CRASHES));
        fleet.set("FAILPOINTS", "parse::abort=return(kills-its-worker)");
        let mut source = Mails::new("poison", seeded("poison"));
        let mut mails: Vec<Mail> = (0..12).map(|_| source.text()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        mails.insert(5, source.with_text("kills-its-worker"));

        let mut worker = fleet.local().await;
        let submission = fleet.submit_and_wait(&mails, LIMIT);
        let (ended, deaths) = restart_until(&fleet, &mut worker, submission).await;
        eprintln!("the worker died {deaths} times");
        assert!((4..=6).contains(&deaths), "dead-lettered after {MAX_CRASHES} crashes: {deaths}");
        for (i, ended) in ended.iter().enumerate() {
            let expected = if i == 5 { "dead_lettered" } else { "delivered" };
            assert_eq!(ended.names(), [expected], "{ended:?}");
        }
        assert_eq!(ended[5].ends[0].class.as_deref(), Some("worker_died"));
        let listed = fleet.run(&["dlq", "list", "--each", "--json"]).await;
        assert!(listed.stdout.contains("worker_died") && listed.stdout.contains(&ended[5].mail), "{listed:?}");
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// Restarts the worker each time it dies, until `work` is over; returns how often that was.
async fn restart_until(
    fleet: &Fleet,
    worker: &mut Process,
    work: impl Future<Output = Vec<Ended>>,
) -> (Vec<Ended>, usize) {
    tokio::pin!(work);
    let mut deaths = 0;
    loop {
        tokio::select! {
            ended = &mut work => return (ended, deaths),
            status = worker.exited(LIMIT) => {
                assert!(!status.success(), "the worker stopped by itself");
                deaths += 1;
                *worker = fleet.local().await;
            }
        }
    }
}

/// Stops a process at a point of its settlement by a failpoint, kills it there, and lets the fleet go on without what
/// the state remembers of deliveries: nothing is lost, and at least `repeats` deliveries are made twice, under one
/// webhook-id.
async fn killed_at(point: &str, stages: [&'static [&'static str]; 2], repeats: usize) {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    let mut fleet = Fleet::new(&Config::simple(&clamd, &receiver).short_leases(LEASE, MAX_CRASHES));
    let mut source = Mails::new("window", seeded(point));
    let mails: Vec<Mail> = (0..100).map(|_| source.text()).collect();
    mails.iter().for_each(|mail| receiver.expect("/hook", mail));

    let [healthy, doomed] = stages;
    let first = fleet.worker(healthy).await;
    fleet.set("FAILPOINTS", &format!("{point}=pause"));
    let second = fleet.worker(doomed).await;
    fleet.unset("FAILPOINTS");
    fleet.submit(&mails).await;
    receiver.wait(LIMIT, |book| !book.arrivals().is_empty()).await;
    // Time in which all of them would pass if the process were not stopped at the point.
    tokio::time::sleep(LEASE / 2).await;
    second.kill9().await;
    first.kill9().await;
    let before = receiver.book(|book| book.arrivals().len());
    assert!(before < mails.len(), "the process was not stopped at {point}");
    fs::remove_dir_all(fleet.data().join("state")).unwrap();

    let _all = fleet.local().await;
    receiver.wait(LIMIT, |book| book.complete() && book.report().duplicates >= repeats).await;
    let report = receiver.report();
    eprintln!("{point}: {before} arrived before the crash; {report}");
    report.assert_sound();
}

#[tokio::test]
async fn a_crash_between_send_and_delete_repeats_under_the_same_webhook_id() {
    within(LIMIT, killed_at("settle::after_sends", [&["parse", "scan", "deliver"], &["route"]], 1)).await;
}

#[tokio::test]
async fn a_crash_between_the_record_of_a_delivery_and_its_delete_loses_nothing() {
    within(LIMIT, killed_at("settle::after_records", [&["parse", "scan", "route"], &["deliver"]], 0)).await;
}
