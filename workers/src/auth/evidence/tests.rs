//! Reading hostile header fields.

use proptest::prelude::*;

use super::*;

#[test]
fn comments_and_quotations_are_left_out() {
    for (text, expected) in [
        ("a (b) c", Some("a   c")),
        ("a (b (c) d) e", Some("a   e")),
        ("\"a@b\" <c@d>", Some("   <c@d>")),
        ("(\\)) x", Some("  x")),
        ("\"\\\"\" x", Some("   x")),
        ("(a", None),
        ("a)", None),
        ("\"a", None),
    ] {
        assert_eq!(
            bare(text).as_deref().map(|out| out.replace("  ", " ")),
            expected.map(|e| e.replace("  ", " ")),
            "{text}"
        );
    }
}

#[test]
fn a_path_is_read_only_where_it_is_one() {
    let path = |text: &str| received::path(text.as_bytes());
    assert_eq!(path("<a@b.example>\r\n").as_deref(), Some("a@b.example"));
    assert_eq!(path("<>").as_deref(), Some(""));
    for text in ["a@b.example", "<a@b.example", "<a>b>", "<<a>>", &format!("<{}>", "a".repeat(321))] {
        assert_eq!(path(text), None, "{text}");
    }
}

#[test]
fn an_address_is_of_either_kind() {
    for (text, ip) in [
        ("192.0.2.1", "192.0.2.1"),
        ("IPv6:2001:db8::1", "2001:db8::1"),
        ("ipv6:2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(address(text), Some(ip.parse().unwrap()));
    }
    assert!(address("192.0.2.256").is_none() && address("é").is_none());
}

#[test]
fn only_names_of_amazon_are_ses() {
    for (host, is_ses) in [
        ("inbound-smtp.eu-west-1.amazonaws.com", true),
        ("Inbound-SMTP.us-east-1.amazonaws.com", true),
        ("inbound-smtp.cn-north-1.amazonaws.com.cn", true),
        ("inbound-smtp.eu-west-1.amazonaws.com.beta.example", false),
        ("mail.inbound-smtp.eu-west-1.amazonaws.com", false),
    ] {
        assert_eq!(received::is_ses(host), is_ses, "{host}");
    }
}

fn evidence(raw: &str, trust: &Trust) -> Option<Evidence> {
    let message = mail_parser::MessageParser::new()
        .header(mail_parser::HeaderName::Received, mail_parser::HeaderForm::Raw)
        .parse(raw)?;
    Some(Evidence::collect(&message.headers(), trust))
}

#[test]
fn an_author_is_one_that_every_reader_sees() {
    let far = format!("x@beta.example{}<a@alpha.example>", " ".repeat(9_000));
    for (from, author) in [
        ("a@alpha.example", Some("alpha.example")),
        ("Ann <a@ALPHA.example>", Some("alpha.example")),
        ("\"Ann, of Alpha\" (accounts) <a@alpha.example>", Some("alpha.example")),
        ("Ann\r\n <a@alpha.example>", Some("alpha.example")),
        ("Alpha: a@alpha.example;", Some("alpha.example")),
        ("a@bücher.example", Some("xn--bcher-kva.example")),
        ("a@alpha.example, b@alpha.example", Some("alpha.example")),
        ("CEO @ Alpha <a@alpha.example>", Some("alpha.example")),
        ("@ceo a@ <a@alpha.example>", Some("alpha.example")),
        ("Smith, John <a@alpha.example>", Some("alpha.example")),
        ("CEO x@beta.example <a@alpha.example>", None),
        ("CEO x@beta.example! <a@alpha.example>", None),
        ("CEO) <a@alpha.example>", None),
        ("a@alpha.example (", None),
        ("a@[alpha.example]", None),
        ("a@b@alpha.example", None),
        ("root@localhost", None),
        ("a@alpha.example, x@beta.example", None),
        ("alpha: a@alpha.example, b@alpha.example;", Some("alpha.example")),
        ("a@alpha.example: x@beta.example;", None),
        ("x@beta.example, alpha: a@alpha.example;", None),
        ("a@alpha.example:;", None),
        ("a@alpha.example <x@beta.example>", None),
        ("a@[192.0.2.10]", None),
        ("<>", None),
        ("", None),
        (&far, None),
        ("x@beta.example\r\nFrom: x@beta.example", None),
        ("x@beta.example\r\nfrom : a@alpha.example", None),
        ("x@beta.example\r\nFrom\x0c: a@alpha.example", None),
        ("x@beta.example\r\nFr om: a@alpha.example", None),
        ("x@beta.example\r\n\rFrom: a@alpha.example", None),
        ("x@beta.example\r\nFrom\0: a@alpha.example", None),
    ] {
        let found = evidence(&format!("From: {from}\r\nTo: b@b.example\r\n\r\nx\r\n"), &Trust::default()).unwrap();
        assert_eq!(found.author.one().map(Domain::expose), author, "{from:?}");
    }
}

#[test]
fn every_domain_that_a_reader_may_see_is_told_or_nothing_can_be() {
    let crowd: String = (0..9).map(|n| format!("x@b{n}.example, ")).collect();
    let some = |names: &[&str]| Author::Some(names.iter().map(|name| Domain::parse(name).unwrap()).collect());
    for (from, author) in [
        ("a@alpha.example <x@beta.example>", some(&["alpha.example", "beta.example"])),
        ("CEO) <a@alpha.example>", some(&["alpha.example"])),
        ("\"CEO a@alpha.example <x@beta.example>", some(&["alpha.example", "beta.example"])),
        ("(a@alpha.example <x@beta.example>", some(&["alpha.example", "beta.example"])),
        ("a@[alpha.example]", some(&["alpha.example"])),
        ("a@gamma.example@alpha.example", some(&["gamma.example", "alpha.example"])),
        ("<@beta.example:a@alpha.example>", some(&["beta.example", "alpha.example"])),
        ("a@alpha.example:;", some(&["alpha.example"])),
        ("a@alpha.example\0", some(&["alpha.example"])),
        ("x@beta.example\r\nFrom : a@alpha.example", some(&["beta.example", "alpha.example"])),
        ("root@localhost", Author::Local),
        ("root@[192.0.2.10]", Author::Local),
        ("root@[IPv6:2001:db8::1]", Author::Local),
        ("root@localhost, cron@localhost", Author::Unreadable),
        ("(root@localhost", Author::Unreadable),
        ("CEO", Author::Unreadable),
        ("", Author::Unreadable),
        (&crowd, Author::Unreadable),
    ] {
        let found = evidence(&format!("From: {from}\r\nTo: b@b.example\r\n\r\nx\r\n"), &Trust::default()).unwrap();
        assert_eq!(found.author, author, "{from:?}");
        assert!(found.is_bounded());
    }
    assert_eq!(evidence("To: b@b.example\r\n\r\nx\r\n", &Trust::default()).unwrap().author, Author::Unreadable);
}

proptest! {
    /// Whatever a header holds, what is read of it is bounded, and tells of no client that stands below a stranger's line.
    #[test]
    fn any_header_is_read_within_bounds(
        received in "[a-z \\[\\]().0-9;=\"\\\\@:<>\r\n-]{0,80}",
        from in "[ab@.<>(),;:\"\\\\ \u{0}\r\n]{0,40}",
        tags in "[a-z=;:./ 0-9]{0,60}",
    ) {
        let trust = Trust { hosts: vec!["mx.ours.example".to_owned()], authserv_ids: vec!["mx.ours.example".to_owned()] };
        let forged = "Received: from m (m [192.0.2.10]) by mx.ours.example with SMTP; date";
        let raw = format!(
            "Received: {received}\r\n{forged}\r\nFrom: {from}\r\nDKIM-Signature: {tags}\r\nARC-Seal: {tags}\r\n\r\nx\r\n"
        );
        if let Some(evidence) = evidence(&raw, &trust) {
            prop_assert!(evidence.is_bounded());
            // The parent finds again what an honest child tells of.
            prop_assert_eq!(&evidence.clone().standing_in(raw.as_bytes()), &evidence);
            let stranger = !received.contains("mx.ours.example") && !received.trim().is_empty() && !received.contains('\n');
            prop_assert!(!stranger || evidence.hop.is_none());
        }
    }
}
