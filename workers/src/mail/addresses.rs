//! The address fields: whether what stands in them are addresses, and whether everybody reads the same author.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::addr_spec::AddrSpec;
use super::address_fields::{AddressField, AddressFields};
use super::findings::Findings;
use super::mailboxes::Written;
use super::model::{FindingCode, Severity};
use super::scripts::is_mixed;
use crate::auth::domain::Domain;

/// Notes what is wrong with the address fields.
pub(super) fn check(fields: &AddressFields<'_>, findings: &mut Findings) {
    check_from(fields, findings);
    for field in fields.all() {
        let place = format!("header {}", field.name);
        if field.boxes.has_more {
            findings.add(FindingCode::HeadersExceeded, Severity::Warning, &place);
        }
        if !is_readable(field) {
            findings.add(FindingCode::AddressUnreadable, Severity::Warning, &place);
        }
        if field.is_sender && field.boxes.list.iter().filter_map(|one| domain(one.address()?)).any(is_mixed_domain) {
            findings.add(FindingCode::MixedScriptDomain, Severity::Warning, &place);
        }
    }
}

/// Whether every mailbox of a field has an address. A field of recipients may be empty, or a group of nobody.
fn is_readable(field: &AddressField<'_>) -> bool {
    let (header, boxes) = (field.header, &field.boxes.list);
    let has_group = header.value().as_address().is_some_and(|list| list.has_groups());
    let may_be_empty = !field.is_sender && (has_group || header.raw_value().trim_ascii().is_empty());
    if boxes.is_empty() { may_be_empty } else { boxes.iter().all(|one| one.address().is_some()) }
}

fn check_from(fields: &AddressFields<'_>, findings: &mut Findings) {
    const PLACE: &str = "header From";
    let authors: Vec<&Written<'_>> = fields.named("From").flat_map(|field| &field.boxes.list).collect();
    let addresses: Vec<&str> = authors.iter().filter_map(|author| author.address()).collect();
    let brackets: usize = fields.named("From").map(|field| open_brackets(field.header.raw_value())).sum();
    if brackets > authors.len().max(1) {
        findings.add(FindingCode::AddressUnreadable, Severity::Ambiguous, PLACE);
    }
    let Some(first) = addresses.first() else {
        return findings.add(FindingCode::FromMissing, Severity::Warning, PLACE);
    };
    if authors.len() > 1 {
        let are_known = addresses.len() == authors.len() && !fields.named("From").any(|field| field.boxes.has_more);
        let same = are_known && addresses.iter().all(|other| domain(other) == domain(first));
        findings.add(FindingCode::FromMultiple, if same { Severity::Warning } else { Severity::Ambiguous }, PLACE);
    }
    if fields.named("From").any(|field| field.is_unquoted) {
        findings.add(FindingCode::NameUnquoted, Severity::Warning, PLACE);
    }
    if authors.iter().any(|author| shows_other(author).unwrap_or(false)) {
        findings.add(FindingCode::NameShowsAddress, Severity::Warning, PLACE);
    }
}

/// Whether the display name, or a quoted local part, holds an address that belongs to another organisation than the
/// mailbox.
fn shows_other(mailbox: &Written<'_>) -> Option<bool> {
    let address = AddrSpec::parse(mailbox.address()?)?;
    let own = Domain::parse(address.domain())?;
    Some([mailbox.name.as_deref(), Some(address.local())].into_iter().flatten().any(|text| holds_other(text, &own)))
}

fn holds_other(name: &str, own: &Domain) -> bool {
    // Full-width and similar forms of "@" read as one.
    let name: Cow<'_, str> = if name.is_ascii() { name.into() } else { name.nfkc().collect::<String>().into() };
    let mut words = name.split(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c));
    words.any(|word| {
        let shown = Domain::of_address(word.trim_matches('.'));
        shown.is_some_and(|shown| !shown.is_aligned_with(own))
    })
}

fn domain(address: &str) -> Option<String> {
    address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase())
}

/// Whether a label of the domain, as it is shown, mixes scripts.
fn is_mixed_domain(domain: String) -> bool {
    let (shown, _) = idna::domain_to_unicode(&domain);
    shown.split('.').any(is_mixed)
}

/// How many `<` stand outside quoted strings and comments: each opens an address to some reader.
fn open_brackets(value: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut depth, mut count) = (false, false, 0_usize, 0);
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b'<' if !quoted && depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::mail::{addr_spec::MAX_ADDRESS, fields::MAX_MAILBOXES};

    fn found(fields: &str) -> Vec<(FindingCode, Severity)> {
        let raw = format!("{}\r\n\r\nx", fields.replace('\n', "\r\n"));
        let message = MessageParser::new().parse(raw.as_bytes()).unwrap();
        let mut findings = Findings::default();
        check(&AddressFields::read(&message.headers()), &mut findings);
        findings.into_vec().into_iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn authors_that_everybody_reads_alike_are_told_from_the_others() {
        use FindingCode::{
            AddressUnreadable, FromMissing, FromMultiple, MixedScriptDomain, NameShowsAddress, NameUnquoted,
        };
        use Severity::{Ambiguous, Warning};
        for (from, expected) in [
            ("Ann <ann@a.example>", vec![]),
            ("ann@a.example", vec![]),
            ("\"Ann <x>\" (<y>) <ann@a.example>", vec![]),
            ("\"Smith, John\" <j@a.example>", vec![]),
            ("Team: a@a.example;", vec![]),
            ("\"ann@a.example\" <ann@mail.a.example>", vec![]),
            ("ann@a.example <ann@a.example>", vec![]),
            ("=?utf-8?q?J=C3=B6rg?= <joerg@b\u{fc}cher.example>", vec![]),
            ("user@[192.0.2.1]", vec![]),
            ("", vec![(FromMissing, Warning), (AddressUnreadable, Warning)]),
            ("Ann", vec![(FromMissing, Warning), (AddressUnreadable, Warning)]),
            ("<>", vec![(FromMissing, Warning), (AddressUnreadable, Warning)]),
            ("a@a.example, b@a.example", vec![(FromMultiple, Warning)]),
            ("a@a.example, b@b.example", vec![(FromMultiple, Ambiguous)]),
            ("\"ceo@bank.example\" <x@evil.test>", vec![(NameShowsAddress, Warning)]),
            ("ceo\u{ff20}bank.example <x@evil.test>", vec![(NameShowsAddress, Warning)]),
            ("Smith, John <j@a.example>", vec![(NameUnquoted, Warning)]),
            ("Smith, John, Jr. <j@a.example>", vec![(NameUnquoted, Warning)]),
            ("Smith; John <j@a.example>", vec![(NameUnquoted, Warning)]),
            ("=?utf-8?q?M=C3=BCller?=, J <j@a.example>", vec![(NameUnquoted, Warning)]),
            ("j@a.example, Smith", vec![(NameUnquoted, Warning)]),
            ("Bank, \"ceo@bank.example\" <x@evil.test>", vec![(NameUnquoted, Warning), (NameShowsAddress, Warning)]),
            // To some reader these name somebody else.
            ("ceo@bank..example, John <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("ceo\u{ff20}bank.example, J <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("=?utf-8?q?ceo=40bank?=, J <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("Smith (c@b.example), J <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("Smith <>, J <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("Bank: Smith;, J <j@a.example>", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("Smith, a@a.example, b@b.example", vec![(FromMultiple, Ambiguous), (AddressUnreadable, Warning)]),
            ("x@p\u{430}ypal.example", vec![(MixedScriptDomain, Warning)]),
            ("x@xn--pypal-4ve.example", vec![(MixedScriptDomain, Warning)]),
        ] {
            assert_eq!(found(&format!("From: {from}")), expected, "{from}");
        }
        let long = format!("From: {}@evil.example", "a".repeat(MAX_ADDRESS));
        assert_eq!(found(&long), vec![(FromMissing, Warning), (AddressUnreadable, Warning)]);
        let two = found("From: <a@a.example><b@b.example>");
        assert!(two.iter().any(|(_, severity)| *severity == Ambiguous), "{two:?}");
    }

    #[test]
    fn authors_beyond_the_most_that_are_read_are_of_any_domain() {
        use FindingCode::{FromMultiple, HeadersExceeded};
        use Severity::{Ambiguous, Warning};
        for (one, last) in
            [("x@evil.example", "ceo@trusted.example"), ("\"x y\"@evil.example", "\"x y\"@trusted.example")]
        {
            let many = format!("{one},").repeat(MAX_MAILBOXES - 1);
            assert_eq!(found(&format!("From: {many}{one}")), vec![(FromMultiple, Warning)]);
            let more = vec![(FromMultiple, Ambiguous), (HeadersExceeded, Warning)];
            assert_eq!(found(&format!("From: {many}{one},{last}")), more, "{one}");
        }
    }

    #[test]
    fn recipients_are_addresses_groups_or_nobody() {
        use FindingCode::AddressUnreadable;
        for (to, readable) in [
            ("a@b.example, \"C, D\" <c@d.example>", true),
            ("undisclosed-recipients:;", true),
            ("", true),
            ("\"quoted local\"@b.example", true),
            ("undisclosed recipients", false),
            ("a@b.example, nobody", false),
            ("a b@c.example", false),
            ("a@-", true),
            ("a@b..example", false),
        ] {
            let found = found(&format!("From: a@b.example\nTo: {to}"));
            assert_eq!(found.iter().all(|(code, _)| *code != AddressUnreadable), readable, "{to}: {found:?}");
        }
    }
}
