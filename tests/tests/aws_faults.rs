//! What SQS and S3 do on a bad day, made by a proxy between the workers and the emulator: nothing is lost, nothing
//! that was cut is taken for a mail, and mail flows again afterwards.

use std::{net::SocketAddr, time::Duration};

use shared::testing::proxy::{Answer, Fault, Proxy, Rule};
use tests::{
    aws::Scene,
    fleet::Fleet,
    mails::{Mail, Mails},
    soak::{scale, seeded, within},
};
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(240);
const LEASE: Duration = Duration::from_secs(6);

/// How long a fault lasts at most that lets mails pass.
const DAY: Duration = Duration::from_secs(60);
/// Of two processes of four stages, when they are idle.
const POLLERS: usize = 8;

async fn proxied() -> (Scene, Proxy) {
    let scene = Scene::start().await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], scene.cloud.port()))).await.unwrap();
    (scene, proxy)
}

/// Sends mails while something is wrong. Whether they arrive before it ends is the fault's affair; afterwards they do,
/// and so does a fresh one.
async fn on_a_bad_day(scene: &Scene, proxy: &Proxy, source: &mut Mails, day: (&str, Vec<Rule>, bool)) {
    let (name, rules, passes) = day;
    let parts: Vec<String> = rules.iter().map(|rule| rule.part.clone()).collect();
    let hits = || parts.iter().map(|part| proxy.requests(part)).sum::<usize>();
    let before = hits();
    proxy.rules(rules);
    // Polls that began before still bring what comes; the next of each poller does not.
    while parts.iter().any(|part| part == "ReceiveMessage") && hits() < before + POLLERS {
        sleep(Duration::from_millis(100)).await;
    }
    let mails: Vec<Mail> = (0..scale(10, 100)).map(|_| source.any()).collect();
    scene.send(&mails).await;
    if passes {
        // A mail of many parts may be unlucky at each of its reads: no day is longer than this.
        if timeout(DAY, scene.receiver.wait_complete(LIMIT)).await.is_err() {
            eprintln!("{name}: {} mails wait for its end", scene.receiver.report().lost.len());
        }
    } else {
        // As long as a receive may hang, and on into the next.
        sleep(LEASE + Duration::from_secs(3)).await;
        assert!(!scene.receiver.report().lost.is_empty(), "{name}: nothing was wrong");
    }
    assert!(hits() > before, "{name}: no request was hit");
    proxy.rules([]);
    scene.send(&[source.text()]).await;
    let report = scene.receiver.wait_complete(LIMIT).await;
    eprintln!("{name}: {report}");
    report.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_that_fails_crawls_or_breaks_off_loses_nothing_and_passes_no_part_for_the_whole() {
    within(LIMIT * 2, async {
        let (scene, proxy) = proxied().await;
        let fleet = Fleet::new(&scene.config(LEASE, &proxy.endpoint()));
        let _workers = fleet.workers(2).await;
        let mut source = Mails::new("s3", seeded("faults of S3"));
        let bucket = format!("/{}/", scene.cloud.output("MailBucket"));
        let reads = format!("GET {bucket}raw/");
        let share = |part: &str, share, fault| vec![Rule::share(part, share, fault)];
        for day in [
            ("S3 answers 503 to a fifth", share(&bucket, 0.2, Fault::Answer(Answer::new(503, ""))), true),
            ("S3 answers 500 to every read", share(&reads, 1.0, Fault::Answer(Answer::new(500, ""))), false),
            ("S3 crawls", share(&reads, 1.0, Fault::Throttle(scale(50_000, 10_000))), true),
            ("S3 breaks off within the head", share(&reads, 0.4, Fault::CutAfter(100)), true),
            ("S3 breaks off within the body", share(&reads, 0.4, Fault::CutAfter(900)), true),
            ("S3 resets the connection", share(&bucket, 0.2, Fault::ResetAfter(700)), true),
        ] {
            on_a_bad_day(&scene, &proxy, &mut source, day).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_that_throttles_hangs_or_repeats_loses_nothing() {
    within(LIMIT * 2, async {
        let (scene, proxy) = proxied().await;
        let fleet = Fleet::new(&scene.config(LEASE, &proxy.endpoint()));
        let _workers = fleet.workers(2).await;
        let mut source = Mails::new("sqs", seeded("faults of SQS"));
        let throttled = || Fault::Answer(Answer::aws_json(400, "com.amazonaws.sqs#RequestThrottled"));
        let settlement = ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"];
        for day in [
            ("SQS throttles a third of everything", vec![Rule::share("AmazonSQS", 0.34, throttled())], true),
            ("SQS answers no receive", vec![Rule::all("ReceiveMessage", Fault::BlackHole)], false),
            ("SQS loses answers of receives", vec![Rule::share("ReceiveMessage", 0.2, Fault::LoseAnswer)], true),
            ("SQS delivers three times", vec![Rule::all("SendMessageBatch", Fault::Repeat(3))], true),
            ("SQS throttles settlement", settlement.map(|part| Rule::share(part, 0.5, throttled())).into(), true),
        ] {
            on_a_bad_day(&scene, &proxy, &mut source, day).await;
        }
        scene.cloud.drained().await;
        scene.receiver.report().assert_sound();
    })
    .await;
}
