//! Panics, hangs, deferrals and undecodable bodies end as the table says, and leave their neighbours alone.

use std::time::Duration;

use shared::{
    envelope::{DeadLetter, UndecodableBody},
    outcome::Failure,
    policy::Policy,
};

use crate::bench::{Bench, POLICY, onward};

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_panics_is_retried_then_dead_with_its_history() {
    let bench = Bench::new();
    let runner = bench.start(POLICY, |now| async move {
        assert_ne!(now.job, 1, "canary-5d1f");
        onward()
    });
    bench.submit(1).await;
    bench.submit(2).await;
    let DeadLetter::Job(letter) = bench.letter().await else { panic!() };
    bench.passed().await;
    bench.stop(runner).await;
    let text = letter.encode().unwrap();
    let dead = letter.dead.unwrap();
    assert_eq!((dead.class.as_str(), letter.attempt, letter.history.len()), ("panic", 1, 2));
    assert!(!text.contains("canary-5d1f"));
    assert_eq!(bench.runs(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_hangs_past_its_deadline_is_retried_then_dead() {
    let bench = Bench::new();
    let runner = bench.start(Policy { deadline: Duration::from_millis(300), ..POLICY }, |now| async move {
        if now.job == 1 { std::future::pending().await } else { onward() }
    });
    bench.submit(1).await;
    bench.submit(2).await;
    bench.passed().await;
    let DeadLetter::Job(letter) = bench.letter().await else { panic!() };
    bench.stop(runner).await;
    assert_eq!(letter.dead.map(|dead| dead.class), Some("deadline".to_owned()));
    let classes: Vec<&str> = letter.history.iter().map(|attempt| attempt.class.as_str()).collect();
    assert_eq!((classes, bench.runs()), (vec!["deadline", "deadline"], 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_defers_forty_times_burns_no_attempt() {
    let bench = Bench::new();
    let runner = bench.start(POLICY, |now| async move {
        assert_eq!(now.attempt, 0);
        if now.run <= 40 { Err(Failure::defer("rate_limited", "its turn", now.at)) } else { onward() }
    });
    bench.submit(1).await;
    bench.passed().await;
    bench.stop(runner).await;
    assert_eq!(bench.runs(), 41);
    assert_eq!(bench.dead.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_job_is_dead_with_its_reason_after_one_receive() {
    let bench = Bench::new();
    let runner = bench.start(POLICY, |_| async { onward() });
    let bodies = ["not json", "{\"version\":9}", "{\"version\":1,\"id\":\"../x\"}", "[]"];
    for body in bodies {
        bench.put(body.to_owned()).await;
    }
    let mut found = Vec::new();
    for _ in bodies {
        let DeadLetter::Undecodable(letter) = bench.letter().await else { panic!() };
        assert_eq!((letter.dead.class.as_str(), letter.dead.stage.as_str()), ("undecodable", "here"));
        let UndecodableBody::Inline(body) = letter.body else { panic!() };
        found.push(body);
    }
    bench.stop(runner).await;
    found.sort();
    let mut bodies = bodies.to_vec();
    bodies.sort_unstable();
    assert_eq!((found, bench.runs()), (bodies.iter().map(ToString::to_string).collect(), 0));
    assert_eq!(bench.here.receipts.lock().unwrap().len(), 4, "one receive each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_form_is_dead_after_one_receive() {
    let bench = Bench::new();
    let runner = bench.start(POLICY, |_| async { onward() });
    bench.submit(1).await;
    bench.passed().await;
    let never = tokio_util::sync::CancellationToken::new();
    assert!(bench.dead.receive(1, Duration::ZERO, Duration::from_secs(1), &never).await.unwrap().is_empty());
    let origin = shared::envelope::Origin {
        work: shared::ids::WorkId::new("w9").unwrap(),
        tenant: shared::ids::TenantId::default_tenant(),
        first_seen: jiff::Timestamp::UNIX_EPOCH,
    };
    let job = serde_json::value::to_raw_value("no number").unwrap();
    bench.put(shared::envelope::Envelope::first(origin, crate::bench::HERE, job).encode().unwrap()).await;
    let DeadLetter::Job(letter) = bench.letter().await else { panic!() };
    bench.stop(runner).await;
    assert_eq!(letter.dead.map(|dead| dead.class), Some("undecodable_job".to_owned()));
}
