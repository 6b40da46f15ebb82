//! A clamd that dies while mails flow: nothing is marked clean that was not scanned, nothing is lost.

use std::time::Duration;

use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::Fixture,
    fleet::Fleet,
    mails::{Mail, Mails},
    receiver::Receiver,
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_clamd_nothing_passes_and_with_it_everything_ends_as_it_should() {
    within(LIMIT, async {
        let (mut clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let patient = "max_attempts = 100\nbackoff_first = \"200ms\"\nbackoff_longest = \"1s\"";
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("stage.scan", patient));
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
        let patient = "max_attempts = 100\nbackoff_first = \"200ms\"\nbackoff_longest = \"1s\"";
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).section("stage.scan", patient));
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
