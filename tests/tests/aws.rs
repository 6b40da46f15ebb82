//! The production plane: SQS, S3 and Redis on emulators, with what the deployed template made.

use std::time::Duration;

use tests::{
    aws::Cloud,
    clamd::Clamd,
    config::Config,
    fixtures::{Expect, FIXTURES, Fixture},
    fleet::Fleet,
    process::Process,
    receiver::Receiver,
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(240);
const STAGES: [&str; 4] = ["parse", "scan", "route", "deliver"];

/// Everything that a fleet on this plane needs.
struct Scene {
    cloud: Cloud,
    receiver: Receiver,
    clamd: Clamd,
}

impl Scene {
    async fn start() -> Self {
        let (cloud, clamd, receiver) = tokio::join!(Cloud::start(), Clamd::start(), Receiver::start());
        Self { cloud, receiver, clamd }
    }

    /// Everything is delivered to `/hook`; a dead worker's mails come back soon.
    fn config(&self) -> Config {
        Config::simple(&self.clamd, &self.receiver)
            .short_leases(Duration::from_secs(4), 10)
            .on(&self.cloud, &self.cloud.endpoint())
    }
}

async fn three(fleet: &Fleet) -> Vec<Process> {
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(fleet.worker(&STAGES).await);
    }
    workers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fixture_ends_as_it_should_over_three_processes() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let fleet = Fleet::new(&scene.config());
        let _workers = three(&fleet).await;
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
