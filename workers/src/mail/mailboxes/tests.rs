//! The addresses that are read of every form that RFC 5322 knows, and of what nobody should take for one.

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::*;

fn read(value: &str) -> Vec<(Option<String>, Option<String>)> {
    let raw = format!("From: {value}\r\n\r\nx");
    let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
    let header = message.headers().get("From").unwrap();
    of(&header).list.into_iter().map(|one| (one.name.map(Cow::into_owned), one.address.map(Cow::into_owned))).collect()
}

fn addresses(value: &str) -> Vec<String> {
    read(value).into_iter().filter_map(|(_, address)| address).collect()
}

#[test]
fn every_form_of_the_grammar_gives_the_address_that_it_means() {
    for (value, expected) in [
        (r#""john doe"@x.example"#, vec![r#""john doe"@x.example"#]),
        (r#"<"john doe"@x.example>"#, vec![r#""john doe"@x.example"#]),
        (r#""john"@x.example"#, vec!["john@x.example"]),
        (r#""a\"b"@x.example"#, vec![r#""a\"b"@x.example"#]),
        (r#"J <"a\"b"@x.example>"#, vec![r#""a\"b"@x.example"#]),
        (r#""a>b"@x.example"#, vec![r#""a>b"@x.example"#]),
        (r#"<"a>b,c;d:e"@x.example>"#, vec![r#""a>b,c;d:e"@x.example"#]),
        ("\"a\r\n b\"@x.example", vec![r#""a b"@x.example"#]),
        ("john (c) @ x.example", vec!["john@x.example"]),
        ("(a (b) \\) c) john@x.example (Ann)", vec!["john@x.example"]),
        ("<john(@trusted.example)@evil.example>", vec!["john@evil.example"]),
        ("john(@trusted.example)@evil.example", vec!["john@evil.example"]),
        ("<@a.example,@b.example:c@d.example>", vec!["c@d.example"]),
        ("Ann <,@a.example , : c@d.example>", vec!["c@d.example"]),
        (r#""a" . "b c"@x.example"#, vec![r#""a.b c"@x.example"#]),
        ("john. doe@x.example", vec!["john.doe@x.example"]),
        ("john@x . example", vec!["john@x.example"]),
        (
            r#"Team: "a b"@x.example, Cy <c@d.example>;, e@f.example"#,
            vec![r#""a b"@x.example"#, "c@d.example", "e@f.example"],
        ),
        ("nobody:;", vec![]),
        (",, a@x.example,, \"b c\"@x.example,", vec!["a@x.example", "\"b c\"@x.example"]),
        ("j\u{f6}rg@b\u{fc}cher.example", vec!["j\u{f6}rg@b\u{fc}cher.example"]),
        ("\"j\u{f6}rg x\"@b\u{fc}cher.example", vec!["\"j\u{f6}rg x\"@b\u{fc}cher.example"]),
        ("x <\u{5f20}\u{4e09}@\u{4f8b}\u{5b50}.example>", vec!["\u{5f20}\u{4e09}@\u{4f8b}\u{5b50}.example"]),
        ("x@xn--bcher-kva.example", vec!["x@xn--bcher-kva.example"]),
        ("\"u v\"@[192.0.2.1]", vec!["\"u v\"@[192.0.2.1]"]),
        ("\"a@trusted.example\"@evil.example", vec!["\"a@trusted.example\"@evil.example"]),
        ("<\"a@trusted.example\"@evil.example>", vec!["\"a@trusted.example\"@evil.example"]),
        ("\"Ann <a@trusted.example>\" <b@evil.example>", vec!["b@evil.example"]),
    ] {
        assert_eq!(addresses(value), expected, "{value}");
    }
}

#[test]
fn names_are_those_before_the_address_and_are_decoded() {
    for (value, name) in [
        ("\"john doe\"@x.example", None),
        ("\"Doe, J.\" <\"john doe\"@x.example>", Some("Doe, J.")),
        ("=?utf-8?q?J=C3=B6rg?= M. <\"a\\\"b\"@x.example>", Some("J\u{f6}rg M.")),
        ("<\"a\\\"b\"@x.example>", None),
    ] {
        assert_eq!(read(value)[0].0.as_deref(), name, "{value}");
    }
}

#[test]
fn what_readers_could_disagree_about_is_no_address() {
    for value in [
        "a@trusted.example@evil.example",
        "<a@trusted.example> <b@evil.example>",
        "=?utf-8?q?ceo=40trusted.example?=",
        "<=?utf-8?q?ceo=40trusted.example?=>",
        "=?utf-8?q?ceo?=@evil.example(",
        "user@[x@trusted.example]",
        "\"a@x.example",
        "(a@x.example",
        "a\\@trusted.example@x.example",
        "\"\"@x.example",
        "<\"a\" b@x.example>",
        "a b@x.example",
        "a@\"x.example\"",
    ] {
        let raw = format!("From: {value}\r\n\r\nx");
        let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
        let written = of(&message.headers().get("From").unwrap()).list;
        assert!(written.iter().all(|one| one.address().is_none()), "{value}: {:?}", read(value));
    }
}

#[test]
fn a_flood_of_any_form_is_bounded() {
    for piece in [
        "<a(c)@b.example>,",
        "\"a b\"@b.example,",
        "a@b.example,",
        "g:a@b.example;",
        "<@a,@b:",
        "((((",
        "[",
        "\"\\",
        "a.",
        ",",
        "=?utf-8?q?a?=@b.example,",
    ] {
        let raw = format!("From: {}\r\n\r\nx", piece.repeat((200 << 10) / piece.len()));
        let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
        assert!(of(&message.headers().get("From").unwrap()).list.len() <= MAX_MAILBOXES, "{piece}");
    }
}

proptest! {
    /// Whatever was quoted, escaped, commented and routed: the domain is the one that was put there.
    #[test]
    fn the_domain_is_the_one_that_follows_the_local_part(
        local in "[a-zA-Z0-9@<>(),;:.\\[\\]\u{e4}\u{4e2d} ]{1,20}",
        comment in "[a-z@<>. ]{0,10}",
        form in 0usize..5,
    ) {
        let quoted = format!("\"{local}\"");
        let value = match form {
            0 => format!("{quoted}@evil.example"),
            1 => format!("<{quoted}@evil.example>"),
            2 => format!("({comment}) {quoted} ({comment}) @evil.example ({comment})"),
            3 => format!("Name <@a.example,@b.example:{quoted}@evil.example>"),
            _ => format!("Group: {quoted}@evil.example;"),
        };
        let found = addresses(&value);
        prop_assert_eq!(found.len(), 1, "{} {:?}", value, found);
        let address = AddrSpec::parse(&found[0]).unwrap();
        prop_assert_eq!((address.local(), address.domain()), (local.as_str(), "evil.example"));
    }

    /// Where the grammar reads a field, what is commonly read of it is the same, but for what only the grammar knows.
    #[test]
    fn the_common_reading_agrees_with_the_grammar(value in "[ab@.<>(),;: \"]{0,24}") {
        let raw = format!("From: {value}\r\n\r\nx");
        let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
        let Some(header) = message.headers().get("From") else { return Ok(()) };
        let read = of(&header).list;
        if let Some(entries) = address_list::read(&value)
            && read.iter().all(|one| one.address().is_some())
        {
            let strict: Vec<String> = entries.iter().map(|entry| entry.address.to_string()).collect();
            let common: Vec<String> = read.iter().filter_map(|one| one.address().map(str::to_owned)).collect();
            prop_assert_eq!(common, strict, "{}", value);
        }
    }
}
