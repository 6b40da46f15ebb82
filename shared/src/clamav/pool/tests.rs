//! Pools of real clamds, and of ones that misbehave.

use std::{collections::BTreeSet, io, net::SocketAddr, sync::atomic::AtomicBool};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use jiff::{Timestamp, ToSpan};

use super::*;
use crate::{
    blobs::conformance::noise,
    clamav::{
        Verdict,
        clamd::Clamd,
        conformance::{self, AMPLE, STREAM_MAX, infected, pieces},
        probes::ENCRYPTED_ZIP,
        selftest::eicar,
        testing::{Options, TestClamd},
    },
};

const LIMIT: Duration = Duration::from_secs(60);

async fn real(options: Options) -> TestClamd {
    TestClamd::start(options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Short waits, so that what comes back comes back soon.
fn config(endpoints: &[Endpoint]) -> PoolConfig {
    let config = PoolConfig::new(endpoints.to_vec(), 1000);
    let retry = (Duration::from_millis(20), Duration::from_millis(100));
    PoolConfig {
        refresh: Duration::from_millis(50),
        terms: Terms { deadlines: AMPLE, retry, ..config.terms },
        ..config
    }
}

fn pool(endpoints: &[Endpoint]) -> Pool {
    Pool::start(config(endpoints))
}

/// Waits until the endpoints stand as asked for.
async fn until(pool: &Pool, holds: impl Fn(&[EndpointStatus]) -> bool) -> Vec<EndpointStatus> {
    let waited = timeout(LIMIT, async {
        loop {
            let status = pool.status();
            if holds(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{:?}", pool.status()))
}

async fn verdict(pool: &Pool, bytes: &[u8]) -> Result<Verdict, ScanError> {
    timeout(LIMIT, pool.scan(pieces(bytes, 65_536))).await.expect("an answer").map(|scan| scan.verdict)
}

fn admitted(status: &[EndpointStatus]) -> usize {
    status.iter().filter(|status| status.engine.is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_of_one_and_of_several_conform_on_both_sockets() {
    let small = || Options { settings: vec![format!("StreamMaxLength {STREAM_MAX}")], ..Options::default() };
    let (one, two) = (real(small()).await, real(small()).await);
    for endpoints in
        [vec![one.endpoint_unix()], vec![one.endpoint_tcp()], vec![one.endpoint_unix(), two.endpoint_tcp()]]
    {
        conformance::all(&pool(&endpoints)).await;
    }
}

#[tokio::test]
async fn a_clamd_that_fails_open_is_refused_with_the_line_to_change() {
    for (line, wanted) in [
        ("AlertEncrypted no", "AlertEncrypted yes"),
        ("AlertExceedsMax no", "AlertExceedsMax yes"),
        ("StreamMaxLength 1M", "StreamMaxLength 2000000"),
    ] {
        let mut clamd = real(Options { settings: vec![line.to_owned()], ..Options::default() }).await;
        let mut config = config(&[clamd.endpoint_unix()]);
        config.terms.longest = 2_000_000;
        let pool = Pool::start(config);
        let refused = verdict(&pool, b"anything").await.unwrap_err();
        assert!(matches!(&refused, ScanError::Unfit(why) if why.contains(wanted)), "{line}: {refused:?}");
        assert!(pool.status()[0].why.as_ref().unwrap().contains(wanted));
        clamd.set(wanted);
        clamd.restart().await.unwrap();
        until(&pool, |status| admitted(status) == 1).await;
        assert_eq!(verdict(&pool, b"anything").await, Ok(Verdict::Clean));
    }
}

/// It answers in the same version, so nothing but the end of its process shows that it is another one.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_back_failing_open_is_noticed_although_nobody_uses_it() {
    for tcp in [false, true] {
        let mut clamd = real(Options::default()).await;
        let endpoint = if tcp { clamd.endpoint_tcp() } else { clamd.endpoint_unix() };
        let pool = Pool::start(config(&[endpoint]));
        let before = until(&pool, |status| admitted(status) == 1).await;
        clamd.set("AlertEncrypted no");
        clamd.restart().await.unwrap();
        // The first scan after it is not believed any more: no look, no test by the clock lies between.
        let said = verdict(&pool, ENCRYPTED_ZIP).await;
        assert!(
            matches!(&said, Err(ScanError::Unfit(why)) if why.contains("AlertEncrypted yes"))
                || matches!(said, Err(ScanError::Unreachable(_))),
            "{said:?}"
        );
        until(&pool, |status| status[0].why.as_ref().is_some_and(|why| why.contains("AlertEncrypted yes"))).await;
        clamd.set("AlertEncrypted yes");
        clamd.restart().await.unwrap();
        assert_eq!(until(&pool, |status| admitted(status) == 1).await[0].engine, before[0].engine);
    }
}

#[tokio::test]
async fn a_clamd_says_how_many_threads_it_has() {
    let clamd = real(Options { settings: vec!["MaxThreads 3".to_owned()], ..Options::default() }).await;
    assert_eq!(Clamd::new(clamd.endpoint_unix(), AMPLE).max_threads().await, Ok(Some(3)));
}

#[tokio::test]
async fn a_larger_recursion_limit_is_no_failing_open() {
    let clamd = real(Options { settings: vec!["MaxRecursion 100".to_owned()], ..Options::default() }).await;
    assert_eq!(verdict(&pool(&[clamd.endpoint_unix()]), b"anything").await, Ok(Verdict::Clean));
}

#[tokio::test]
async fn signatures_have_to_be_of_an_age_within_bounds() {
    let ago = |days: i64| Timestamp::now() - (24 * days).hours();
    for (database, max_age, fit) in [
        (Some((1, ago(6))), Some(7), true),
        (Some((1, ago(8))), Some(7), false),
        (Some((1, ago(8))), None, true),
        (None, Some(7), false),
        (None, None, true),
    ] {
        let clamd = real(Options { database, ..Options::default() }).await;
        let mut config = config(&[clamd.endpoint_unix()]);
        config.terms.max_age = max_age.map(|days| Duration::from_secs(days * 86_400));
        let said = verdict(&Pool::start(config), b"anything").await;
        assert_eq!(said.is_ok(), fit, "{database:?} {max_age:?}: {said:?}");
        if let Err(error) = said {
            assert!(matches!(&error, ScanError::Unfit(why) if why.contains("clamav.max_signature_age")), "{error:?}");
        }
    }
}

#[tokio::test]
async fn signatures_that_grow_old_while_the_fleet_runs_are_noticed() {
    let clamd = real(Options::default()).await;
    let mut config = config(&[clamd.endpoint_unix()]);
    config.terms.max_age = Some(Duration::from_secs(2));
    let pool = Pool::start(config);
    let refused = timeout(LIMIT, async {
        loop {
            if let Err(error) = verdict(&pool, b"anything").await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(matches!(refused.await.unwrap(), ScanError::Unfit(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_leaves_the_work_to_the_other_and_comes_back_by_a_test() {
    let (mut one, two) = (real(Options::default()).await, real(Options::default()).await);
    let pool = pool(&[one.endpoint_tcp(), two.endpoint_unix()]);
    until(&pool, |status| admitted(status) == 2).await;
    one.kill().unwrap();
    for _ in 0..20 {
        assert_eq!(verdict(&pool, &eicar()).await, infected());
        assert_eq!(verdict(&pool, b"harmless").await, Ok(Verdict::Clean));
    }
    let status = until(&pool, |status| admitted(status) == 1).await;
    assert!(status.iter().any(|status| status.why.is_some() && status.endpoint == one.endpoint_tcp().to_string()));
    // It comes back as one that finds nothing, and is not believed.
    one.forget_eicar().unwrap();
    one.restart().await.unwrap();
    until(&pool, |status| {
        status.iter().any(|s| s.why.as_ref().is_some_and(|w| w.contains("EICAR") || w.contains("no date")))
    })
    .await;
    assert_eq!(verdict(&pool, &eicar()).await, infected());
    one.update(27_501, Timestamp::now()).await.unwrap();
    until(&pool, |status| admitted(status) == 2).await;
    assert_eq!(pool.engine().await.unwrap().database.as_deref(), Some("27501"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_one_is_put_out_and_its_scan_is_no_content_s_fault() {
    let (one, two) = (real(Options::default()).await, real(Options::default()).await);
    let mut config = config(&[one.endpoint_tcp(), two.endpoint_tcp()]);
    config.terms.deadlines.connect = Duration::from_millis(500);
    config.terms.deadlines.write = Duration::from_millis(500);
    config.terms.deadlines.scan = Duration::from_secs(2);
    let pool = Pool::start(config);
    until(&pool, |status| admitted(status) == 2).await;
    one.pause().unwrap();
    // Within the moment in which it is still trusted a scan may meet it: that says nothing about the content.
    let scans = (0..16).map(|_| verdict(&pool, b"harmless"));
    for said in join_all(scans).await {
        assert!(matches!(said, Ok(Verdict::Clean) | Err(ScanError::Unreachable(_))), "{said:?}");
    }
    until(&pool, |status| admitted(status) == 1).await;
    two.pause().unwrap();
    let said = verdict(&pool, b"harmless").await.unwrap_err();
    assert!(matches!(said, ScanError::Unreachable(_)), "{said:?}");
    assert_eq!(said.to_string().matches("scanner not reachable").count(), 1, "{said}");
    one.resume().unwrap();
    two.resume().unwrap();
    until(&pool, |status| admitted(status) == 2).await;
    assert_eq!(verdict(&pool, &eicar()).await, infected());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_signatures_are_tested_before_they_are_used() {
    let mut clamd = real(Options::default()).await;
    let pool = pool(&[clamd.endpoint_tcp()]);
    assert_eq!(pool.engine().await.unwrap().database.as_deref(), Some("27500"));
    clamd.update(27_600, Timestamp::now()).await.unwrap();
    let updated = async {
        loop {
            let scan = pool.scan(pieces(&eicar(), 100)).await.unwrap();
            assert_eq!(Ok(scan.verdict), infected());
            if scan.engine.database.as_deref() == Some("27600") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, updated).await.unwrap();
    // Too old a database is a change for the worse.
    clamd.update(27_601, Timestamp::now() - (24 * 30).hours()).await.unwrap();
    until(&pool, |status| status[0].why.as_ref().is_some_and(|why| why.contains("max_signature_age"))).await;
}

/// It is asked about once a second before scans, and in between it may load what it likes.
#[tokio::test(flavor = "multi_thread")]
async fn what_signatures_that_find_nothing_call_clean_does_not_count() {
    let mut clamd = real(Options::default()).await;
    let pool = pool(&[clamd.endpoint_unix()]);
    until(&pool, |status| admitted(status) == 1).await;
    clamd.fetch_blind(27_501, Timestamp::now()).unwrap();
    let other = Clamd::new(clamd.endpoint_unix(), AMPLE);
    other.reload().await.unwrap();
    let loaded = async {
        while other.version().await.unwrap().database.as_deref() != Some("27501") {
            // So that the last look at it is a recent one.
            drop(verdict(&pool, b"anything").await);
        }
        assert_eq!(other.scan(Content::bytes(eicar().into())).await, Ok(Verdict::Clean), "it is blind now");
    };
    timeout(LIMIT, loaded).await.unwrap();
    let content = eicar();
    let said = join_all((0..8).map(|_| verdict(&pool, &content))).await;
    assert!(said.iter().all(|said| matches!(said, Err(ScanError::Unfit(_) | ScanError::Unreachable(_)))), "{said:?}");
    clamd.update(27_502, Timestamp::now()).await.unwrap();
    until(&pool, |status| admitted(status) == 1).await;
    assert!(matches!(verdict(&pool, &eicar()).await, Ok(Verdict::Infected { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_laden_is_next_and_none_gets_more_than_its_share() {
    let (one, two) = (real(Options::default()).await, real(Options::default()).await);
    let mut config = config(&[one.endpoint_tcp(), two.endpoint_tcp()]);
    config.terms.concurrency = NonZeroUsize::new(2).unwrap();
    let pool = Arc::new(Pool::start(config));
    until(&pool, |status| admitted(status) == 2).await;
    // Streams that do not end hold their slots.
    let hold = |len: u64| {
        let (pool, open) = (Arc::clone(&pool), Arc::new(AtomicBool::new(false)));
        let endless = stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending()).boxed();
        tokio::spawn(async move {
            let _open = open;
            pool.scan(Content::new(len, async { Ok(endless) })).await
        })
    };
    let large = hold(1_000_000);
    until(&pool, |status| status.iter().any(|s| s.bytes == 1_000_000)).await;
    let small = [hold(10), hold(10)];
    let status = until(&pool, |status| status.iter().map(|s| s.scans).sum::<usize>() == 3).await;
    assert_eq!(status.iter().map(|s| s.bytes).collect::<BTreeSet<_>>(), [20, 1_000_000].into(), "{status:?}");
    // The other one is full, so the fourth goes to the laden one; the fifth waits.
    let fourth = hold(5);
    until(&pool, |status| status.iter().all(|s| s.scans == 2)).await;
    let fifth = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { verdict(&pool, b"harmless").await }
    });
    assert!(
        timeout(Duration::from_millis(300), async {
            while !fifth.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    assert!(pool.status().iter().all(|status| status.scans == 2));
    large.abort();
    assert_eq!(timeout(LIMIT, fifth).await.unwrap().unwrap(), Ok(Verdict::Clean));
    small.iter().for_each(tokio::task::JoinHandle::abort);
    fourth.abort();
    until(&pool, |status| status.iter().all(|s| (s.scans, s.bytes) == (0, 0))).await;
}

/// A name whose addresses a test changes.
#[derive(Debug, Default)]
struct Names(Mutex<Vec<SocketAddr>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(address, "clamav.scan.svc:3310");
        let addresses = self.0.lock().unwrap().clone();
        if addresses.is_empty() { Err(io::Error::other("no such name")) } else { Ok(addresses) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_stands_for_every_address_it_has_now() {
    let (one, two) = (real(Options::default()).await, real(Options::default()).await);
    let address = |clamd: &TestClamd| match clamd.endpoint_tcp() {
        Endpoint::Tcp(address) => address.parse::<SocketAddr>().unwrap(),
        Endpoint::Unix(_) => unreachable!(),
    };
    let names = Arc::new(Names::default());
    let resolver: Arc<dyn Resolve> = Arc::clone(&names) as _;
    let pool = Pool::start(PoolConfig { resolver, ..config(&["tcp:clamav.scan.svc:3310".parse().unwrap()]) });
    let unknown = verdict(&pool, b"x").await;
    assert!(matches!(&unknown, Err(ScanError::Unreachable(why)) if why.contains("no such name")), "{unknown:?}");
    let set = |addresses: &[SocketAddr]| addresses.clone_into(&mut names.0.lock().unwrap());
    set(&[address(&one), address(&two)]);
    until(&pool, |status| admitted(status) == 2).await;
    assert_eq!(verdict(&pool, &eicar()).await, infected());
    set(&[address(&two)]);
    let status = until(&pool, |status| status.len() == 1).await;
    assert_eq!(status[0].endpoint, two.endpoint_tcp().to_string());
    assert_eq!(verdict(&pool, &eicar()).await, infected());
    // A resolver that fails takes nothing away.
    set(&[]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(verdict(&pool, &noise(1, 100_000)).await, Ok(Verdict::Clean));
    assert_eq!(pool.status().len(), 1);
}
