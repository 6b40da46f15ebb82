//! Fleets of real clamds whose signatures change one after the other.

use std::{fs, num::NonZeroUsize, sync::Arc};

use jiff::{Timestamp, ToSpan};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::*;
use crate::clamav::{
    Scanner, Verdict,
    conformance::{AMPLE, pieces},
    pool::{EndpointStatus, Pool, Terms},
    selftest::eicar,
    testing::{Options, TestClamd},
};

const LIMIT: Duration = Duration::from_secs(120);

/// Clamds with version 27500, in the order in which they are reloaded.
async fn fleet(count: usize, settings: &[&str]) -> Vec<TestClamd> {
    let settings: Vec<String> = settings.iter().map(|line| (*line).to_owned()).collect();
    let mut fleet = Vec::new();
    for _ in 0..count {
        let options = Options { settings: settings.clone(), ..Options::default() };
        fleet.push(TestClamd::start(options).await.unwrap_or_else(|error| panic!("{error}")));
    }
    fleet.sort_by_key(TestClamd::endpoint_tcp);
    fleet
}

fn config(fleet: &[TestClamd]) -> PoolConfig {
    let config = PoolConfig::new(fleet.iter().map(TestClamd::endpoint_tcp).collect(), 1000);
    let retry = (Duration::from_millis(20), Duration::from_millis(100));
    let concurrency = NonZeroUsize::new(4).unwrap();
    PoolConfig { terms: Terms { deadlines: AMPLE, retry, concurrency, ..config.terms }, ..config }
}

fn order(deadline: u64, wanted: Option<u64>) -> Order {
    Order { deadline: Duration::from_secs(deadline), pause: Duration::ZERO, wanted }
}

/// The version that each has now.
async fn versions(fleet: &[TestClamd]) -> Vec<String> {
    let mut versions = Vec::new();
    for clamd in fleet {
        let version = Clamd::new(clamd.endpoint_tcp(), AMPLE).version().await.unwrap();
        versions.push(version.database.unwrap_or_default());
    }
    versions
}

/// Whom it told of, with the version before and after, and how it ended.
async fn run(fleet: &[TestClamd], order: &Order) -> (Vec<(Endpoint, Option<String>, String)>, Result<(), ReloadError>) {
    let mut told = Vec::new();
    let tell = |done: &Reloaded| {
        let version = |engine: &EngineVersion| engine.database.clone().unwrap_or_default();
        told.push((done.endpoint.clone(), done.before.as_ref().map(version), version(&done.engine)));
    };
    let ended = timeout(LIMIT, reload(&config(fleet), order, tell)).await.expect("an end");
    (told, ended)
}

fn fetch(fleet: &mut [TestClamd], version: u32) {
    fleet.iter_mut().for_each(|clamd| clamd.fetch(version, Timestamp::now()).unwrap());
}

/// Scans without a pause until told to stop: each answer has to be right. Returns how many there were.
async fn scan(pool: Arc<Pool>, stop: watch::Receiver<bool>) -> usize {
    let (found, mut scans) = (Verdict::Infected { signature: "Eicar-Test.UNOFFICIAL".to_owned() }, 0);
    while !*stop.borrow() {
        for (content, wanted) in [(eicar(), &found), (b"harmless".to_vec(), &Verdict::Clean)] {
            let scan = pool.scan(pieces(&content, 65_536)).await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(&scan.verdict, wanted);
            scans += 1;
        }
    }
    scans
}

/// Looks at the pool until told to stop: the fewest endpoints that were admitted at once.
async fn watch(pool: Arc<Pool>, stop: watch::Receiver<bool>) -> usize {
    let is_admitted = |status: &&EndpointStatus| status.engine.is_some();
    let mut fewest = usize::MAX;
    while !*stop.borrow() {
        fewest = fewest.min(pool.status().iter().filter(is_admitted).count());
        sleep(Duration::from_millis(1)).await;
    }
    fewest
}

/// Reloads a fleet under scans.
async fn reload_under_load(settings: &[&str]) {
    let mut fleet = fleet(3, settings).await;
    let pool = Arc::new(Pool::start(config(&fleet)));
    let all_admitted = async |version: &str| {
        let is_new = |status: &EndpointStatus| {
            status.engine.as_ref().is_some_and(|engine| engine.database.as_deref() == Some(version))
        };
        while pool.status().len() < 3 || !pool.status().iter().all(is_new) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, all_admitted("27500")).await.expect("all of them");
    let (stop, stopped) = watch::channel(false);
    let mut scans = JoinSet::new();
    (0..4).for_each(|_| drop(scans.spawn(scan(Arc::clone(&pool), stopped.clone()))));
    let fewest = tokio::spawn(watch(Arc::clone(&pool), stopped));
    fetch(&mut fleet, 27_501);
    let wanted = version_in(&fleet[0].database()).unwrap();
    // More than the second in which a pool that scans takes an endpoint for what it was.
    let order = Order { pause: Duration::from_secs(3), ..order(60, Some(wanted)) };
    let (told, ended) = run(&fleet, &order).await;
    ended.unwrap();
    let wanted = |clamd: &TestClamd| (clamd.endpoint_tcp(), Some("27500".to_owned()), "27501".to_owned());
    assert_eq!(told, fleet.iter().map(wanted).collect::<Vec<_>>());
    timeout(LIMIT, all_admitted("27501")).await.expect("all of them, with the new signatures");
    stop.send(true).unwrap();
    let scanned: usize = scans.join_all().await.into_iter().sum();
    assert!(scanned > 100, "{scanned}");
    assert!(fewest.await.unwrap() >= 2, "no two were away at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_all_takes_one_at_a_time_from_the_pool_and_fails_no_scan() {
    reload_under_load(&[]).await;
}

/// It lets go of its threads first, which takes `IdleTimeout`, and answers nothing until it has loaded.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_of_clamds_that_stand_still_while_they_load() {
    reload_under_load(&["ConcurrentDatabaseReload no", "IdleTimeout 2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_do_not_load_stop_it_and_the_rest_keeps_what_it_had() {
    let mut fleet = fleet(3, &[]).await;
    fetch(&mut fleet, 27_501);
    fs::write(fleet[1].database().join("broken.ndb"), "this is no signature\n").unwrap();
    let (told, ended) = run(&fleet, &order(5, Some(27_501))).await;
    let kept = ended.unwrap_err();
    assert!(
        matches!(&kept, ReloadError::Kept { endpoint, has, wanted: 27_501 }
            if *endpoint == fleet[1].endpoint_tcp() && has == "27500"),
        "{kept}"
    );
    assert_eq!(told.len(), 1);
    assert_eq!(versions(&fleet).await, ["27501", "27500", "27500"]);
    // Without a known version the one before it tells what there is to come to.
    assert!(matches!(run(&fleet, &order(3, None)).await.1, Err(ReloadError::Kept { .. })));
    assert_eq!(versions(&fleet).await, ["27501", "27500", "27500"]);
    // Mended, it goes on where it ended.
    fs::remove_file(fleet[1].database().join("broken.ndb")).unwrap();
    let (told, ended) = run(&fleet, &order(60, Some(27_501))).await;
    ended.unwrap();
    let before: Vec<_> = told.iter().map(|(_, before, _)| before.as_deref().unwrap()).collect();
    assert_eq!(before, ["27501", "27500", "27500"]);
    assert_eq!(versions(&fleet).await, ["27501"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_find_nothing_reach_one_clamd_alone() {
    let mut fleet = fleet(3, &[]).await;
    let pool = Pool::start(config(&fleet));
    fetch(&mut fleet, 27_501);
    fleet[0].fetch_blind(27_501, Timestamp::now()).unwrap();
    let (told, ended) = run(&fleet, &order(60, Some(27_501))).await;
    let unfit = ended.unwrap_err();
    let first = fleet[0].endpoint_tcp();
    assert!(
        matches!(&unfit, ReloadError::Unfit { endpoint, error: ScanError::Unfit(_) } if *endpoint == first),
        "{unfit}"
    );
    assert!(told.is_empty());
    assert_eq!(versions(&fleet).await, ["27501", "27500", "27500"]);
    // Once the pool has looked, what is there is found all the same, by the others. A scan that it was looked at after says
    // nothing about its content.
    let is_out = |status: &EndpointStatus| status.why.as_ref().is_some_and(|why| why.contains("EICAR"));
    let looked = async {
        while !pool.status().iter().any(is_out) {
            let scan = pool.scan(pieces(b"harmless", 100)).await;
            assert!(matches!(scan, Ok(_) | Err(ScanError::Unfit(_))), "{scan:?}");
        }
    };
    timeout(LIMIT, looked).await.unwrap();
    for _ in 0..20 {
        let scan = timeout(LIMIT, pool.scan(pieces(&eicar(), 100))).await.unwrap().unwrap();
        assert!(matches!(scan.verdict, Verdict::Infected { .. }));
    }
    // Those that are not used anyway come first next time.
    fleet[0].fetch(27_502, Timestamp::now()).unwrap();
    fleet[1].fetch(27_502, Timestamp::now()).unwrap();
    fleet[2].update(27_502, Timestamp::now() - (24 * 30).hours()).await.unwrap();
    while versions(&fleet).await[2] != "27502" {}
    fleet[2].fetch(27_503, Timestamp::now()).unwrap();
    let (told, ended) = run(&fleet, &order(60, None)).await;
    let order: Vec<_> = told.iter().map(|(endpoint, _, _)| endpoint.clone()).collect();
    let wanted = [0, 2].map(|i| fleet[i].endpoint_tcp());
    assert_eq!(order, wanted, "{ended:?}");
    assert!(
        matches!(ended, Err(ReloadError::Kept { wanted: 27_503, .. })),
        "the second has 27502 on its disk: {ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_all_of_them_nothing_is_reloaded() {
    let mut fleet = fleet(2, &[]).await;
    fetch(&mut fleet, 27_501);
    fleet[1].kill().unwrap();
    let (told, ended) = run(&fleet, &order(1, Some(27_501))).await;
    assert!(
        matches!(&ended, Err(ReloadError::Absent { endpoint, .. }) if *endpoint == fleet[1].endpoint_tcp()),
        "{ended:?}"
    );
    assert!(told.is_empty());
    assert_eq!(versions(&fleet[..1]).await, ["27500"]);
    let named = PoolConfig { endpoints: vec!["tcp:clamav.invalid:3310".parse().unwrap()], ..config(&fleet) };
    let ended = reload(&named, &order(1, None), |_| ()).await;
    assert!(matches!(&ended, Err(ReloadError::Unresolved(why)) if why.contains("clamav.invalid")), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_not_loaded_again() {
    let fleet = fleet(2, &[]).await;
    let begun = Instant::now();
    let (told, ended) = run(&fleet, &order(600, Some(27_500))).await;
    ended.unwrap();
    assert!(begun.elapsed() < LIMIT, "it waited for nothing");
    assert_eq!(told.len(), 2);
    // Where no version is known, the same one is as new as there is, by the deadline.
    let (told, ended) = run(&fleet, &order(1, None)).await;
    ended.unwrap();
    assert!(told.iter().all(|(_, before, after)| before.as_deref() == Some("27500") && after == "27500"), "{told:?}");
}

#[tokio::test]
async fn the_version_on_disk_is_that_of_the_newest_daily_database() {
    let folder = tempfile::tempdir().unwrap();
    let missing = version_in(folder.path()).unwrap_err();
    assert!(missing.to_string().contains("daily.cvd"), "{missing}");
    let header = |version: u32| format!("{:512}", format!("ClamAV-VDB:24 Nov 2026 08-00 +0000:{version}:2:90:X:X:a:1"));
    fs::write(folder.path().join("daily.cvd"), header(27_500)).unwrap();
    assert_eq!(version_in(folder.path()).unwrap(), 27_500);
    fs::write(folder.path().join("daily.cld"), header(27_501)).unwrap();
    assert_eq!(version_in(folder.path()).unwrap(), 27_501);
    fs::write(folder.path().join("daily.cld"), "Not one:x:27502:").unwrap();
    assert!(matches!(version_in(folder.path()), Err(ReloadError::Database { .. })));
}
