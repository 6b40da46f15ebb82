//! Receivers that fail, redirect, hang or are gone.

use std::time::Duration;

use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Ended, Fleet},
    mails::{Mail, Mails},
    receiver::{Answer, Receiver},
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(120);

/// One mail to a receiver that answers `first` and then `then`; returns how it ended and how often it was tried.
async fn deliver(first: &[Answer], then: Answer, more: &str) -> (Ended, usize, Receiver) {
    let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
    receiver.plan("/hook", first, then);
    let config =
        Config::new(&clamd).destination("hook", &receiver, "/hook", more).section("route", "default = [\"hook\"]");
    let fleet = Fleet::new(&config);
    let _local = fleet.local().await;
    let mail = Mails::new("faults", seeded("receiver faults")).html();
    receiver.expect("/hook", &mail);
    let ended = fleet.submit_and_wait(&[mail], LIMIT).await.remove(0);
    let tries = receiver.book(|book| book.arrivals().iter().filter(|a| a.path == "/hook").count());
    (ended, tries, receiver)
}

#[tokio::test]
async fn errors_are_retried_by_the_schedule_with_the_same_id_and_body() {
    within(LIMIT, async {
        let errors = [500, 404, 500].map(Answer::Status);
        let (ended, tries, receiver) = deliver(&errors, Answer::Status(204), "").await;
        assert_eq!((ended.names(), tries), (vec!["delivered"], 4));
        assert_eq!(ended.ends[0].attempts, 4);
        receiver.report().assert_sound();
        let same = receiver
            .book(|b| b.arrivals().iter().all(|a| (&a.id, a.body) == (&b.arrivals()[0].id, b.arrivals()[0].body)));
        assert!(same, "every attempt has the same webhook-id and body");
    })
    .await;
}

#[tokio::test]
async fn a_destination_that_says_gone_is_not_tried_again() {
    within(LIMIT, async {
        let (ended, tries, _) = deliver(&[], Answer::Status(410), "").await;
        assert_eq!((ended.names(), tries), (vec!["dead_lettered"], 1));
        assert_eq!(ended.ends[0].class.as_deref(), Some("gone"));
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_never_followed() {
    within(LIMIT, async {
        let schedule = "schedule = [\"100ms\", \"100ms\"]";
        let (ended, tries, receiver) = deliver(&[], Answer::Redirect, schedule).await;
        assert_eq!((ended.names(), tries), (vec!["dead_lettered"], 3));
        assert_eq!(ended.ends[0].attempts, 3);
        assert!(receiver.book(|b| b.arrivals().iter().all(|a| a.path == "/hook")), "it was followed");
        assert!(receiver.report().unverified.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_after_the_timeout_and_tried_again() {
    within(LIMIT, async {
        let (ended, tries, receiver) = deliver(&[Answer::Hang], Answer::Status(200), "timeout = \"1s\"").await;
        assert_eq!((ended.names(), tries), (vec!["delivered"], 2));
        receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test]
async fn a_dead_destination_does_not_hold_up_another() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        receiver.plan("/dead", &[], Answer::Hang);
        let config = Config::new(&clamd)
            .destination("dead", &receiver, "/dead", "timeout = \"600s\"\nconcurrency = 4")
            .destination("live", &receiver, "/live", "")
            .section("route", "default = [\"dead\", \"live\"]")
            .section("stage.deliver", "deadline = \"900s\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mut source = Mails::new("dead", seeded("a dead destination"));
        let mails: Vec<Mail> = (0..60).map(|_| source.text()).collect();
        mails.iter().for_each(|mail| receiver.expect("/live", mail));
        fleet.submit(&mails).await;
        receiver.wait(LIMIT, |book| book.complete()).await;
        let to_dead = receiver.book(|b| b.arrivals().iter().filter(|a| a.path == "/dead").count());
        assert!((1..=4).contains(&to_dead), "its first requests still hang: {to_dead}");
    })
    .await;
}
