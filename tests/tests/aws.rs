//! The production plane: SQS, S3 and Redis on emulators, with what the deployed template made.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use tests::{
    aws::Scene,
    fixtures::{Expect, FIXTURES, Fixture},
    fleet::{Fleet, run},
    mails::{Mail, Mails},
    process::Process,
    soak::{scale, seeded, within},
};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(240);
const LEASE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fixture_ends_as_it_should_over_three_processes() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let fleet = Fleet::new(&scene.config(LEASE, &scene.cloud.endpoint()));
        let _workers = fleet.workers(3).await;
        let mails: Vec<_> = FIXTURES.iter().map(Fixture::mail).collect();
        for (fixture, mail) in FIXTURES.iter().zip(&mails) {
            if fixture.expect == Expect::Delivered {
                scene.receiver.expect("/hook", mail);
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
        let report = scene.receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_every_few_seconds_lose_alter_and_invent_nothing() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let fleet = Fleet::new(&scene.config(LEASE, &scene.cloud.endpoint()));
        let workers = fleet.workers(3).await;
        let mut source = Mails::new("kill", seeded("kill -9"));
        let mails: Vec<Mail> = (0..scale(45, 500)).map(|_| source.any()).collect();

        let (done, stop) = watch::channel(false);
        let killer = kill_now_and_then(&fleet, workers, seeded("the killer"), stop);
        let feeder = async {
            for batch in mails.chunks(3) {
                scene.send(batch).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let report = scene.receiver.wait_complete(LIMIT).await;
            done.send_replace(true);
            report
        };
        let ((kills, _workers), report) = tokio::join!(killer, feeder);
        eprintln!("{kills} kills: {report}");
        assert!(kills >= scale(3, 20), "too few kills to show anything: {kills}");
        scene.send(&[source.text()]).await;
        scene.receiver.wait_complete(LIMIT).await.assert_sound();
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
        workers.extend(fleet.workers(1).await);
    }
    unreachable!("the range has no end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_nothing_and_delivers_nothing_twice() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        // Leases that no busy machine outlasts: what arrives twice would be the restart's doing.
        let fleet = Fleet::new(&scene.config(Duration::from_secs(12), &scene.cloud.endpoint()));
        let workers = fleet.workers(3).await;
        let mut source = Mails::new("roll", seeded("a rolling restart"));
        let mails: Vec<Mail> = (0..scale(90, 600)).map(|_| source.any()).collect();

        let roll = async {
            scene.receiver.wait(LIMIT, |book| book.arrivals().len() >= 5).await;
            let mut fresh = Vec::new();
            for worker in workers {
                fresh.extend(fleet.workers(1).await);
                let exit = worker.stop(LIMIT).await;
                assert!(exit.status.success(), "{exit:?}");
            }
            (fresh, scene.receiver.report())
        };
        let feed = async {
            for batch in mails.chunks(3) {
                scene.send(batch).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        };
        let ((_fresh, rolled), ()) = tokio::join!(roll, feed);
        let report = scene.receiver.wait_complete(LIMIT).await;
        eprintln!("after the restart {rolled}; in the end {report}");
        report.assert_sound();
        assert_eq!(report.duplicates, 0, "delivered twice because of the restart");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_counted_apart_and_wait_for_their_turns_where_the_bucket_announces() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let config = scene
            .config(LEASE, &scene.cloud.endpoint())
            .section("limit.clients", "by = \"api-client\"\nrate = \"1/day burst 2\"")
            .section("[limit.clients.override]", "match = \"erp-*\"\nrate = \"20/min burst 1\"");
        let fleet = Fleet::new(&config);
        let _worker = fleet.workers(1).await;
        let mut source = Mails::new("client", seeded("clients"));
        let mut hand_in = async |client: &str, count: usize| {
            let mails: Vec<Mail> = (0..count).map(|_| source.text()).collect();
            mails.iter().for_each(|mail| scene.receiver.allow("/hook", mail));
            let paths = fleet.write(&mails);
            let ran = run(fleet.on_plane(&["submit", "--client", client]).args(paths), b"").await;
            (ran.code, ran.stdout.lines().count())
        };
        assert_eq!(hand_in("crm", 3).await, (Some(75), 2), "a day is too long to wait");
        assert_eq!(hand_in("shop", 2).await, (Some(0), 2));
        let started = Instant::now();
        assert_eq!(hand_in("erp-1", 3).await, (Some(0), 3));
        assert!(started.elapsed() >= Duration::from_millis(5_500), "the turns are 0, 3 and 6 seconds away");
        scene.receiver.wait(LIMIT, |book| book.arrivals().len() >= 7).await;
        scene.receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_mail_is_dead_lettered_its_neighbours_are_unhurt_and_it_can_be_requeued() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let mut fleet = Fleet::new(&scene.config(Duration::from_secs(2), &scene.cloud.endpoint()));
        fleet.set("FAILPOINTS", "parse::abort=return(kills-its-worker)");
        let mut source = Mails::new("poison", seeded("poison"));
        let mut mails: Vec<Mail> = (0..12).map(|_| source.text()).collect();
        mails.iter().for_each(|mail| scene.receiver.expect("/hook", mail));
        mails.insert(5, source.with_text("kills-its-worker"));

        let (deaths, done) = (AtomicUsize::new(0), watch::channel(false));
        let submission = async {
            let ended = fleet.submit_and_wait(&mails, LIMIT).await;
            done.0.send_replace(true);
            ended
        };
        let kept = || keep_running(&fleet, &deaths, done.1.clone());
        let (ended, ..) = tokio::join!(submission, kept(), kept(), kept());
        eprintln!("workers died {deaths:?} times");
        assert!(deaths.load(Ordering::Relaxed) >= 2, "it killed nobody");
        for (i, ended) in ended.iter().enumerate() {
            assert_eq!(ended.names(), [if i == 5 { "dead_lettered" } else { "delivered" }], "{ended:?}");
        }
        assert_eq!(ended[5].ends[0].class.as_deref(), Some("worker_died"));
        scene.receiver.wait_complete(LIMIT).await.assert_sound();

        let listed = fleet.run(&["dlq", "list", "--json"]).await;
        assert!(listed.stdout.contains("worker_died"), "{listed:?}");
        assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
        scene.receiver.expect("/hook", &mails[5]);
        fleet.unset("FAILPOINTS");
        let _worker = fleet.workers(1).await;
        let requeued = fleet.run(&["dlq", "requeue", "--all"]).await;
        assert_eq!(requeued.code, Some(0), "{requeued:?}");
        scene.receiver.wait_complete(LIMIT).await.assert_sound();
        let listed = fleet.run(&["dlq", "list", "--json"]).await;
        assert_eq!(listed.stdout, "", "{listed:?}");
    })
    .await;
}

/// Keeps a worker running, another each time one dies, until told to stop.
async fn keep_running(fleet: &Fleet, deaths: &AtomicUsize, mut stop: watch::Receiver<bool>) {
    loop {
        let mut worker = fleet.worker(&["parse", "scan", "route", "deliver"]).await;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {
                // Not killed between a send and its delete: the copy would be another dead letter, later.
                worker.stop(LIMIT).await;
                return;
            }
            status = worker.exited(LIMIT) => {
                assert!(!status.success(), "a worker stopped by itself");
                deaths.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
