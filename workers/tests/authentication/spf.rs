//! SPF through a child and the stub.

use mailtri::auth::results::{SpfIdentity, SpfResult, Why};
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
    for (domain, result, why) in [
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
        ("servfail.alpha.example", SpfResult::TempError, Some(Why::DnsFailed)),
        ("half.alpha.example", SpfResult::TempError, Some(Why::DnsFailed)),
    ] {
        let raw = ses(CLIENT, "mail.alpha.example", &format!("a@{domain}"), &mail("a@alpha.example"));
        let spf = world.check(&raw).await.spf;
        assert_eq!((spf.result, spf.why), (result, why), "{domain}");
        assert_eq!(spf.domain.unwrap().expose(), domain);
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
