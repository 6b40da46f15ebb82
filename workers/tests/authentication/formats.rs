//! The lines of real servers: what each writes of one and the same client, with its name in HELO and without one in DNS.

use mailtri::auth::{
    Evidence,
    results::{DmarcResult, SpfIdentity, SpfResult},
};

use crate::world::{CLIENT, World, mail};

/// The client's other address.
const CLIENT_6: &str = "2001:db8::1";
const HELO: &str = "m.alpha.example";

/// A server, and its lines; where they hold no HELO, that is said.
struct Format(&'static str, &'static [&'static str]);

const FORMATS: [Format; 17] = [
    Format(
        "Postfix",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n\tby mx.ours.example (Postfix) with ESMTP id 4F1A2B\r\n\tfor <b@ours.example>; date",
            "from m.alpha.example (unknown [192.0.2.10])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(No client certificate requested)\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F1A2B\r\n\tfor <b@ours.example>; date (CET)",
            "from m.alpha.example (unknown [192.0.2.10])\r\n\t(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))\r\n\t(Client CN \"m.alpha.example\", Issuer \"R11\" (verified OK))\r\n\tby mx.ours.example (Postfix) with ESMTPS id 4F1A2B; date",
            "from m.alpha.example (mail.x.example [IPv6:2001:db8::1])\r\n\tby mx.ours.example (Postfix) with ESMTP id 4F1A2B; date",
        ],
    ),
    Format(
        "Exim",
        &[
            "from mail.x.example ([192.0.2.10] helo=m.alpha.example)\r\n\tby mx.ours.example with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.98)\r\n\t(envelope-from <a@alpha.example>)\r\n\tid 1tAbCd-000000-2A\r\n\tfor b@ours.example;\r\n\tdate",
            "from [192.0.2.10] (helo=m.alpha.example)\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1tAbCd-000000-2A; date",
            "from [192.0.2.10] (port=40112 helo=m.alpha.example)\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date",
            "from mail.x.example ([192.0.2.10]:40112 helo=m.alpha.example)\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date",
            "from [2001:db8::1] (helo=m.alpha.example)\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date",
            "from mail.x.example ([2001:db8::1] helo=m.alpha.example)\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date",
        ],
    ),
    Format(
        "Exim, whose client has the name of its HELO",
        &["from m.alpha.example ([192.0.2.10])\r\n\tby mx.ours.example with esmtp (Exim 4.98)\r\n\tid 1; date"],
    ),
    Format(
        "Sendmail",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n\tby mx.ours.example (8.17.1/8.17.1) with ESMTPS id 4AO9000123\r\n\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)\r\n\tfor <b@ours.example>; date",
            "from m.alpha.example (mail.x.example [192.0.2.10] (may be forged)) by mx.ours.example (8.17.1/8.17.1) with ESMTP id 1; date",
            "from m.alpha.example ([192.0.2.10]) by mx.ours.example (8.17.1/8.17.1) with ESMTP id 1; date",
            "from m.alpha.example (root@mail.x.example [192.0.2.10]) by mx.ours.example (8.17.1/8.17.1) with ESMTP id 1; date",
            "from m.alpha.example (mail.x.example [IPv6:2001:db8:0:0:0:0:0:1]) by mx.ours.example (8.17.1/8.17.1) with ESMTP id 1; date",
        ],
    ),
    Format(
        "Amazon SES",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc123\r\n for b@ours.example;\r\n date (UTC)",
        ],
    ),
    Format(
        "Exchange Online",
        &[
            "from m.alpha.example (192.0.2.10) by\r\n mx.ours.example (10.167.242.45) with Microsoft SMTP\r\n Server (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id\r\n 15.20.8182.16 via Frontend Transport; date",
            "from m.alpha.example (2001:db8::1) by mx.ours.example\r\n (2603:10a6:10:3cf::13) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.1; date",
        ],
    ),
    Format(
        "IIS",
        &["from m.alpha.example ([192.0.2.10]) by mx.ours.example with Microsoft SMTPSVC(10.0.14393.4169);\r\n\t date"],
    ),
    Format(
        "Gmail",
        &[
            "from m.alpha.example (mail.x.example. [192.0.2.10])\r\n        by mx.ours.example with ESMTPS id a1-20020a05640200c100b005\r\n        for <b@ours.example>\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n        date (PST)",
            "from m.alpha.example (mail.x.example. [2001:db8::1])\r\n        by mx.ours.example with ESMTPS id a1 for <b@ours.example>; date",
        ],
    ),
    Format(
        "qmail",
        &[
            "(qmail 71 invoked from network); date\r\nReceived: from unknown (HELO m.alpha.example) (192.0.2.10)\r\n  by mx.ours.example with SMTP; date",
            "(qmail 71 invoked from network); date\r\nReceived: from mail.x.example (HELO m.alpha.example) (root@192.0.2.10)\r\n  by mx.ours.example with (TLS_AES_256_GCM_SHA384 encrypted) SMTP; date",
            "(qmail 71 invoked from network); date\r\nReceived: from unknown (HELO m.alpha.example) (::ffff:192.0.2.10)\r\n  by mx.ours.example with SMTP; date",
            "(qmail 71 invoked from network); date\r\nReceived: from unknown (EHLO m.alpha.example) (2001:db8::1)\r\n  by mx.ours.example with ESMTPS; date",
        ],
    ),
    Format(
        "qmail, whose client has the name of its HELO",
        &[
            "(qmail 71 invoked from network); date\r\nReceived: from m.alpha.example (192.0.2.10)\r\n  by mx.ours.example with SMTP; date",
        ],
    ),
    Format(
        "OpenSMTPD",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n\tby mx.ours.example (OpenSMTPD) with ESMTPS id 29f7eea7 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\r\n\tfor <b@ours.example>;\r\n\tdate (CEST)",
            "from m.alpha.example (<unknown> [192.0.2.10])\r\n\tby mx.ours.example (OpenSMTPD) with ESMTP id 1; date",
            "from m.alpha.example (<unknown> [IPv6:2001:db8::1])\r\n\tby mx.ours.example (OpenSMTPD) with ESMTP id 1; date",
        ],
    ),
    Format(
        "Haraka",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n\tby mx.ours.example (Haraka/3.0.3) with ESMTPS id F27D4590-712D.1\r\n\tenvelope-from <a@alpha.example>\r\n\ttls TLS_AES_256_GCM_SHA384;\r\n\tdate",
            "from m.alpha.example (NXDOMAIN [192.0.2.10])\r\n\tby mx.ours.example (Haraka/2.8.28) with ESMTP id F27D4590-712D.1\r\n\tenvelope-from <a@alpha.example>;\r\n\tdate",
            "from m.alpha.example (Unknown [2001:db8::1])\r\n\tby mx.ours.example (Haraka/2.8.28) with ESMTP id F27D4590-712D.1; date",
        ],
    ),
    Format(
        "James",
        &[
            "from 192.0.2.10 (EHLO m.alpha.example) ([192.0.2.10])\r\n          by mx.ours.example (JAMES SMTP Server ) with ESMTPS ID 4f1a2b\r\n          for <b@ours.example>;\r\n          date (UTC)",
            "from mail.x.example (HELO m.alpha.example) ([192.0.2.10]) by mx.ours.example (JAMES SMTP Server ) with SMTP ID 1; date",
        ],
    ),
    Format(
        "Stalwart",
        &[
            "from m.alpha.example (mail.x.example [192.0.2.10])\r\n\t(using TLSv1.3 with cipher TLS13_AES_256_GCM_SHA384)\r\n\tby mx.ours.example (Stalwart SMTP) with ESMTPS id 3DE517AF3D36E02;\r\n\tdate",
            "from m.alpha.example (unknown [192.0.2.10] (AS64496 Example, Inc., US))\r\n\tby mx.ours.example (Stalwart SMTP) with ESMTP id 3DE517AF3D36E02; date",
            "from m.alpha.example (unknown [2001:db8::1])\r\n\tby mx.ours.example (Stalwart SMTP) with ESMTP id 3DE517AF3D36E02; date",
        ],
    ),
    Format(
        "Cloudflare",
        &[
            "from m.alpha.example (192.0.2.10)\r\n        by cloudflare-email.net (unknown) id UFO8pL3RM170\r\n        for <b@ours.example>; date",
            "from m.alpha.example (2001:db8::1)\r\n        by cloudflare-email.net (unknown) id UFO8pL3RM170\r\n        for <b@ours.example>; date",
        ],
    ),
    Format(
        "CommuniGate Pro",
        &[
            "from [192.0.2.10] (HELO m.alpha.example)\r\n  by mx.ours.example (CommuniGate Pro SMTP 7.1.1)\r\n  with ESMTPS id 12767503; date",
            "from [2001:db8::1] (HELO m.alpha.example)\r\n  by mx.ours.example (CommuniGate Pro SMTP 7.1.1)\r\n  with ESMTP id 12767503 for b@ours.example; date",
        ],
    ),
    Format(
        "Courier",
        &[
            "from m.alpha.example (mail.x.example [::ffff:192.0.2.10])\r\n  (TLS: TLSv1.3,256bits,ECDHE-RSA-AES256-GCM-SHA384)\r\n  by mx.ours.example with ESMTPS; date",
        ],
    ),
];

pub(crate) async fn the_lines_of_the_common_servers_are_read() {
    let world = World::new().await;
    world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} ip6:{CLIENT_6} -all"));
    world.dns.txt(HELO, format!("v=spf1 ip4:{CLIENT} ip6:{CLIENT_6} -all"));
    world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
    let body = mail("a@alpha.example");
    for Format(server, lines) in &FORMATS {
        for line in *lines {
            let raw = |sender: &str| format!("Return-Path: <{sender}>\r\nReceived: {line}\r\n{body}");
            let results = world.check(&raw("a@alpha.example")).await;
            assert_eq!(results.spf.result, SpfResult::Pass, "{server}: {line}");
            assert_eq!(results.dmarc.result, DmarcResult::Pass, "{server}: {line}");
            let Evidence { hop, .. } = world.evidence(&raw("a@alpha.example")).await;
            let client = hop.unwrap().client.unwrap();
            assert_eq!(client.helo.expose(), HELO, "{server}: {line}");
            // A bounce is asked about by its HELO.
            let bounce = world.check(&raw("")).await.spf;
            assert_eq!(
                (bounce.result, bounce.identity),
                (SpfResult::Pass, Some(SpfIdentity::Helo)),
                "{server}: {line}"
            );
        }
    }
}

/// A HELO in the form of an address is nowhere the client, whoever writes it down.
pub(crate) async fn a_literal_as_helo_is_no_client_in_any_format() {
    let world = World::new().await;
    world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} ip6:{CLIENT_6} -all"));
    for Format(server, lines) in &FORMATS {
        for line in *lines {
            let theirs = line.replace(CLIENT, "198.51.100.66").replace(CLIENT_6, "2001:db8::66");
            let theirs = theirs.replace("2001:db8:0:0:0:0:0:1]", "2001:db8::66]");
            for helo in ["[192.0.2.10]", "[IPv6:2001:db8::1]", "192.0.2.10", "(192.0.2.10)", "x(a[192.0.2.10])"] {
                let line = theirs.replace(HELO, helo);
                let raw = format!("Return-Path: <a@alpha.example>\r\nReceived: {line}\r\n{}", mail("a@alpha.example"));
                assert_ne!(world.check(&raw).await.spf.result, SpfResult::Pass, "{server}: {line}");
            }
        }
    }
}
