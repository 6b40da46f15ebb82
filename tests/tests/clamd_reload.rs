//! `mailtri clamd reload` while mails flow: one clamd after the other, and no further than the first that is not well.

use std::{fs, time::Duration};

use serde_json::Value;
use tests::{
    clamd::Clamd,
    config::Config,
    fixtures::Fixture,
    fleet::{Fleet, Ran, run},
    mails::{Mail, Mails},
    receiver::Receiver,
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(180);

/// The versions that it tells: before and after, of each clamd.
fn told(ran: &Ran) -> Vec<(String, String)> {
    let version = |line: &Value, at: &str| line[at]["database"].as_str().unwrap_or_default().to_owned();
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.map(|line: Value| (version(&line, "before"), version(&line, "engine"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_reloads_one_clamd_after_the_other_while_mails_flow() {
    within(LIMIT, async {
        let (mut clamds, receiver) = (vec![Clamd::start().await, Clamd::start().await], Receiver::start().await);
        clamds.sort_by_key(Clamd::endpoint_tcp);
        let endpoints: Vec<String> = clamds.iter().map(Clamd::endpoint_tcp).collect();
        let fleet = Fleet::new(&Config::scanned_by(&endpoints, "").to(&receiver));
        let local = fleet.local().await;
        let mut source = Mails::new("reload", seeded("reloads"));
        let mut flow = async |count: usize| {
            let mails: Vec<Mail> = (0..count).map(|_| source.any()).collect();
            mails.iter().for_each(|mail| receiver.expect("/hook", mail));
            fleet.submit(&mails).await;
        };
        flow(scale(30, 500)).await;
        let folders: Vec<_> = clamds.iter_mut().map(|clamd| clamd.fetch(27_501)).collect();
        let folder = folders[0].to_str().unwrap();
        let reload = |more: &[&str]| {
            let args = ["clamd", "reload", "--json", "--pause", "2s", "--database", folder];
            let mut command = fleet.command(&[&args, more].concat());
            async move { run(&mut command, b"").await }
        };
        let all = vec![("27500".to_owned(), "27501".to_owned()); 2];
        let (ran, ()) = tokio::join!(reload(&[]), flow(scale(30, 500)));
        assert_eq!((ran.code, told(&ran)), (Some(0), all), "{ran:?}");

        // The first cannot load what comes next: the other one is not asked to.
        clamds.iter_mut().for_each(|clamd| drop(clamd.fetch(27_502)));
        let first = clamds[0].fetch(27_502);
        fs::write(first.join("broken.ndb"), "this is no signature\n").unwrap();
        let (ran, ()) = tokio::join!(reload(&["--deadline", "3s"]), flow(10));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains(&clamds[0].endpoint_tcp()) && ran.stderr.contains("27502"), "{ran:?}");
        fs::remove_file(first.join("broken.ndb")).unwrap();
        let ran = reload(&[]).await;
        assert_eq!(told(&ran), vec![("27501".to_owned(), "27502".to_owned()); 2], "{ran:?}");

        let ended = fleet.submit_and_wait(&[Fixture::named("eicar-zip").mail()], LIMIT).await;
        assert_eq!(ended[0].names(), ["quarantined"]);
        receiver.wait_complete(LIMIT).await.assert_sound();
        assert!(!fs::read_to_string(local.log()).unwrap().contains("scanner_unreachable"), "a scan found nobody");
    })
    .await;
}
