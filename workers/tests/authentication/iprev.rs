//! The client's address and its name, through a child and the stub.

use std::{net::IpAddr, time::Duration};

use mailtri::auth::{
    header,
    results::{DmarcResult, IprevResult, SpfResult, Why},
};
use shared::testing::dns::{Fault, Record, reverse};

use crate::world::{CLIENT, World, from_alpha, mail, ses};

pub(crate) async fn iprev_has_each_of_its_results() {
    let world = World::new().await;
    let dns = &world.dns;
    let named = |ip: &str, names: &[&str]| names.iter().for_each(|name| dns.ptr(ip.parse().unwrap(), name));
    dns.host("good.alpha.example", "192.0.2.1".parse().unwrap());
    dns.host("six.alpha.example", "2001:db8::1".parse().unwrap());
    dns.host("elsewhere.alpha.example", "203.0.113.1".parse().unwrap());
    dns.fault("servfail.alpha.example", Fault::Fails);
    dns.fault(&reverse("192.0.2.7".parse().unwrap()), Fault::Fails);
    named("192.0.2.1", &["good.alpha.example"]);
    named("192.0.2.2", &["elsewhere.alpha.example"]);
    named("192.0.2.3", &["nowhere.alpha.example"]);
    named("192.0.2.4", &["elsewhere.alpha.example", "nowhere.alpha.example"]);
    named("192.0.2.6", &["servfail.alpha.example"]);
    named("2001:db8::1", &["six.alpha.example"]);
    // A network's names that somebody else keeps (RFC 2317).
    dns.add(&reverse("192.0.2.8".parse().unwrap()), Record::Cname("8.kept.alpha.example".to_owned()));
    dns.add("8.kept.alpha.example", Record::Ptr("kept.alpha.example".to_owned()));
    dns.host("kept.alpha.example", "192.0.2.8".parse().unwrap());
    // A third name and later ones are not followed.
    named("192.0.2.9", &["elsewhere.alpha.example", "elsewhere.beta.example", "third.alpha.example"]);
    dns.host("elsewhere.beta.example", "203.0.113.1".parse().unwrap());
    dns.host("third.alpha.example", "192.0.2.9".parse().unwrap());
    // A name that is none of a host.
    named("192.0.2.11", &["under score;x.alpha.example"]);
    dns.host("under score;x.alpha.example", "192.0.2.11".parse().unwrap());
    named("192.0.2.12", &["loop.alpha.example"]);
    dns.add("loop.alpha.example", Record::Cname("loop.alpha.example".to_owned()));
    for (ip, result, why, name) in [
        ("192.0.2.1", IprevResult::Pass, None, Some("good.alpha.example")),
        ("2001:db8::1", IprevResult::Pass, None, Some("six.alpha.example")),
        ("192.0.2.8", IprevResult::Pass, None, Some("kept.alpha.example")),
        ("192.0.2.2", IprevResult::Fail, Some(Why::NoMatch), None),
        ("192.0.2.3", IprevResult::Fail, Some(Why::NoMatch), None),
        ("192.0.2.4", IprevResult::Fail, Some(Why::NoMatch), None),
        ("192.0.2.11", IprevResult::Fail, Some(Why::NoMatch), None),
        ("192.0.2.9", IprevResult::Fail, Some(Why::NoMatch), None),
        ("192.0.2.5", IprevResult::PermError, Some(Why::NoRecord), None),
        ("192.0.2.6", IprevResult::TempError, Some(Why::DnsFailed), None),
        ("192.0.2.7", IprevResult::TempError, Some(Why::DnsFailed), None),
    ] {
        let results = world.check(&by_ours(ip, &mail("a@alpha.example"))).await;
        let iprev = &results.iprev;
        assert_eq!((iprev.result, iprev.why), (result, why), "{ip}");
        assert_eq!(iprev.name.as_ref().map(|name| name.expose()), name, "{ip}");
        let told = *iprev.client_ip.as_ref().unwrap().expose();
        assert_eq!(told, ip.parse::<IpAddr>().unwrap());
        // Results speak of the address in the form of RFC 8601 §2.7.3.
        let shown = if told.is_ipv6() { format!("\"{ip}\"") } else { ip.to_owned() };
        let (value, reason) =
            (header::value(&results), why.map_or(String::new(), |why| format!(" reason={}", why.name())));
        assert!(value.ends_with(&format!("; iprev={}{reason} policy.iprev={shown}", result.name())), "{value}");
    }
    assert_ne!(world.check(&by_ours("192.0.2.12", &mail("a@alpha.example"))).await.iprev.result, IprevResult::Pass);
    // Without a client that a trusted server saw there is none to ask about.
    dns.forget();
    let nobody = world.check(&mail("a@alpha.example")).await;
    assert_eq!((nobody.iprev.result, nobody.iprev.why), (IprevResult::None, Some(Why::NoTrustedHop)));
    assert!(!header::value(&nobody).contains("iprev"));
    assert!(dns.asked().iter().all(|name| !name.ends_with(".arpa")));
}

pub(crate) async fn a_silent_name_server_of_the_clients_costs_nobody_his_pass() {
    let world = World::patient(Duration::from_millis(1_500)).await;
    world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} -all"));
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
    world.dns.fault(&reverse(CLIENT.parse().unwrap()), Fault::Silent);
    world.dns.fault("mail.alpha.example", Fault::Silent);
    let results = world.check(&from_alpha(&mail("a@alpha.example"))).await;
    assert_eq!((results.iprev.result, results.iprev.why), (IprevResult::TempError, Some(Why::DnsFailed)));
    assert_eq!(results.spf_helo.unwrap().result, SpfResult::TempError);
    assert_eq!((results.spf.result, results.dmarc.result), (SpfResult::Pass, DmarcResult::Pass));
}

/// A mail that a server of ours took from a client of that address.
fn by_ours(ip: &str, raw: &str) -> String {
    if ip.contains(':') {
        format!("Received: from m.x (m.x [IPv6:{ip}]) by mx.ours.example with ESMTP id 1; date\r\n{raw}")
    } else {
        ses(ip, "m.x", "a@alpha.example", raw)
    }
}
