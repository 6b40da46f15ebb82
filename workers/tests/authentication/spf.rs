//! SPF through a child and the stub.

use mailtri::auth::{
    header,
    results::{DmarcResult, SpfIdentity, SpfResult, Why},
};
use shared::testing::dns::{Fault, Record};

use crate::world::{CLIENT, World, mail, ses};

pub(crate) async fn spf_has_each_of_its_results() {
    let world = World::new().await;
    let long = (0..12).map(|i| format!("exists:e{i}.alpha.example ")).collect::<String>();
    world.dns.txt("many.alpha.example", format!("v=spf1 {long}-all"));
    world.dns.txt("pass.alpha.example", "v=spf1 ip4:192.0.2.0/24 -all");
    world.dns.txt("softfail.alpha.example", "v=spf1 ~all");
    world.dns.txt("neutral.alpha.example", "v=spf1 ?all");
    world.dns.txt("fail.alpha.example", "v=spf1 -all");
    world.dns.txt("broken.alpha.example", "v=spf1 all/32");
    world.dns.txt("other.alpha.example", "google-site-verification=abc");
    world.dns.txt("included.alpha.example", "v=spf1 include:pass.alpha.example -all");
    world.dns.txt("nowhere.alpha.example", "v=spf1 include:gone.alpha.example -all");
    world.dns.txt("mx.alpha.example", "v=spf1 mx -all");
    world.dns.add("mx.alpha.example", Record::Mx(10, "host.alpha.example".to_owned()));
    world.dns.add("host.alpha.example", Record::A(CLIENT.parse().unwrap()));
    world.dns.txt("half.alpha.example", "v=spf1 a:servfail.alpha.example -all");
    world.dns.fault("servfail.alpha.example", Fault::Fails);
    // Within the limits of each mechanism, and still more than one mail may ask.
    let lists = (0..8).map(|i| format!("mx:list{i}.alpha.example ")).collect::<String>();
    world.dns.txt("lists.alpha.example", format!("v=spf1 {lists}-all"));
    for (list, host) in
        (0..8).flat_map(|list| (0..10).map(move |host| (list, format!("h{host}.list{list}.alpha.example"))))
    {
        world.dns.add(&format!("list{list}.alpha.example"), Record::Mx(10, host.clone()));
        world.dns.add(&host, Record::A("203.0.113.1".parse().unwrap()));
    }
    // Two policies are none; a text that begins like one is none either.
    world.dns.txt("two.alpha.example", "v=spf1 ip4:192.0.2.0/24 -all");
    world.dns.txt("two.alpha.example", "V=SPF1 +all");
    world.dns.txt("near.alpha.example", "v=spf10 +all");
    world.dns.txt("near.alpha.example", "v=spf1 ip4:192.0.2.0/24 -all");
    // Policies elsewhere, in a circle, and of all lengths.
    world.dns.add("cname.alpha.example", Record::Cname("pass.alpha.example".to_owned()));
    world.dns.add("loop.alpha.example", Record::Cname("pool.alpha.example".to_owned()));
    world.dns.add("pool.alpha.example", Record::Cname("loop.alpha.example".to_owned()));
    world.dns.txt("around.alpha.example", "v=spf1 include:around.alpha.example -all");
    world.dns.txt("back.alpha.example", "v=spf1 redirect=back.alpha.example");
    let networks = (0..2_000).map(|i| format!("ip4:203.0.{}.{} ", i / 250, i % 250)).collect::<String>();
    world.dns.txt("huge.alpha.example", format!("v=spf1 {networks}ip4:192.0.2.0/24 -all"));
    let void = (0..10).map(|i| format!("a:void{i}.alpha.example ")).collect::<String>();
    world.dns.txt("void.alpha.example", format!("v=spf1 {void}-all"));
    world.dns.txt("holdstwo.alpha.example", "v=spf1 include:two.alpha.example -all");
    world.dns.txt("leads.alpha.example", "v=spf1 redirect=two.alpha.example");
    // What is refused counts, also where it is refused by what it includes.
    world.dns.txt("refuses.alpha.example", "v=spf1 -include:included.alpha.example +all");
    world.dns.txt("refusestoo.alpha.example", "v=spf1 -include:%{d2}.included.alpha.example ip4:192.0.2.0/24 -all");
    world.dns.txt("alpha.example.included.alpha.example", "v=spf1 -all");
    world.dns.txt(
        "refusesothers.alpha.example",
        "v=spf1 -include:fail.alpha.example ?include:gone.alpha.example ip4:192.0.2.0/24",
    );
    world.dns.txt("doubts.alpha.example", "v=spf1 ip4:192.0.2.0/24 ?include:fail.alpha.example -all");
    let others = (0..11).map(|i| format!("?include:other{i}.alpha.example ")).collect::<String>();
    world.dns.txt("crowd.alpha.example", format!("v=spf1 ip4:192.0.2.0/24 {others}-all"));
    for (domain, result, why) in [
        ("holdstwo.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("leads.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("refuses.alpha.example", SpfResult::Neutral, Some(Why::NoMatch)),
        ("refusestoo.alpha.example", SpfResult::Neutral, Some(Why::NoMatch)),
        ("refusesothers.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("doubts.alpha.example", SpfResult::Pass, None),
        ("crowd.alpha.example", SpfResult::Neutral, Some(Why::NoMatch)),
        ("two.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("near.alpha.example", SpfResult::Pass, None),
        ("cname.alpha.example", SpfResult::Pass, None),
        ("around.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("back.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("huge.alpha.example", SpfResult::Pass, None),
        ("void.alpha.example", SpfResult::Fail, None),
        ("pass.alpha.example", SpfResult::Pass, None),
        ("included.alpha.example", SpfResult::Pass, None),
        ("mx.alpha.example", SpfResult::Pass, None),
        ("softfail.alpha.example", SpfResult::SoftFail, None),
        ("neutral.alpha.example", SpfResult::Neutral, None),
        ("fail.alpha.example", SpfResult::Fail, None),
        ("missing.alpha.example", SpfResult::None, Some(Why::NoRecord)),
        ("other.alpha.example", SpfResult::None, Some(Why::NoRecord)),
        ("broken.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("nowhere.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("many.alpha.example", SpfResult::PermError, Some(Why::Malformed)),
        ("lists.alpha.example", SpfResult::PermError, Some(Why::TooMuch)),
        ("servfail.alpha.example", SpfResult::TempError, Some(Why::DnsFailed)),
        ("half.alpha.example", SpfResult::TempError, Some(Why::DnsFailed)),
    ] {
        let raw = ses(CLIENT, "mail.alpha.example", &format!("a@{domain}"), &mail("a@alpha.example"));
        let spf = world.check(&raw).await.spf;
        assert_eq!((spf.result, spf.why), (result, why), "{domain}");
        assert_eq!(spf.domain.unwrap().expose(), domain);
    }
    let looped = world.check(&ses(CLIENT, "m.x", "a@loop.alpha.example", &mail("a@alpha.example"))).await.spf;
    assert!(matches!(looped.result, SpfResult::None | SpfResult::TempError), "{looped:?}");
}

/// The policies of large providers and of their customers: each includes others that refuse everybody else by themselves, which
/// is no match and no result (RFC 7208 §5.2).
pub(crate) async fn the_policies_of_ordinary_senders_pass() {
    let world = World::new().await;
    for (domain, policy) in [
        ("_spf.provider.example", "v=spf1 include:_net1.provider.example include:_net2.provider.example ~all"),
        ("_net1.provider.example", "v=spf1 ip4:203.0.113.0/24 ip4:198.51.100.0/25 ~all"),
        ("_net2.provider.example", "v=spf1 ip6:2001:db8::/32 ip4:192.0.2.0/24 ~all"),
        ("spf.office.example", "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8:1::/48 -all"),
        ("mailer.example", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.128/25 -all"),
        ("bulk.example", "v=spf1 a:o1.bulk.example ip4:203.0.113.0/26 -all"),
        ("relay.example", "v=spf1 ?include:bulk.example ip4:192.0.2.0/24 -all"),
        // The customers.
        ("one.example", "v=spf1 include:_spf.provider.example -all"),
        (
            "last.example",
            "v=spf1 mx include:spf.office.example include:mailer.example include:_spf.provider.example -all",
        ),
        ("own.example", "v=spf1 include:spf.office.example include:mailer.example ip4:192.0.2.10 -all"),
        ("soft.example", "v=spf1 include:spf.office.example ~include:mailer.example a mx ip4:192.0.2.10/32 ~all"),
        ("asks.example", "v=spf1 ?include:spf.office.example include:_spf.provider.example ?all"),
        ("refuses.example", "v=spf1 -include:mailer.example include:_spf.provider.example -all"),
        ("nested.example", "v=spf1 include:relay.example -all"),
        ("leads.example", "v=spf1 redirect=_spf.provider.example"),
        ("within.example", "v=spf1 include:leads.example -all"),
        ("shout.example", "V=SPF1  INCLUDE:_SPF.provider.example   -ALL "),
    ] {
        world.dns.txt(domain, policy);
    }
    let client = "192.0.2.10";
    let own =
        "one last own soft asks refuses nested leads within shout".split(' ').map(|name| format!("{name}.example"));
    for domain in own {
        let check = async |client: &str| {
            world.check(&ses(client, "m.x", &format!("a@{domain}"), &mail("a@alpha.example"))).await.spf
        };
        let spf = check(client).await;
        assert_eq!((spf.result, spf.why), (SpfResult::Pass, None), "{domain}");
        assert_ne!(check("100.64.0.1").await.result, SpfResult::Pass, "{domain}");
    }
}

/// Anybody may give his client any name, in his own zone: only one that leads back counts.
pub(crate) async fn spf_goes_by_names_of_the_client_that_lead_back() {
    for leads_back in [false, true] {
        let world = World::new().await;
        world.dns.ptr(CLIENT.parse().unwrap(), "friend.beta.example");
        world.dns.ptr(CLIENT.parse().unwrap(), "gone.beta.example");
        if leads_back {
            world.dns.host("friend.beta.example", CLIENT.parse().unwrap());
        }
        world.dns.host("friend.beta.example.ok.alpha.example", "127.0.0.2".parse().unwrap());
        let expected = if leads_back { SpfResult::Pass } else { SpfResult::Fail };
        for (domain, policy) in [
            ("macro.alpha.example", "v=spf1 exists:%{p}.ok.alpha.example -all"),
            ("below.alpha.example", "v=spf1 ptr:beta.example -all"),
            ("same.alpha.example", "v=spf1 ptr:friend.beta.example -all"),
            ("included.alpha.example", "v=spf1 include:macro.alpha.example -all"),
        ] {
            world.dns.txt(domain, policy);
            let spf = world.check(&ses(CLIENT, "m.x", &format!("a@{domain}"), &mail("a@alpha.example"))).await.spf;
            assert_eq!((spf.result, spf.why), (expected, None), "{policy}");
        }
        for policy in ["v=spf1 ptr:gone.beta.example -all", "v=spf1 ptr:unknown -all", "v=spf1 ptr -all"] {
            let domain = format!("p{}.alpha.example", policy.len());
            world.dns.txt(&domain, policy);
            let spf = world.check(&ses(CLIENT, "m.x", &format!("a@{domain}"), &mail("a@alpha.example"))).await.spf;
            assert_eq!(spf.result, SpfResult::Fail, "{policy}");
        }
    }
}

pub(crate) async fn spf_asks_about_the_right_identity() {
    let world = World::new().await;
    world.dns.txt("mail.alpha.example", "v=spf1 ip4:192.0.2.0/24 -all");
    world.dns.txt("alpha.example", "v=spf1 -all");
    let raw = |mail_from: &str| ses(CLIENT, "mail.alpha.example", mail_from, &mail("a@alpha.example"));
    // A bounce has no sender: its client's name stands in.
    let bounce = world.check(&raw("")).await.spf;
    assert_eq!((bounce.result, bounce.identity), (SpfResult::Pass, Some(SpfIdentity::Helo)));
    // The envelope's sender is better than what the server wrote down.
    let envelope = world.check_from(&raw(""), Some("a@alpha.example")).await.spf;
    assert_eq!((envelope.result, envelope.identity), (SpfResult::Fail, Some(SpfIdentity::MailFrom)));
    // A sender that is read in two ways has no domain.
    for sender in ["a@alpha.example@mail.alpha.example", "a", "a@", "@mail.alpha.example", "a@mail.alpha.example\u{1}"]
    {
        let odd = world.check_from(&raw("x@mail.alpha.example"), Some(sender)).await.spf;
        assert_eq!((odd.result, odd.why), (SpfResult::None, Some(Why::Malformed)), "{sender:?}");
    }
    // Without a client there is nothing to ask about, whatever the envelope says.
    let file = world.check_from(&mail("a@mail.alpha.example"), Some("a@mail.alpha.example")).await.spf;
    assert_eq!((file.result, file.why), (SpfResult::None, Some(Why::NoTrustedHop)));
}

pub(crate) async fn spf_tells_of_helo_beside_mail_from() {
    let world = World::new().await;
    world.dns.txt("alpha.example", "v=spf1 -all");
    world.dns.txt("pass.beta.example", "v=spf1 ip4:192.0.2.0/24 -all");
    world.dns.txt("fail.beta.example", "v=spf1 -all");
    world.dns.txt("broken.beta.example", "v=spf1 all/32");
    world.dns.fault("servfail.beta.example", Fault::Fails);
    // Whoever it is that sends, the postmaster of the client is asked about.
    world.dns.txt("macro.beta.example", "v=spf1 exists:%{l}.%{o}.%{h}.beta.example -all");
    let name = "postmaster.macro.beta.example.macro.beta.example.beta.example";
    world.dns.host(name, "127.0.0.2".parse().unwrap());
    for (helo, result, why) in [
        ("pass.beta.example", SpfResult::Pass, None),
        ("macro.beta.example", SpfResult::Pass, None),
        ("fail.beta.example", SpfResult::Fail, None),
        ("servfail.beta.example", SpfResult::TempError, Some(Why::DnsFailed)),
        ("broken.beta.example", SpfResult::PermError, Some(Why::Malformed)),
        ("none.beta.example", SpfResult::None, Some(Why::NoRecord)),
    ] {
        let raw = |mail_from: &str| ses(CLIENT, helo, mail_from, &mail("a@alpha.example"));
        let results = world.check(&raw("a@alpha.example")).await;
        let beside = results.spf_helo.as_ref().unwrap();
        assert_eq!((beside.result, beside.why, beside.identity), (result, why, Some(SpfIdentity::Helo)), "{helo}");
        assert_eq!((results.spf.result, results.spf.identity), (SpfResult::Fail, Some(SpfIdentity::MailFrom)));
        let reason = why.map_or(String::new(), |why| format!(" reason={}", why.name()));
        let said = format!("; spf=fail smtp.mailfrom=alpha.example; spf={}{reason} smtp.helo={helo}; ", result.name());
        assert!(header::value(&results).contains(&said), "{}", header::value(&results));
        // Of a bounce it is told once, and DMARC goes by it.
        let bounce = world.check(&raw("")).await;
        assert_eq!((bounce.spf.result, bounce.spf.identity), (result, Some(SpfIdentity::Helo)), "{helo}");
        assert!(bounce.spf_helo.is_none() && header::value(&bounce).matches("spf=").count() == 1);
    }
    // A name that nobody can have asked about.
    for helo in ["[192.0.2.10]", "localhost", "pass.beta.example@x", "a..example"] {
        let results = world.check(&ses(CLIENT, helo, "a@alpha.example", &mail("a@alpha.example"))).await;
        let beside = results.spf_helo.as_ref().unwrap();
        assert_eq!((beside.result, beside.why), (SpfResult::None, Some(Why::Malformed)), "{helo}");
        assert_eq!(header::value(&results).matches("spf=").count(), 1);
    }
    // A HELO of the author's own domain is no pass for DMARC, except where it stands in for an empty sender.
    world.dns.txt("_dmarc.gamma.example", "v=DMARC1; p=reject");
    world.dns.txt("gamma.example", "v=spf1 ip4:192.0.2.0/24 -all");
    let from = |mail_from: &str| ses(CLIENT, "gamma.example", mail_from, &mail("a@gamma.example"));
    let beside = world.check(&from("x@alpha.example")).await;
    assert_eq!((beside.spf_helo.as_ref().unwrap().result, beside.dmarc.result), (SpfResult::Pass, DmarcResult::Fail));
    assert_eq!(beside.aligned_domain(), None);
    assert_eq!(world.check(&from("")).await.dmarc.result, DmarcResult::Pass);
    // Where no sender was written down, there is still a client.
    let line = format!("Received: from pass.beta.example (x [{CLIENT}]) by mx.ours.example; date\r\n");
    let results = world.check(&format!("{line}{}", mail("a@alpha.example"))).await;
    assert_eq!((results.spf.result, results.spf.why), (SpfResult::None, Some(Why::HopUnreadable)));
    assert_eq!(results.spf_helo.unwrap().result, SpfResult::Pass);
}
