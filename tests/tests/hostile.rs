//! Hostile mails through the whole fleet: each is quarantined with its reason, its neighbours arrive, and the worker
//! never notices.

use std::time::Duration;

use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{Ended, Fleet},
    mails::{Mail, Mails},
    metrics::Metrics,
    receiver::Receiver,
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(300);

fn hostile(name: &str, head: &str, line: &str, count: usize) -> Mail {
    let raw = [head.as_bytes(), line.repeat(count).as_bytes()].concat();
    Mail { name: name.to_owned(), raw, marker: String::new() }
}

/// Mails with what is said when they are quarantined.
fn hostile_mails() -> Vec<(Mail, &'static str)> {
    let mixed = "From: a@a.example\nContent-Type: multipart/mixed; boundary=b\n\n";
    vec![
        // Reading it takes some 700 MB, more than a child may map.
        (
            hostile("headers", &format!("{mixed}--b\n"), "a:\n", 13_000_000),
            "poisoned: the mail ended its sandbox twice",
        ),
        (hostile("stacked", "", "Content-Type: message/rfc822\r\n\r\n", 30_000), "ambiguous: depth_exceeded"),
        (hostile("parts", mixed, "--b\n\nx\n", 1_000_000), "ambiguous: parts_exceeded"),
        (hostile("fields", "From: a@a.example\n", "a: b\n", 1_000_000), "refused: not a mail that can be read"),
    ]
}

#[tokio::test]
async fn hostile_mails_are_quarantined_and_their_neighbours_and_the_worker_never_notice() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let metrics = Metrics::free_port();
        // The wall limit is not what is tried here, and the machine may be busy.
        let config = Config::simple(&clamd, &receiver)
            .section("telemetry", &metrics.section())
            .section("sandbox", "processes = 2\nwall = \"2min\"");
        let fleet = Fleet::new(&config);
        let local = fleet.local().await;
        let mut source = Mails::new("beside", seeded("hostile"));
        let (mut mails, mut reasons) = (Vec::new(), Vec::new());
        for (mail, reason) in hostile_mails() {
            mails.push(mail);
            reasons.push(Some(reason));
            for _ in 0..scale(5, 50) {
                let mail = source.any();
                receiver.expect("/hook", &mail);
                mails.push(mail);
                reasons.push(None);
            }
        }
        for (ended, reason) in fleet.submit_and_wait(&mails, LIMIT).await.iter().zip(reasons) {
            assert_end(ended, reason);
        }
        receiver.wait_complete(LIMIT).await.assert_sound();
        // Had the worker ended with a mail, there would be none to ask.
        let said = metrics.get().await;
        assert!(said.contains(r#"mailtri_sandbox_kills_total{why="aborted"} 2"#), "{said}");
        assert!(said.contains(r#"mailtri_sandbox_restriction{restriction="seccomp"} 1"#), "{said}");
        assert!(local.stop(LIMIT).await.status.success());
    })
    .await;
}

#[track_caller]
fn assert_end(ended: &Ended, reason: Option<&str>) {
    let Some(reason) = reason else { return assert_eq!(ended.names(), ["delivered"], "{ended:?}") };
    assert_eq!(ended.names(), ["quarantined"], "{ended:?}");
    assert!(ended.ends[0].reason.as_ref().is_some_and(|said| said.starts_with(reason)), "{ended:?}");
}
