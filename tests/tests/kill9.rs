//! `kill -9` of worker processes while mails flow: nothing is lost, altered or invented.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails},
    process::Process,
    receiver::Receiver,
    soak::{scale, seeded, within},
};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(240);
const STAGES: [&str; 4] = ["parse", "scan", "route", "deliver"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_every_few_seconds_lose_alter_and_invent_nothing() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).short_leases(Duration::from_secs(3), 10));
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(fleet.worker(&STAGES).await);
        }
        let mut source = Mails::new("kill", seeded("kill -9"));
        let mails: Vec<Mail> = (0..scale(60, 500)).map(|_| source.any()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));

        let (done, stop) = watch::channel(false);
        let killer = kill_now_and_then(&fleet, workers, seeded("the killer"), stop);
        let feeder = async {
            for batch in mails.chunks(3) {
                fleet.submit(batch).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let report = receiver.wait_complete(LIMIT).await;
            done.send_replace(true);
            report
        };
        let ((kills, _workers), report) = tokio::join!(killer, feeder);
        eprintln!("{kills} kills: {report}");
        assert!(kills >= scale(4, 20), "too few kills to show anything: {kills}");

        let fresh = source.text();
        receiver.expect("/hook", &fresh);
        let ended = fleet.submit_and_wait(&[fresh], LIMIT).await;
        assert_eq!(ended[0].names(), ["delivered"]);
        receiver.report().assert_sound();
    })
    .await;
}

/// Kills a worker every one to three seconds and starts another in its place, until told to stop.
async fn kill_now_and_then(
    fleet: &Fleet,
    mut workers: Vec<Process>,
    mut rng: StdRng,
    mut stop: watch::Receiver<bool>,
) -> (usize, Vec<Process>) {
    for kills in 0.. {
        let pause = Duration::from_millis(rng.random_range(1000..3000));
        if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            return (kills, workers);
        }
        let victim = workers.swap_remove(rng.random_range(0..workers.len()));
        victim.kill9().await;
        workers.push(fleet.worker(&STAGES).await);
    }
    unreachable!("the range has no end")
}

#[tokio::test]
async fn a_submission_that_was_killed_can_be_repeated() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let _local = fleet.local().await;
        let mut source = Mails::new("again", seeded("a killed submission"));
        let mails: Vec<Mail> = (0..60).map(|_| source.text()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        let paths = fleet.write(&mails);
        let mut first = fleet.command(&["submit"]).args(paths).arg("--data").arg(fleet.data()).spawn().unwrap();
        receiver.wait(LIMIT, |book| !book.arrivals().is_empty()).await;
        first.kill().await.unwrap();
        fleet.submit(&mails).await;
        let report = receiver.wait_complete(LIMIT).await;
        // A repeated submission is a new mail: it may arrive twice, under an id of its own.
        assert!(report.invented.is_empty() && report.altered.is_empty() && report.unverified.is_empty(), "{report:#?}");
    })
    .await;
}
