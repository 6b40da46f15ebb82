//! DMARC and alignment.

use mailtri::auth::results::{DmarcResult, Mechanism, Policy, Why};
use shared::testing::dns::Fault;

use crate::world::{CLIENT, Keys, STRANGER, World, mail, ses, sign};

pub(crate) async fn dmarc_has_each_of_its_results() {
    let (world, keys) = World::with_alpha().await;
    world.dns.fault("_dmarc.sf.example", Fault::Fails);
    world.dns.txt("_dmarc.soft.example", "v=DMARC1; p=quarantine; rua=mailto:x@soft.example");
    world.dns.txt("_dmarc.odd.example", "v=DMARC1; p=whatever");
    world.dns.txt("_dmarc.tests.example", "v=DMARC1; p=reject; t=y");
    world.dns.fault("ed._domainkey.late.example", Fault::Fails);
    world.dns.txt("_dmarc.late.example", "v=DMARC1; p=reject");
    let signed = |domain: &str| sign(&mail(&format!("a@{domain}")), domain, &keys, "ed");
    let from = |client: &str, domain: &str| ses(client, "m.x", &format!("a@{domain}"), &mail(&format!("a@{domain}")));
    for (what, raw, result, policy, by) in [
        ("signed", signed("alpha.example"), DmarcResult::Pass, Some(Policy::Reject), Some(Mechanism::Dkim)),
        ("by SPF", from(CLIENT, "alpha.example"), DmarcResult::Pass, Some(Policy::Reject), Some(Mechanism::Spf)),
        ("by neither", from(STRANGER, "alpha.example"), DmarcResult::Fail, Some(Policy::Reject), None),
        ("not signed", mail("a@alpha.example"), DmarcResult::Fail, Some(Policy::Reject), None),
        ("quarantine", from(CLIENT, "soft.example"), DmarcResult::Fail, Some(Policy::Quarantine), None),
        ("testing", from(CLIENT, "tests.example"), DmarcResult::Fail, Some(Policy::Quarantine), None),
        ("no record", from(CLIENT, "none.example"), DmarcResult::None, None, None),
        ("a record that is none", from(CLIENT, "odd.example"), DmarcResult::PermError, None, None),
        ("servfail", from(CLIENT, "sf.example"), DmarcResult::TempError, None, None),
        ("the key fails", signed("late.example"), DmarcResult::TempError, Some(Policy::Reject), None),
        ("no author", mail(""), DmarcResult::PermError, None, None),
        ("two authors", mail("a@alpha.example, b@alpha.example"), DmarcResult::PermError, None, None),
    ] {
        let results = world.check(&raw).await;
        let dmarc = &results.dmarc;
        assert_eq!((dmarc.result, dmarc.policy, dmarc.aligned_by), (result, policy, by), "{what}");
        assert_eq!(results.aligned_domain().is_some(), by.is_some());
        assert_eq!(results.spoofed(), result == DmarcResult::Fail);
        assert_eq!(results.is_unsettled(), result == DmarcResult::TempError);
    }
    assert_eq!(world.check(&mail("")).await.dmarc.why, Some(Why::NoAuthor));
}

pub(crate) async fn alignment_goes_by_record_and_organisation() {
    let (world, keys) = (World::new().await, Keys::generate());
    for domain in [
        "alpha.example",
        "mail.alpha.example",
        "beta.example",
        "a.co.uk",
        "b.co.uk",
        "strict.example",
        "m.strict.example",
    ] {
        world.dns.txt(&format!("ed._domainkey.{domain}"), keys.ed_record());
    }
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject; sp=quarantine");
    world.dns.txt("_dmarc.strict.example", "v=DMARC1; p=reject; adkim=s; aspf=s");
    // A registry that publishes a plain record: its customers are no organisation.
    world.dns.txt("_dmarc.co.uk", "v=DMARC1; p=none");
    for (author, signer, result, policy) in [
        ("alpha.example", "alpha.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("alpha.example", "mail.alpha.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("news.alpha.example", "mail.alpha.example", DmarcResult::Pass, Some(Policy::Quarantine)),
        ("alpha.example", "beta.example", DmarcResult::Fail, Some(Policy::Reject)),
        ("news.alpha.example", "beta.example", DmarcResult::Fail, Some(Policy::Quarantine)),
        ("strict.example", "strict.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("strict.example", "m.strict.example", DmarcResult::Fail, Some(Policy::Reject)),
        ("a.co.uk", "a.co.uk", DmarcResult::Pass, Some(Policy::None)),
        ("a.co.uk", "b.co.uk", DmarcResult::Fail, Some(Policy::None)),
        ("beta.example", "beta.example", DmarcResult::None, None),
    ] {
        let results = world.check(&sign(&mail(&format!("x@{author}")), signer, &keys, "ed")).await;
        assert_eq!((results.dmarc.result, results.dmarc.policy), (result, policy), "{author} by {signer}");
        // Without a record the organisation alone decides.
        let aligned = result == DmarcResult::Pass || (author, signer) == ("beta.example", "beta.example");
        assert_eq!(results.aligned_domain().map(|d| d.expose()), aligned.then_some(author), "{author} by {signer}");
    }
}
