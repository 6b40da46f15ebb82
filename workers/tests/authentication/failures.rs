//! DNS that remembers, that is down, or that is not asked.

use std::time::{Duration, Instant};

use mailtri::auth::{
    policy::{Decision, DmarcMode, OnTempError, decide},
    results::{ArcResult, DkimResult, DmarcResult, Policy, SpfResult, Why},
};
use shared::testing::dns::{DnsStub, Fault};

use crate::world::{CLIENT, Keys, World, from_alpha, mail, ses, sign};

pub(crate) async fn answers_are_remembered_and_asked_once() {
    let (world, keys) = World::with_alpha().await;
    let raw = from_alpha(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed"));
    assert_eq!(world.check(&raw).await.dmarc.result, DmarcResult::Pass);
    let (first, unsigned) = (world.dns.asked().len(), from_alpha(&mail("a@missing.example")));
    assert!(first > 0);
    world.check(&unsigned).await;
    world.dns.forget();
    for _ in 0..5 {
        assert_eq!(world.check(&raw).await.dmarc.result, DmarcResult::Pass);
        // That there is nothing is remembered as well.
        assert_eq!(world.check(&unsigned).await.dmarc.result, DmarcResult::None);
    }
    assert_eq!(world.dns.asked(), Vec::<String>::new());
}

/// Answers that nobody may keep are kept for as long as one mail asks: what is looked at twice is the same.
pub(crate) async fn one_mail_asks_once_whatever_may_be_kept() {
    let world = World::new().await;
    world.dns.set_ttl(0);
    // Each mistake is seen only when the one before it has been mended.
    for name in ["a.b.c.d.zeta", "b.c.d.zeta", "c.d.zeta", "d.zeta", "zeta"] {
        world.dns.txt(&format!("_dmarc.{name}.example"), "v=DMARC1; p=reject; fo=2");
    }
    world.dns.txt("zeta.example", "v=spf1 ?include:alpha.example +all");
    world.dns.txt("alpha.example", "v=spf1 -all");
    let raw = ses(CLIENT, "zeta.example", "a@zeta.example", &mail("a@a.b.c.d.zeta.example"));
    let results = world.check(&raw).await;
    assert_eq!((results.spf.result, results.dmarc.policy), (SpfResult::Pass, Some(Policy::Reject)));
    let asked = world.dns.asked();
    for name in ["zeta.example", "alpha.example", "_dmarc.zeta.example", "_dmarc.a.b.c.d.zeta.example"] {
        let times = asked.iter().filter(|one| one.trim_end_matches('.') == name).count();
        // `MAIL FROM` and HELO are asked about at once.
        assert!((1..=2).contains(&times), "{name} {times} times in {asked:?}");
    }
}

pub(crate) async fn dns_that_is_down_is_no_pass_and_no_long_wait() {
    let (world, keys) = (World::patient(Duration::from_millis(900)).await, Keys::generate());
    let raw = from_alpha(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed"));
    world.dns.set_down(true);
    let results = world.check(&raw).await;
    assert_eq!((results.spf.result, results.dkim[0].result), (SpfResult::TempError, DkimResult::TempError));
    assert_eq!((results.dmarc.result, results.dmarc.why), (DmarcResult::TempError, Some(Why::DnsFailed)));
    assert_eq!(results.aligned_domain(), None);
    assert_eq!(decide(&results, DmarcMode::Enforce, OnTempError::Defer), Decision::Defer);
    assert!(matches!(decide(&results, DmarcMode::Tag, OnTempError::Quarantine), Decision::Quarantine(..)));
    assert_eq!(decide(&results, DmarcMode::Enforce, OnTempError::Accept), Decision::Accept);
    // The following ones do not wait again for what gave no sign of life: each would ask about three names or more.
    world.dns.forget();
    for _ in 0..30 {
        assert_eq!(world.check(&raw).await.dmarc.result, DmarcResult::TempError);
    }
    assert!(world.dns.asked().len() < 90, "{} questions", world.dns.asked().len());
    // A mail that nothing could make a pass does not wait for DNS.
    let hopeless = world.check(&mail("a@alpha.example")).await;
    assert_eq!(hopeless.dmarc.result, DmarcResult::TempError);
    assert_eq!(decide(&hopeless, DmarcMode::Enforce, OnTempError::Defer), Decision::Accept);
    // And when it is back, it is noticed.
    world.dns.set_down(false);
    world.dns.txt("ed._domainkey.alpha.example", keys.ed_record());
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.check(&raw).await.dmarc.result != DmarcResult::Pass {
        assert!(Instant::now() < deadline, "DNS is back and was not noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn one_silent_domain_is_not_a_silent_server() {
    let (world, keys) = (World::patient(Duration::from_millis(900)).await, Keys::generate());
    world.dns.txt("ed._domainkey.alpha.example", keys.ed_record());
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
    for name in ["silent.example", "_dmarc.silent.example", "ed._domainkey.silent.example"] {
        world.dns.fault(name, Fault::Silent);
    }
    let [silent, good] =
        ["silent.example", "alpha.example"].map(|domain| sign(&mail(&format!("a@{domain}")), domain, &keys, "ed"));
    for _ in 0..2 {
        assert_eq!(world.check(&silent).await.dmarc.result, DmarcResult::TempError);
        assert_eq!(world.check(&good).await.dmarc.result, DmarcResult::Pass);
    }
}

pub(crate) async fn switched_off_says_so_everywhere() {
    let (world, keys) = (World::with(DnsStub::start().unwrap(), None).await, Keys::generate());
    let results = world.check(&from_alpha(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed"))).await;
    assert_eq!(
        (results.spf.result, results.dmarc.result, results.arc.result),
        (SpfResult::None, DmarcResult::None, ArcResult::None)
    );
    assert!(results.dkim.is_empty() && results.spf.why == Some(Why::DnsOff) && results.dmarc.why == Some(Why::DnsOff));
    assert_eq!(decide(&results, DmarcMode::Enforce, OnTempError::Defer), Decision::Accept);
    assert_eq!(world.dns.asked(), Vec::<String>::new());
}
