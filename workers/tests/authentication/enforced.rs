//! What becomes of mail whose author asks to reject what is not his, to the end: the gate and the admission of the worker,
//! not only the results.

use crate::world::{CLIENT, Keys, STRANGER, World, mail, sign};

/// The end of a mail that is kept aside for its DMARC result.
const QUARANTINED: &str = "quarantined: dmarc";
const ADMITTED: &str = "admitted";

/// A mail for which our own server wrote a line on top.
fn line(received: &str, body: &str) -> String {
    format!("Return-Path: <x@beta.example>\r\nReceived: {received}; Tue, 24 Nov 2026 09:00:01 +0000\r\n{body}")
}

async fn world() -> (World, Keys) {
    let (world, keys) = World::with_alpha().await;
    world.dns.txt("beta.example", format!("v=spf1 ip4:{STRANGER} -all"));
    world.dns.txt("ed._domainkey.beta.example", keys.ed_record());
    (world, keys)
}

pub(crate) async fn no_client_talks_its_way_round_a_policy() {
    let (world, keys) = world().await;
    let spoofed = mail("ceo@alpha.example");
    // The sender is the author's own, so that a client of his would be an aligned pass.
    let line = |received: &str, body: &str| line(received, body).replace("x@beta.example", "a@alpha.example");
    let postfix = |helo: &str| {
        line(&format!("from {helo} (unknown [{STRANGER}]) by mx.ours.example (Postfix) with ESMTP id 1"), &spoofed)
    };
    let long = "x".repeat(9_000);
    for (what, raw) in [
        ("an honest HELO", postfix("m.beta.example")),
        ("an open bracket", postfix("x[1")),
        ("brackets with the author's client", postfix(&format!("x[{CLIENT}]"))),
        ("a literal", postfix(&format!("[{CLIENT}]"))),
        ("an open literal", postfix("[IPv6:x")),
        ("a closed bracket", postfix("x]")),
        ("two literals", postfix(&format!("[{CLIENT}][{CLIENT}]"))),
        ("an address with a space before it", postfix(&format!("x [{CLIENT}]"))),
        ("an address in a comment", postfix(&format!("x (m.alpha.example [{CLIENT}])"))),
        ("an open comment", postfix("x(")),
        ("a whole line and an open comment", postfix(&format!("x (m [{CLIENT}]) by mx.ours.example ("))),
        ("a closed comment", postfix("x)")),
        ("a server's name", postfix("x by mx.theirs.example")),
        ("a server's name and a date", postfix("x by mx.theirs.example; now")),
        ("an empty one", postfix("")),
        ("a long one", postfix(&"x".repeat(400))),
        ("one that is longer than what is read", postfix(&long)),
        (
            "Exim, no name, and a HELO like a client",
            line(
                &format!("from [{STRANGER}] (helo=x)([{CLIENT}]) by mx.ours.example with esmtp (Exim 4.98) id 1"),
                &spoofed,
            ),
        ),
        (
            "Exim, no name",
            line(&format!("from [{STRANGER}] (helo=x) by mx.ours.example with esmtp (Exim 4.98) id 1"), &spoofed),
        ),
        (
            "Exim, a bracket as HELO",
            line(&format!("from m ([{STRANGER}] helo=x[1) by mx.ours.example with esmtp (Exim 4.98)"), &spoofed),
        ),
        (
            "qmail",
            line(
                &format!(
                    "(qmail 1 invoked from network); date\r\nReceived: from unknown (HELO m) ({STRANGER})\r\n  by mx.ours.example with SMTP"
                ),
                &spoofed,
            ),
        ),
        (
            "Exchange",
            line(
                &format!("from m ({STRANGER}) by mx.ours.example (10.0.0.1) with Microsoft SMTP Server id 15"),
                &spoofed,
            ),
        ),
        (
            "a whole line, whose comment a recipient closes",
            line(
                &format!(
                    "from x (m [{CLIENT}]) by mx.ours.example ( (unknown [{STRANGER}]) by mx.ours.example (Postfix) \
                     with ESMTP id 1 for <\")\"@ours.example>"
                ),
                &spoofed,
            ),
        ),
        (
            "Exchange's words in a recipient",
            line(
                &format!(
                    "from x ({CLIENT}) (unknown [{STRANGER}]) by mx.ours.example (Postfix) with ESMTP id 1 \
                     for <\"x with Microsoft SMTP Server\"@ours.example>"
                ),
                &spoofed,
            ),
        ),
        (
            "Exim's words in a recipient",
            line(
                &format!(
                    "from [{CLIENT}] (helo=x (unknown helo=[{STRANGER}])) by mx.ours.example (Postfix) with ESMTP id 1 \
                     for <\"(Exim 4.98)\"@ours.example>"
                ),
                &spoofed,
            ),
        ),
        ("no client", line("from m by mx.ours.example with SMTP id 1", &spoofed)),
        ("no from", line("by mx.ours.example with HTTP id 1", &spoofed)),
        (
            "no MAIL FROM",
            format!("Received: from m (m [{STRANGER}]) by mx.ours.example with ESMTP id 1; date\r\n{spoofed}"),
        ),
        ("a MAIL FROM that cannot be read", postfix("m").replace("<a@alpha.example>", "<\"a>b\"@beta.example>")),
    ] {
        assert_eq!(world.end(&raw).await, QUARANTINED, "{what}");
        // What the author signed is his, however it came.
        let signed = raw.replacen(&spoofed, &sign(&spoofed, "alpha.example", &keys, "ed"), 1);
        assert_eq!(world.end(&signed).await, ADMITTED, "{what}, signed");
    }
    // Nobody trusted handed it over: a file, or a test.
    assert_eq!(world.end(&spoofed).await, ADMITTED);
    assert_eq!(world.end(&line(&format!("from m (m [{STRANGER}]) by mx.theirs.example"), &spoofed)).await, ADMITTED);
}

pub(crate) async fn no_author_is_written_round_a_policy() {
    let (world, keys) = world().await;
    let client = format!("from m (m [{STRANGER}]) by mx.ours.example with ESMTP id 1");
    for from in [
        "ceo@alpha.example",
        "CEO @ Bank <ceo@alpha.example>",
        "@ceo <ceo@alpha.example>",
        "a@ <ceo@alpha.example>",
        "CEO) <ceo@alpha.example>",
        "\"CEO <ceo@alpha.example>",
        "ceo@alpha.example (",
        "ceo@alpha.example (\\",
        "CEO x@beta.example <ceo@alpha.example>",
        "ceo@alpha.example <x@beta.example>",
        "ceo@alpha.example, x@alpha.example",
        "ceo@alpha.example, x@beta.example",
        "x@beta.example, ceo@alpha.example",
        "Board: ceo@alpha.example, cfo@alpha.example;",
        "\"the ceo\"@alpha.example",
        "ceo@[alpha.example]",
        "<@beta.example:ceo@alpha.example>",
        "ceo@alpha.example\0",
        "a@b.c@alpha.example",
        "x@beta.example\r\nFrom : ceo@alpha.example",
    ] {
        // Signed by the attacker's domain, which makes it no better.
        let raw = line(&client, &sign(&mail(from), "beta.example", &keys, "ed"));
        let end = world.end(&raw).await;
        assert!(end.starts_with("quarantined"), "{from:?}: {end}");
    }
    let far = format!("ceo@alpha.example{}(", " ".repeat(9_000));
    let crowd: String = (0..40).map(|n| format!("x@b{n}.example, ")).collect::<String>() + "ceo@alpha.example";
    for from in [far, crowd] {
        assert!(world.end(&line(&client, &mail(&from))).await.starts_with("quarantined"));
    }
}

pub(crate) async fn an_odd_way_to_write_an_author_is_no_reason_to_stop_his_mail() {
    let (world, keys) = world().await;
    let client = format!("from m (m [{STRANGER}]) by mx.ours.example with ESMTP id 1");
    for (from, aligned) in [
        ("CEO @ Bank <ceo@alpha.example>", true),
        ("@ceo <ceo@alpha.example>", true),
        ("a@ <ceo@alpha.example>", true),
        ("ceo@alpha.example <ceo@alpha.example>", true),
        ("ceo@alpha.example, cfo@alpha.example", true),
        // No policy speaks against it, and nothing is said for it.
        ("Ann :) <ceo@alpha.example>", false),
        ("ceo@alpha.example, x@none.example", false),
        ("root@localhost", false),
        ("root@[192.0.2.10]", false),
    ] {
        let raw = line(&client, &sign(&mail(from), "alpha.example", &keys, "ed"));
        assert_eq!(world.check(&raw).await.aligned_domain().is_some(), aligned, "{from}");
        let end = world.end(&raw).await;
        // Several authors of several domains are quarantined as such, whatever DMARC says.
        assert!(
            end == ADMITTED || (end.starts_with("quarantined: ambiguous") && from.contains(", x@")),
            "{from}: {end}"
        );
    }
}
