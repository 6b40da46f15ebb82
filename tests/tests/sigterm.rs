//! SIGTERM under load: what runs is finished, what waits is left for the next process, nothing is done twice.

use std::time::Duration;

use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails},
    receiver::{Answer, Receiver},
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(180);
/// Beyond the grace period: what a process on a busy machine may need to be gone.
const MARGIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stop_under_load_is_within_the_grace_period_and_nothing_is_lost_or_delivered_twice() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        receiver.plan("/hook", &[], Answer::Slow(Duration::from_millis(300)));
        let grace = Duration::from_secs(15);
        let config = Config::new(&clamd)
            .destination("hook", &receiver, "/hook", "concurrency = 2")
            .section("route", "default = [\"hook\"]")
            .section("shutdown", "grace = \"15s\"");
        let fleet = Fleet::new(&config);
        let mut source = Mails::new("term", seeded("SIGTERM"));
        let mails: Vec<Mail> = (0..scale(40, 200)).map(|_| source.any()).collect();
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));

        let local = fleet.local().await;
        fleet.submit(&mails).await;
        receiver.wait(LIMIT, |book| book.arrivals().len() >= 5).await;
        let exit = local.stop(grace + MARGIN).await;
        eprintln!("stopped after {:?} with {}", exit.took, receiver.report());
        assert!(exit.status.success(), "{exit:?}");
        assert!(!receiver.report().lost.is_empty(), "it was not stopped under load");

        let _again = fleet.local().await;
        let report = receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0, "delivered twice because of the stop");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_does_not_hold_up_the_stop() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        receiver.plan("/hook", &[Answer::Hang; 2], Answer::Status(200));
        let config = Config::new(&clamd)
            .destination("hook", &receiver, "/hook", "timeout = \"60s\"\nconcurrency = 2")
            .section("route", "default = [\"hook\"]")
            .section("shutdown", "grace = \"3s\"")
            .short_leases(Duration::from_secs(3), 10);
        let fleet = Fleet::new(&config);
        let mut source = Mails::new("hang", seeded("SIGTERM with a hanging receiver"));
        let mails = [source.text(), source.text()];
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));

        let local = fleet.local().await;
        fleet.submit(&mails).await;
        receiver.wait(LIMIT, |book| book.arrivals().len() == 2).await;
        let exit = local.stop(Duration::from_secs(3) + MARGIN).await;
        assert!(exit.status.success(), "{exit:?}");

        let _again = fleet.local().await;
        let report = receiver.wait_complete(LIMIT).await;
        report.assert_sound();
        assert_eq!(report.duplicates, 0);
    })
    .await;
}
