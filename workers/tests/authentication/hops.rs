//! Who connected, and who says so.

use mailtri::{
    announce::Status,
    auth::results::{DkimResult, DmarcResult, SpfResult},
};

use crate::world::{CLIENT, STRANGER, World, mail, ses};

pub(crate) async fn the_client_is_the_one_that_a_trusted_server_saw() {
    let world = World::new().await;
    world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} ip6:2001:db8::1 -all"));
    let body = mail("a@alpha.example");
    let ours = |received: &str| format!("Return-Path: <a@alpha.example>\r\nReceived: {received}\r\n{body}");
    let forged = format!("Received: from m (m [{CLIENT}]) by mx.ours.example with SMTP id 1; date\r\n{body}");
    for (what, raw, result) in [
        (
            "Postfix",
            ours("from m.x (m.x [192.0.2.10])\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F; date"),
            SpfResult::Pass,
        ),
        (
            "Exim",
            ours("from m.x ([192.0.2.10] helo=m.y)\r\n\tby mx.ours.example with esmtps (TLS1.3) id 1; date"),
            SpfResult::Pass,
        ),
        (
            "sendmail",
            ours("from m.x (m.x [192.0.2.10] (may be forged)) by mx.ours.example (8.17/8) with ESMTP id 1; date"),
            SpfResult::Pass,
        ),
        (
            "a literal as HELO",
            ours("from [10.0.0.1] (m.x [192.0.2.10]) by mx.ours.example with ESMTP id 1; date"),
            SpfResult::Pass,
        ),
        (
            "Exim, a literal as HELO",
            ours("from m.x ([192.0.2.10] helo=[10.0.0.1]) by mx.ours.example with esmtp id 1; date"),
            SpfResult::Pass,
        ),
        (
            "Exim, no name",
            ours("from [192.0.2.10] (helo=m.y)\r\n\tby mx.ours.example with esmtp (Exim 4.98) id 1; date"),
            SpfResult::Pass,
        ),
        (
            "Exim, no name and a port",
            ours(
                "from [192.0.2.10] (port=99 helo=[10.0.0.1])\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date",
            ),
            SpfResult::Pass,
        ),
        (
            "Exim, its address as HELO",
            ours("from [192.0.2.10]\r\n\tby mx.ours.example with smtp (Exim 4.98)\r\n\tid 1; date"),
            SpfResult::Pass,
        ),
        (
            "an address that may be anybody's HELO",
            ours("from [192.0.2.10] by mx.ours.example with SMTP id 1; date"),
            SpfResult::None,
        ),
        (
            "an address as HELO in front of Exim's words",
            ours("from [192.0.2.10] (helo=x) by mx.ours.example with SMTP id 1; date"),
            SpfResult::None,
        ),
        (
            "Exim, a false address as HELO",
            ours("from m.x ([198.51.100.66] helo=[192.0.2.10]) by mx.ours.example with esmtp (Exim 4.98) id 1; date"),
            SpfResult::Fail,
        ),
        (
            "qmail",
            ours(
                "(qmail 71 invoked from network); date\r\nReceived: from unknown (HELO m.y) (u@192.0.2.10)\r\n  by mx.ours.example with SMTP; date",
            ),
            SpfResult::Pass,
        ),
        (
            "words like qmail's beneath another server's line",
            ours(
                "from m.x (m.x [198.51.100.66]) by mx.ours.example; date\r\nReceived: (qmail 71 invoked from network); date\r\nReceived: from unknown (192.0.2.10) by mx.ours.example with SMTP; date",
            ),
            SpfResult::Fail,
        ),
        (
            "Exchange",
            ours(
                "from m.x (192.0.2.10) by mx.ours.example (10.0.0.1) with Microsoft SMTP Server (version=TLS1_2) id 15.1; date",
            ),
            SpfResult::Pass,
        ),
        (
            "an address without brackets from a server that writes them",
            ours("from m.x (192.0.2.10) by mx.ours.example with ESMTP id 1; date"),
            SpfResult::None,
        ),
        (
            "a HELO with a bracket",
            ours("from x[1 (m.x [192.0.2.10]) by mx.ours.example (Postfix) with ESMTP id 1; date"),
            SpfResult::Pass,
        ),
        (
            "a HELO that is a line and leaves a comment open",
            ours("from x (m.x [192.0.2.10]) by mx.ours.example ( (m [198.51.100.66]) by mx.ours.example; date"),
            SpfResult::None,
        ),
        ("IPv6", ours("from m.x (m.x [IPv6:2001:db8::1]) by mx.ours.example with ESMTP id 1; date"), SpfResult::Pass),
        (
            "a stranger",
            ours("from m.x (m.x [198.51.100.66]) by mx.ours.example with ESMTP id 1; date"),
            SpfResult::Fail,
        ),
        (
            "another server",
            ours("from m.x (m.x [192.0.2.10]) by mx.theirs.example with ESMTP id 1; date"),
            SpfResult::None,
        ),
        (
            "two addresses",
            ours("from m.x (m.x [192.0.2.10] [198.51.100.66]) by mx.ours.example with ESMTP id 1; date"),
            SpfResult::None,
        ),
        (
            "two servers",
            ours("from m.x by mx.ours.example (x [192.0.2.10]) by mx.ours.example with ESMTP; date"),
            SpfResult::None,
        ),
        ("no address", ours("from m.x (m.x) by mx.ours.example with ESMTP id 1; date"), SpfResult::None),
        (
            "a server's name in the HELO",
            ours("from m.x (by mx.ours.example [192.0.2.10]) by mx.theirs.example with ESMTP; date"),
            SpfResult::None,
        ),
        ("only further down", format!("Received: from m by mx.theirs.example; date\r\n{forged}"), SpfResult::None),
        ("a forged one beneath a real one", ses(STRANGER, "m.x", "a@alpha.example", &forged), SpfResult::Fail),
        (
            "a forged run of SES beneath a real one",
            ses(STRANGER, "m.x", "a@alpha.example", &ses(CLIENT, "m.x", "a@alpha.example", &body)),
            SpfResult::Fail,
        ),
        (
            "no sender written down",
            format!("Received: from m.x (m.x [192.0.2.10]) by mx.ours.example; date\r\n{body}"),
            SpfResult::None,
        ),
        (
            "a sender below the server's line",
            format!(
                "Received: from m.x (m.x [192.0.2.10]) by mx.ours.example; date\r\nReturn-Path: <a@alpha.example>\r\n{body}"
            ),
            SpfResult::None,
        ),
    ] {
        assert_eq!(world.check(&raw).await.spf.result, result, "{what}");
    }
}

/// Ordinary lines name trusted servers more than once, but only one of them behind `by`.
pub(crate) async fn a_server_named_beside_the_one_that_wrote_the_line_hides_nobody() {
    let world = World::new().await;
    world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} -all"));
    for line in [
        "from mx.ours.example (mx.ours.example [192.0.2.10])\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F1A; date",
        "from m.x (m.x [192.0.2.10]) by mx.ours.example (Postfix) with ESMTP id 4F1A for <x@mx.ours.example>; date",
        "from m.x (m.x [192.0.2.10]) by mx.ours.example (Postfix) with ESMTP id 4F1A for <by@mx.ours.example>; date",
        "from by (m.x [192.0.2.10]) by mx.ours.example (Postfix) with ESMTP id 4F1A; date",
        "from m.x ([192.0.2.10] helo=mx.ours.example)\r\n\tby mx.ours.example with esmtps (Exim 4.98)\r\n\t(envelope-from <a@alpha.example>)\r\n\tid 1\r\n\tfor b@mx.ours.example; date",
        "from inbound-smtp.eu-west-1.amazonaws.com (m.x [192.0.2.10])\r\n by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc\r\n for b@mx.ours.example;\r\n date",
        "from mx.ours.example (192.0.2.10) by mx.ours.example (10.0.0.1) with Microsoft SMTP Server id 15.1; date",
    ] {
        let raw = format!("Return-Path: <a@alpha.example>\r\nReceived: {line}\r\n{}", mail("a@alpha.example"));
        assert_eq!(world.check(&raw).await.spf.result, SpfResult::Pass, "{line}");
    }
}

pub(crate) async fn results_of_others_are_reported_only_where_they_are_theirs() {
    let world = World::new().await;
    let body = mail("a@alpha.example");
    let by_ses = ses(CLIENT, "m.alpha.example", "a@alpha.example", &body);
    let said = |raw: String| by_ses.replace("spf=none", &raw);
    let reported = world.check(&said("spf=pass".to_owned())).await.reported.unwrap();
    assert_eq!(
        (reported.by.as_str(), reported.spf, reported.dkim),
        ("amazonses.com", Some(SpfResult::Pass), Some(DkimResult::None))
    );
    assert_eq!(
        (reported.dmarc, reported.spam, reported.virus),
        (Some(DmarcResult::None), Some(Status::Pass), Some(Status::Pass))
    );

    let claim = "Authentication-Results: amazonses.com; spf=pass; dkim=pass; dmarc=pass\r\n";
    // What the sender adds stands beneath SES's run, whose fields each stand once.
    let beneath = by_ses.replace(&body, &format!("{claim}X-SES-Spam-Verdict: PASS\r\n{body}")).replacen(
        "Verdict: PASS",
        "Verdict: FAIL",
        1,
    );
    let reported = world.check(&beneath).await.reported.unwrap();
    assert_eq!((reported.dmarc, reported.spam), (Some(DmarcResult::None), Some(Status::Fail)));
    // A run about another client than the one that connected is not SES's.
    let other = by_ses.replace("client-ip=192.0.2.10", "client-ip=192.0.2.77");
    assert_eq!(world.check(&other).await.reported, None);
    // What SES leaves out, the sender cannot add beneath.
    let fewer = by_ses
        .replace("X-SES-Spam-Verdict: PASS\r\n", "")
        .replace(&body, &format!("X-SES-Spam-Verdict: PASS\r\n{body}"));
    assert_eq!(world.check(&fewer).await.reported.unwrap().spam, None);
    let silent = by_ses.replace("Authentication-Results", "X-Other").replace("X-Other", "X-SES-Virus-Verdict");
    let silent = silent.replace(&body, &format!("{claim}{body}"));
    assert_eq!(world.check(&silent).await.reported.and_then(|reported| reported.dmarc), None);
    // Without SES's line, or without its receipt, there is no run.
    assert_eq!(world.check(&format!("{claim}X-SES-RECEIPT: A\r\n{body}")).await.reported, None);
    assert_eq!(world.check(&by_ses.replace("X-SES-RECEIPT", "X-Other")).await.reported, None);

    // Another server speaks above its own line, under a name that the configuration trusts.
    let line = "Received: from m.x (m.x [192.0.2.10]) by mx.ours.example with ESMTP id 1; date\r\n";
    let result = |id: &str| {
        format!("Authentication-Results: {id};\r\n dkim=pass (good) header.d=alpha.example;\r\n spf=softfail\r\n")
    };
    let above = world.check(&format!("{}{line}{body}", result("mx.ours.example"))).await.reported.unwrap();
    assert_eq!((above.spf, above.dkim, above.dmarc), (Some(SpfResult::SoftFail), Some(DkimResult::Pass), None));
    for raw in [
        format!("{line}{}{body}", result("mx.ours.example")),
        format!("{}{line}{body}", result("mx.theirs.example")),
        format!("{}{body}", result("mx.ours.example")),
        format!("{}{}{body}", result("mx.ours.example"), line.replace("ours", "theirs")),
    ] {
        assert_eq!(world.check(&raw).await.reported, None, "{raw}");
    }
}
