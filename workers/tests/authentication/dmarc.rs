//! DMARC and alignment.

use mailtri::auth::{
    Domain,
    results::{DkimResult, DmarcResult, Mechanism, Policy, SpfResult, Why},
};
use shared::testing::dns::{Fault, Record};

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
        ("two of one domain", mail("a@alpha.example, b@alpha.example"), DmarcResult::Fail, Some(Policy::Reject), None),
        ("two authors", mail("a@none.example, b@alpha.example"), DmarcResult::Fail, Some(Policy::Reject), None),
        ("the stricter", mail("a@soft.example, b@alpha.example"), DmarcResult::Fail, Some(Policy::Reject), None),
        (
            "two authors, one of them signed",
            sign(&mail("a@none.example, b@alpha.example"), "alpha.example", &keys, "ed"),
            DmarcResult::PermError,
            None,
            None,
        ),
        ("two authors, DNS fails", mail("a@sf.example, b@none.example"), DmarcResult::TempError, None, None),
    ] {
        let results = world.check(&raw).await;
        let dmarc = &results.dmarc;
        assert_eq!((dmarc.result, dmarc.policy, dmarc.aligned_by), (result, policy, by), "{what}");
        assert_eq!(results.aligned_domain().is_some(), by.is_some());
        assert_eq!(results.spoofed(), result == DmarcResult::Fail);
        assert_eq!(results.is_unsettled(), result == DmarcResult::TempError);
    }
    assert_eq!(world.check(&mail("")).await.dmarc.why, Some(Why::AuthorUnreadable));
    assert_eq!(world.check(&mail("root@localhost")).await.dmarc.why, Some(Why::NoAuthor));
}

pub(crate) async fn two_policies_are_none() {
    let (world, keys) = World::with_alpha().await;
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=none");
    world.dns.txt("_dmarc.alpha.example", "something else");
    let results = world.check(&mail("a@alpha.example")).await;
    assert_eq!((results.dmarc.result, results.dmarc.why), (DmarcResult::None, Some(Why::Malformed)));
    // Whose mail it is can be told all the same.
    let signed = world.check(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed")).await;
    assert_eq!(signed.aligned_domain().unwrap().expose(), "alpha.example");
    // Above the author's name as well, and what stands further up counts then (RFC 9989 §4.10).
    for _ in 0..2 {
        world.dns.txt("_dmarc.twice.epsilon.example", "v=DMARC1; p=none");
        world.dns.txt("_dmarc.zeta.example", "v=DMARC1; p=reject");
    }
    world.dns.txt("_dmarc.twice.epsilon.example", "v=DMARC1; p=quarantine");
    world.dns.txt("_dmarc.epsilon.example", "v=DMARC1; p=none; sp=reject");
    for author in ["twice.epsilon.example", "below.twice.epsilon.example"] {
        let dmarc = world.check(&mail(&format!("a@{author}"))).await.dmarc;
        assert_eq!((dmarc.result, dmarc.policy), (DmarcResult::Fail, Some(Policy::Reject)), "{author}");
    }
    let dmarc = world.check(&mail("a@below.zeta.example")).await.dmarc;
    assert_eq!((dmarc.result, dmarc.why), (DmarcResult::None, Some(Why::Malformed)));
    // One policy and texts of other kinds are one policy.
    for text in ["v=DMARC12; p=none", "v=spf1 -all", "", "DMARC1"] {
        world.dns.txt("_dmarc.beta.example", text);
    }
    world.dns.txt("_dmarc.beta.example", "v = DMARC1 ; p = reject");
    assert_eq!(world.check(&mail("a@beta.example")).await.dmarc.policy, Some(Policy::Reject));
    // What leads to itself, or to a server that does not answer, is no policy and no pass.
    world.dns.add("_dmarc.gamma.example", Record::Cname("_dmarc.gamma.example".to_owned()));
    world.dns.txt("ed._domainkey.gamma.example", keys.ed_record());
    let looped = world.check(&sign(&mail("a@gamma.example"), "gamma.example", &keys, "ed")).await;
    assert_ne!(looped.dmarc.result, DmarcResult::Pass);
    // A policy behind another name is one.
    world.dns.add("_dmarc.delta.example", Record::Cname("policy.beta.example".to_owned()));
    world.dns.txt("policy.beta.example", "v=DMARC1; p=quarantine");
    assert_eq!(world.check(&mail("a@delta.example")).await.dmarc.policy, Some(Policy::Quarantine));
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
        "xn--bcher-kva.example",
        "bucher.example",
        "a.xn--55qx5d.cn",
        "b.xn--55qx5d.cn",
        "co.uk",
        "github.io",
    ] {
        world.dns.txt(&format!("ed._domainkey.{domain}"), keys.ed_record());
    }
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject; sp=quarantine");
    world.dns.txt("_dmarc.strict.example", "v=DMARC1; p=reject; adkim=s; aspf=s");
    world.dns.txt("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject");
    world.dns.txt("_dmarc.xn--55qx5d.cn", "v=DMARC1; p=none");
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
        // A public suffix is nobody's organisation.
        ("a.co.uk", "co.uk", DmarcResult::Fail, Some(Policy::None)),
        ("a.github.io", "github.io", DmarcResult::None, None),
        ("beta.example", "beta.example", DmarcResult::None, None),
        // Names of other scripts, in either form: signatures have A-labels only.
        ("bücher.example", "xn--bcher-kva.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("BÜCHER.example", "xn--bcher-kva.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", DmarcResult::Pass, Some(Policy::Reject)),
        ("bücher.example", "bucher.example", DmarcResult::Fail, Some(Policy::Reject)),
        ("a.公司.cn", "b.xn--55qx5d.cn", DmarcResult::Fail, Some(Policy::None)),
        ("a.公司.cn", "a.xn--55qx5d.cn", DmarcResult::Pass, Some(Policy::None)),
    ] {
        let results = world.check(&sign(&mail(&format!("x@{author}")), signer, &keys, "ed")).await;
        assert_eq!((results.dmarc.result, results.dmarc.policy), (result, policy), "{author} by {signer}");
        // Without a record the organisation alone decides.
        let aligned = result == DmarcResult::Pass || (author, signer) == ("beta.example", "beta.example");
        let expected = Domain::parse(author).filter(|_| aligned);
        assert_eq!(results.aligned_domain(), expected.as_ref(), "{author} by {signer}");
    }
}

/// What decides nothing may be mistaken (RFC 9989 §4.7), wherever it stands among the texts.
pub(crate) async fn a_mistake_in_a_policy_frees_no_mail_of_it() {
    let world = World::new().await;
    for (name, texts, result, policy) in [
        ("relaxed", vec!["v=DMARC1; p=reject; adkim=relaxed"], DmarcResult::Fail, Some(Policy::Reject)),
        ("fo", vec!["v=DMARC1; p=quarantine; fo=2; rua=nobody!"], DmarcResult::Fail, Some(Policy::Quarantine)),
        ("beside", vec!["v=DMARC1; p=reject; aspf=", "another"], DmarcResult::Fail, Some(Policy::Reject)),
        ("behind", vec!["another", "v=DMARC1; p=reject; aspf="], DmarcResult::Fail, Some(Policy::Reject)),
        ("reported", vec!["v=DMARC1; p=all; rua=mailto:x@a.example"], DmarcResult::Fail, Some(Policy::None)),
        // Another version is none, wherever it stands.
        ("older", vec!["v=dmarc1; p=none", "v=DMARC1; p=reject"], DmarcResult::Fail, Some(Policy::Reject)),
        ("newer", vec!["v=DMARC1; p=reject", "v=dmarc1; p=none"], DmarcResult::Fail, Some(Policy::Reject)),
        ("all", vec!["v=DMARC1; p=all; adkim=s"], DmarcResult::PermError, None),
        ("allbeside", vec!["v=DMARC1; p=all", "another"], DmarcResult::PermError, None),
    ] {
        texts.into_iter().for_each(|text| world.dns.txt(&format!("_dmarc.{name}.example"), text));
        let dmarc = world.check(&mail(&format!("a@{name}.example"))).await.dmarc;
        assert_eq!((dmarc.result, dmarc.policy), (result, policy), "{name}");
    }
}

/// A host's customer who signs from as many names as there may be, each an organisation of its own, asks for a lot.
pub(crate) async fn no_number_of_names_frees_a_mail_of_a_policy() {
    let (world, keys) = (World::new().await, Keys::generate());
    world.dns.txt("_dmarc.host.example", "v=DMARC1; p=reject");
    let deep = |i: usize| format!("a.b.c.d.e.u{i}.host.example");
    let mut raw = mail("ceo@l.k.j.i.h.g.f.host.example");
    for i in 0..9 {
        world.dns.txt(&format!("_dmarc.u{i}.host.example"), "v=DMARC1; p=none; psd=n");
        world.dns.txt(&format!("ed._domainkey.{}", deep(i)), keys.ed_record());
        world.dns.txt(&deep(i), format!("v=spf1 ip4:{CLIENT} -all"));
        raw = if i < 8 { sign(&raw, &deep(i), &keys, "ed") } else { raw };
    }
    let results = world.check(&ses(CLIENT, "m.x", &format!("x@{}", deep(8)), &raw)).await;
    assert!(results.dkim.iter().all(|dkim| dkim.result == DkimResult::Pass) && results.dkim.len() == 8);
    assert_eq!(results.spf.result, SpfResult::Pass);
    let dmarc = &results.dmarc;
    assert_eq!((dmarc.result, dmarc.policy, dmarc.aligned_by), (DmarcResult::Fail, Some(Policy::Reject), None));
}
