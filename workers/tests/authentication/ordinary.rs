//! Ordinary mail of senders who ask to reject what is not theirs passes the gate, however they authenticate, whichever server
//! of ours took it, and however they write themselves; the same mail from a stranger does not.

use std::env;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{
    arc::seal,
    world::{CLIENT, Keys, STRANGER, World, mail, sign},
};

/// How a mail's sender is authenticated.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// SPF alone, from his own client.
    Spf,
    /// DKIM alone, from a provider's client and with a sender of the provider's.
    Dkim,
    /// Both.
    Both,
    /// A bounce, by the name in HELO.
    Bounce,
    /// A list that leaves the mail as it is, and seals it.
    ListAsIs,
    /// A list that changes the mail, writes itself as the author, and seals it.
    ListAsAuthor,
    /// A forwarder that rewrites the envelope's sender.
    Forwarded,
}

const WAYS: [Way; 7] = [Way::Spf, Way::Dkim, Way::Both, Way::Bounce, Way::ListAsIs, Way::ListAsAuthor, Way::Forwarded];
/// Each asks to reject, has SPF for `CLIENT` and a key.
const DOMAINS: [&str; 5] =
    ["alpha.example", "mail.alpha.example", "shop.co.uk", "xn--bcher-kva.example", "one-two.example"];
/// How authors write themselves; `@@` is the address.
const FROMS: [&str; 16] = [
    "@@",
    "<@@>",
    "Ann Lee <@@>",
    "\"Lee, Ann\" <@@>",
    "@@ (Ann Lee)",
    "Ann Lee (accounts) <@@>",
    "CEO @ Shop <@@>",
    "Shop @shop <@@>",
    "News @ 9:00 <@@>",
    "\"@@\" <@@>",
    "@@ <@@>",
    "\"ann@elsewhere.example via Shop\" <@@>",
    "=?utf-8?q?J=C3=B6rg?= <@@>",
    "Ann\r\n Lee\r\n <@@>",
    "Ann <@@>, Bob <b.@@>",
    "\"O'Neil \\\"Pat\\\"\" <@@>",
];
const HELOS: [&str; 7] =
    ["mx1.provider.example", "localhost", "WIN-7A", "[10.0.0.1]", "[IPv6:2001:db8::9]", "mail_1.provider.example", "x"];

/// A server's way to write its line, of the client's address, name and HELO.
type Line = fn(&str, &str) -> String;

const LINES: [(&str, Line); 8] = [
    ("Postfix", |ip, helo| {
        format!(
            "from {helo} (unknown [{ip}])\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F1A\r\n\tfor <desk@ours.example>"
        )
    }),
    ("Postfix, TLS", |ip, helo| {
        format!(
            "from {helo} (mail.provider.example [{ip}])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519)\r\n\t(No client certificate requested)\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F1A"
        )
    }),
    ("Exim", |ip, helo| {
        format!(
            "from mail.provider.example ([{ip}] helo={helo})\r\n\tby mx.ours.example with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.98)\r\n\t(envelope-from <x@y.example>)\r\n\tid 1abc"
        )
    }),
    ("Exim, no name", |ip, helo| {
        format!("from [{ip}] (helo={helo})\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1abc")
    }),
    ("sendmail", |ip, helo| {
        format!(
            "from {helo} (mail.provider.example [{ip}] (may be forged))\r\n\tby mx.ours.example (8.18.1/8.18.1) with ESMTPS id 5A (version=TLSv1.3)"
        )
    }),
    ("Exchange", |ip, helo| {
        format!(
            "from {helo} ({ip}) by mx.ours.example\r\n (10.0.0.5) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_X) id 15.2.1"
        )
    }),
    ("qmail", |ip, helo| {
        format!(
            "(qmail 814 invoked from network); 24 Nov 2026 09:00:01 -0000\r\nReceived: from unknown (HELO {helo}) ({ip})\r\n  by mx.ours.example with SMTP"
        )
    }),
    ("SES", |ip, helo| {
        format!(
            "from {helo} (mail.provider.example [{ip}])\r\n by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc\r\n for desk@ours.example"
        )
    }),
];

async fn world() -> (World, Keys) {
    let (world, keys) = (World::new().await, Keys::generate());
    for domain in DOMAINS.into_iter().chain(["list.example"]) {
        world.dns.txt(domain, format!("v=spf1 ip4:{CLIENT} -all"));
        world.dns.txt(&format!("ed._domainkey.{domain}"), keys.ed_record());
        world.dns.txt(&format!("_dmarc.{domain}"), "v=DMARC1; p=reject");
    }
    world.dns.txt("provider.example", "v=spf1 ip4:198.51.100.7 -all");
    (world, keys)
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    *from.choose(rng).unwrap()
}

/// One mail: what it is, and its bytes; `is_forged` leaves out all that authenticates it.
fn write(rng: &mut StdRng, keys: &Keys, is_forged: bool) -> (String, String) {
    let (way, domain, from) = (pick(rng, &WAYS), pick(rng, &DOMAINS), pick(rng, &FROMS));
    let ((server, line), helo) = (pick(rng, &LINES), pick(rng, &HELOS));
    let shown = if rng.random_bool(0.5) { domain.replace("xn--bcher-kva", "b\u{fc}cher") } else { domain.to_owned() };
    let plain = mail(&from.replace("@@", &format!("ann@{shown}")));
    let signed = |raw: &str| if is_forged { raw.to_owned() } else { sign(raw, domain, keys, "ed") };
    let own = if is_forged { STRANGER } else { CLIENT };
    let (ip, helo, sender, raw) = match way {
        Way::Spf => (own, helo, format!("bounce+7=desk=ours.example@{domain}"), plain),
        Way::Dkim => ("198.51.100.7", helo, "b-1@provider.example".to_owned(), signed(&plain)),
        Way::Both => (own, helo, format!("ann@{domain}"), signed(&plain)),
        Way::Bounce => (own, domain, String::new(), plain),
        Way::ListAsIs => {
            ("198.51.100.7", helo, "list-bounces@provider.example".to_owned(), seal(&signed(&plain), keys, "ed"))
        }
        Way::ListAsAuthor => {
            let listed = mail("Ann Lee via List <list@list.example>").replace("Hello", "[list] Hello");
            (own, helo, "list-bounces@list.example".to_owned(), seal(&listed, keys, "ed"))
        }
        Way::Forwarded => ("198.51.100.7", helo, format!("SRS0=x7=AB={domain}=ann@provider.example"), signed(&plain)),
    };
    let raw = format!(
        "Return-Path: <{sender}>\r\nReceived: {};\r\n Tue, 24 Nov 2026 09:00:01 +0000\r\n{raw}",
        line(ip, helo)
    );
    (format!("{way:?} by {server}, HELO {helo}, from {from} of {domain}"), raw)
}

pub(crate) async fn no_more_than_one_in_a_thousand_genuine_mails_is_stopped() {
    let count = if env::var_os("SOAK").is_some_and(|value| value == "1") { 10_000 } else { 1_000 };
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x6761_7465);
    let (world, keys) = world().await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stopped = Vec::new();
    for _ in 0..count {
        let (what, raw) = write(&mut rng, &keys, false);
        let end = world.end(&raw).await;
        if end != "admitted" {
            stopped.push(format!("{what}: {end}"));
        }
    }
    println!("SEED={seed}: of {count} genuine mails {} stopped", stopped.len());
    assert!(stopped.len() * 1_000 <= count, "{} of {count}, such as {stopped:#?}", stopped.len());
    // The same mails by a stranger, so that it is the gate that lets the others in.
    for _ in 0..count / 5 {
        let (what, raw) = write(&mut rng, &keys, true);
        assert_eq!(world.end(&raw).await, "quarantined: dmarc", "SEED={seed}: {what}");
    }
}
