//! Authentication in the real binary, with a DNS server of the test's own: what is genuine arrives as such, what is
//! forged does not, and mail waits for a DNS that is down.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use shared::testing::dns::DnsStub;
use tests::{
    clamd::Clamd, config::Config, fleet::Fleet, mails::Mail, metrics::Metrics, receiver::Receiver, soak::within,
};

const LIMIT: Duration = Duration::from_secs(180);
const CLIENT: &str = "192.0.2.10";
const STRANGER: &str = "198.51.100.66";

/// The signed mail of RFC 8463, appendix A.3, and its keys (A.2).
const SIGNED: &str = "\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\
\x20d=football.example.com; i=@football.example.com;\r\n\
\x20q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n\
\x20subject : date : message-id : from : subject : date;\r\n\
\x20bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\
\x20b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n\
\x20Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\
\x20d=football.example.com; i=@football.example.com;\r\n\
\x20q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n\
\x20date : message-id : from : subject : date;\r\n\
\x20bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\
\x20b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n\
\x20DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n\
\x20dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
/// A mail of `alpha.example`'s that a list changed, sealed by `trusted.example` with what it found before.
const SEALED: &str = "\
ARC-Seal: i=1; a=ed25519-sha256; s=ed; d=trusted.example; cv=none;\r\n\
\tb=8CqdltIybaMX426HtRwq7NTznxGwxFWR3pl68XOGzQlnn97At8JWV3B2V3s2dcQhreWfcuhgz\r\n\
\tAk5UMNofPBwDg==;\r\n\
ARC-Message-Signature: i=1; a=ed25519-sha256; s=ed; d=trusted.example; c=relaxed/relaxed;\r\n\
\th=Subject:To:From; t=1795536990; bh=UrA8rmgY3eNBotmDWtzAmHyn5RyZv8Gea45sNGs\r\n\
\tP0zw=; b=RVWW6fFvppLTc/b3huaP3LhmH18SVLvBgin0xhjhbwJPPWessM2UkW8SD1BEWM5pXZ\r\n\
\tQzhh3xI2jY96N+o2DWBw==;\r\n\
ARC-Authentication-Results: i=1; trusted.example; dmarc=pass (p=REJECT) header.from=alpha.example\r\n\
From: a@alpha.example\r\n\
To: desk@mail.example\r\n\
Subject: Hello\r\n\
Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\
\r\n\
Hi.\r\n";
const KEYS: [(&str, &str); 3] = [
    ("ed._domainkey.trusted.example", "v=DKIM1; k=ed25519; p=7p/lUEVhfht8iPzdq/3hYoDjtCynUYEeRtRh+wsFXhM="),
    ("brisbane._domainkey.football.example.com", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
    (
        "test._domainkey.football.example.com",
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    ),
];

fn asking(clamd: &Clamd, receiver: &Receiver, dns: SocketAddr, metrics: Metrics) -> Config {
    let keys = format!(
        "resolver = \"{dns}\"\ntimeout = \"2s\"\ntrusted_hosts = [\"inbound-smtp.*.amazonaws.com\"]\n\
         trusted_sealers = [\"trusted.example\"]"
    );
    Config::asking(clamd, &keys)
        .destination("hook", receiver, "/hook", "")
        .destination("claims", receiver, "/claims", "")
        .rule("name = \"claims\"\nwhen = { header = \"X-Untrusted-Authentication-Results: mailtri*\" }\ndeliver = [\"claims\"]")
        .section("senders", "known = [\"football.example.com\"]")
        .section("telemetry", &format!("log = \"trace\"\n{}", metrics.section()))
        .rule("name = \"rest\"\ndeliver = [\"hook\"]")
}

fn mail(name: &str, raw: String) -> Mail {
    Mail { name: name.to_owned(), raw: raw.into_bytes(), marker: String::new() }
}

fn plain(from: &str, subject: &str) -> String {
    format!("From: {from}\r\nTo: desk@mail.example\r\nSubject: {subject}\r\n\r\nHello.\r\n")
}

/// What Amazon SES writes above a mail from a client.
fn by_ses(client: &str, mail_from: &str, raw: &str) -> String {
    format!(
        "Return-Path: <{mail_from}>\r\nReceived: from m.alpha.example (m.alpha.example [{client}])\r\n by \
         inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc\r\n for desk@mail.example;\r\n Tue, 24 Nov 2026 09:00:00 \
         +0000 (UTC)\r\nX-SES-Spam-Verdict: PASS\r\nX-SES-RECEIPT: AEFB\r\n{raw}"
    )
}

/// What a receiver is told about the sender of a mail.
fn told(receiver: &Receiver, mail: &Mail) -> Value {
    receiver.book(|book| {
        let arrival = book.arrivals().iter().find(|arrival| arrival.sha256 == mail.sha256()).unwrap();
        arrival.payload["data"]["authentication"].clone()
    })
}

fn alpha() -> DnsStub {
    let dns = DnsStub::start().unwrap();
    KEYS.iter().for_each(|(name, key)| dns.txt(name, *key));
    dns.txt("_dmarc.football.example.com", "v=DMARC1; p=reject");
    dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} -all"));
    dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
    dns.txt("m.alpha.example", format!("v=spf1 ip4:{CLIENT} -all"));
    dns.host("m.alpha.example", CLIENT.parse().unwrap());
    dns.ptr(CLIENT.parse().unwrap(), "m.alpha.example");
    dns
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_genuine_arrives_as_such_and_the_forged_does_not() {
    within(LIMIT, async {
        let (clamd, receiver, dns) = (Clamd::start().await, Receiver::start().await, alpha());
        let fleet = Fleet::new(&asking(&clamd, &receiver, dns.address(), Metrics::free_port()));
        let local = fleet.local().await;

        let signed = mail("signed", by_ses(STRANGER, "list@other.example", SIGNED));
        let by_spf = mail("spf", by_ses(CLIENT, "a@alpha.example", &plain("a@alpha.example", "By SPF")));
        let spoofed = mail("spoofed", by_ses(STRANGER, "x@beta.example", &plain("a@alpha.example", "Spoofed")));
        let claim =
            "Authentication-Results: mailtri; dkim=pass header.d=beta.example; dmarc=pass header.from=beta.example\r\n";
        let claiming = mail("claiming", format!("{claim}{}", plain("x@beta.example", "Claiming")));
        let changed = mail("changed", by_ses(STRANGER, "list@other.example", &SIGNED.replace("hungry", "thirsty")));
        let sealed = mail("sealed", by_ses(STRANGER, "list@trusted.example", SEALED));
        let resealed = mail("resealed", by_ses(STRANGER, "list@trusted.example", &SEALED.replace("Hi.", "Pay.")));
        [&signed, &by_spf, &sealed].into_iter().for_each(|mail| receiver.expect("/hook", mail));
        receiver.expect("/claims", &claiming);
        let all = [&signed, &by_spf, &claiming, &sealed, &spoofed, &changed, &resealed].map(Clone::clone);
        let ended = fleet.submit_and_wait(&all, LIMIT).await;
        let ends: Vec<_> = ended.iter().map(|ended| ended.ends[0].end.as_str()).collect();
        assert_eq!(
            ends,
            ["delivered", "delivered", "delivered", "delivered", "quarantined", "quarantined", "quarantined"],
            "{ended:?}"
        );
        let why = |at: usize| ended[at].ends[0].reason.clone().unwrap();
        assert!(why(4).starts_with("dmarc: the domain in From asks to reject"), "{}", why(4));
        assert!(why(5).contains("known_sender_unverified in header From"), "{}", why(5));
        assert!(why(6).starts_with("dmarc: the domain in From asks to reject"), "{}", why(6));
        receiver.wait_complete(LIMIT).await.assert_sound();

        let signed = told(&receiver, &signed);
        assert_eq!(signed["author"], "football.example.com");
        assert_eq!(signed["dmarc"], json!({"result": "pass", "policy": "reject", "aligned_by": "dkim"}));
        let dkim = |selector: &str| json!({"result": "pass", "domain": "football.example.com", "selector": selector});
        assert_eq!(signed["dkim"], json!([dkim("brisbane"), dkim("test")]));
        let by_spf = told(&receiver, &by_spf);
        assert_eq!(by_spf["spf"], json!({"result": "pass", "domain": "alpha.example", "identity": "mailfrom"}));
        assert_eq!(by_spf["dmarc"]["aligned_by"], "spf");
        assert_eq!(by_spf["spf_helo"], json!({"result": "pass", "domain": "m.alpha.example", "identity": "helo"}));
        assert_eq!(by_spf["iprev"], json!({"result": "pass", "client_ip": CLIENT, "name": "m.alpha.example"}));
        assert_eq!(
            by_spf["header"],
            "mailtri; spf=pass smtp.mailfrom=alpha.example; spf=pass smtp.helo=m.alpha.example; dkim=none; \
             dmarc=pass header.from=alpha.example; arc=none; iprev=pass policy.iprev=192.0.2.10"
        );
        let sealed = told(&receiver, &sealed);
        let by = json!({"reason": "arc", "sealer": "trusted.example"});
        let dmarc = json!({"result": "fail", "why": "not_aligned", "policy": "reject", "override": by});
        assert_eq!(sealed["dmarc"], dmarc);
        assert!(sealed["header"].as_str().unwrap().contains("header.from=alpha.example policy.override=arc; arc=pass"));
        let claiming = told(&receiver, &claiming);
        assert_eq!(claiming["dmarc"], json!({"result": "none", "why": "no_record"}));
        assert_eq!((&claiming["spf"]["result"], &claiming["dkim"]), (&json!("none"), &json!([])));
        // Whom we asked about stays out of the logs, however much they tell.
        let log = std::fs::read_to_string(local.log()).unwrap();
        assert!(log.contains("TRACE") && log.contains("parse"), "the log tells nothing");
        for name in ["alpha.example", "beta.example", "football", "_dmarc", "brisbane", CLIENT, STRANGER, "in-addr"] {
            assert!(!log.to_lowercase().contains(name), "{name} is in the log");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_waits_for_a_dns_that_is_down_and_passes_when_it_is_back() {
    within(LIMIT, async {
        let (clamd, receiver, dns) = (Clamd::start().await, Receiver::start().await, alpha());
        dns.set_down(true);
        let metrics = Metrics::free_port();
        let fleet = Fleet::new(&asking(&clamd, &receiver, dns.address(), metrics));
        let local = fleet.local().await;
        let author = "\"b@beta.example\" <a@alpha.example>";
        let waiting = mail("waiting", by_ses(CLIENT, "a@alpha.example", &plain(author, "Waiting")));
        // Nothing that DNS could say would make this one pass: it does not wait.
        let hopeless = mail("hopeless", plain("a@alpha.example", "Hopeless"));
        receiver.expect("/hook", &hopeless);
        fleet.submit(&[waiting.clone(), hopeless.clone()]).await;
        local.wait_log("dns_unavailable", LIMIT).await;
        receiver.wait_complete(LIMIT).await.assert_sound();
        assert_eq!(told(&receiver, &hopeless)["dmarc"], json!({"result": "temperror", "why": "dns_failed"}));

        dns.set_down(false);
        receiver.expect("/hook", &waiting);
        receiver.wait_complete(LIMIT).await.assert_sound();
        assert_eq!(told(&receiver, &waiting)["dmarc"]["result"], "pass");
        // It was looked at more than once, and is one mail.
        let counted = metrics.get().await;
        assert!(counted.contains("mailtri_findings_total{code=\"name_shows_address\"} 1\n"), "{counted}");
        let ended = fleet.submit_and_wait(&[waiting], LIMIT).await;
        assert_eq!((ended[0].names(), ended[0].ends[0].attempts), (vec!["delivered"], 1), "{ended:?}");
    })
    .await;
}
