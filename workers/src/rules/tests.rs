//! Rules over tables of facts.

use super::*;

fn matcher(field: Field, pattern: &str) -> Condition {
    Condition::Is(Matcher { field, pattern: Glob::parse(pattern).unwrap() })
}

fn facts() -> Facts<'static> {
    Facts {
        senders: vec!["Ann@Mail.Example.org"],
        recipients: vec!["list@example.com", "Invoices@Example.com"],
        subject: Some("Your Invoice 7"),
        headers: vec![("X-Foo", "one"), ("x-foo", "two words"), ("List-Id", "<news.example>")],
        attachment_types: vec!["image/png", "application/pdf"],
        intent: Some("task"),
        findings: vec!["boundary_damaged".to_owned(), "date_missing".to_owned()],
        tags: vec!["boundary_damaged".to_owned()],
        verdict: "clean",
        tenant: "acme",
        authentication: None,
    }
}

#[test]
fn each_field_is_matched() {
    for (field, pattern, expected) in [
        (Field::Recipient, "invoices@*", true),
        (Field::Recipient, "other@*", false),
        (Field::Sender, "ann@*.example.org", true),
        (Field::Sender, "example.org", false),
        (Field::SenderDomain, "mail.example.org", true),
        (Field::SenderDomain, "example.org", false),
        (Field::Subject, "*invoice*", true),
        (Field::Subject, "invoice", false),
        (Field::Header("x-FOO".to_owned()), "two*", true),
        (Field::Header("x-foo".to_owned()), "three", false),
        (Field::Header("x-fo".to_owned()), "*", false),
        (Field::Verdict, "clean", true),
        (Field::Verdict, "infected", false),
        (Field::AttachmentType, "application/*", true),
        (Field::AttachmentType, "video/*", false),
        (Field::Intent, "task", true),
        (Field::Intent, "note", false),
        (Field::Tenant, "acme", true),
        (Field::Tenant, "default", false),
        (Field::Finding, "boundary_damaged", true),
        (Field::Finding, "from_missing", false),
        (Field::Tag, "boundary_damaged", true),
        (Field::Tag, "date_missing", false),
    ] {
        let key = field.key();
        assert_eq!(matcher(field, pattern).matches(&facts()), expected, "{key} {pattern}");
    }
}

#[test]
fn results_about_the_sender_are_matched() {
    use crate::auth::{Authentication, Domain, results::*};
    let mut results = Authentication::unchecked(Why::NoRecord, "mailtri");
    results.author = Domain::parse("mail.example.org");
    results.spf.result = SpfResult::SoftFail;
    (results.dmarc.result, results.dmarc.aligned_by) = (DmarcResult::Pass, Some(Mechanism::Dkim));
    let dkim = |result| Dkim { result, why: None, domain: None, selector: None };
    let matches = |results: &Authentication, field, pattern| {
        matcher(field, pattern).matches(&Facts { authentication: Some(results), ..facts() })
    };
    assert!(matches(&results, Field::Dkim, "none"));
    results.dkim = vec![dkim(DkimResult::Fail), dkim(DkimResult::Pass)];
    for (field, pattern, expected) in [
        (Field::Spf, "softfail", true),
        (Field::Spf, "pass", false),
        (Field::Dkim, "pass", true),
        (Field::Dkim, "fail", true),
        (Field::Dkim, "none", false),
        (Field::Dmarc, "pass", true),
        (Field::Arc, "none", true),
        (Field::Iprev, "none", true),
        (Field::Iprev, "pass", false),
        (Field::AuthenticatedDomain, "*.example.org", true),
        (Field::AuthenticatedDomain, "example.org", false),
    ] {
        let key = field.key();
        assert_eq!(matches(&results, field, pattern), expected, "{key} {pattern}");
    }
    results.dmarc.aligned_by = None;
    assert!(!matches(&results, Field::AuthenticatedDomain, "*"));
}

#[test]
fn a_field_without_a_value_matches_nothing() {
    let empty = Facts { verdict: "clean", tenant: "default", ..Facts::default() };
    for field in [Field::Recipient, Field::Sender, Field::SenderDomain, Field::Subject, Field::Intent, Field::Finding] {
        let key = field.key();
        assert!(!matcher(field, "*").matches(&empty), "{key}");
    }
}

#[test]
fn conditions_combine() {
    let (yes, no) = (|| matcher(Field::Tenant, "acme"), || matcher(Field::Tenant, "other"));
    for (condition, expected) in [
        (Condition::All(vec![]), true),
        (Condition::Any(vec![]), false),
        (Condition::All(vec![yes(), yes()]), true),
        (Condition::All(vec![yes(), no()]), false),
        (Condition::Any(vec![no(), yes()]), true),
        (Condition::Any(vec![no(), no()]), false),
        (Condition::All(vec![yes(), Condition::Any(vec![no(), yes()])]), true),
    ] {
        assert_eq!(condition.matches(&facts()), expected, "{condition:?}");
    }
}

fn to(names: &str) -> Vec<DestinationName> {
    names.split_whitespace().map(|name| DestinationName::parse(name).unwrap()).collect()
}

fn deliver(names: &str, stop: bool) -> Action {
    Action::Deliver { to: to(names), stop }
}

fn rule(name: &str, tenant: &str, then: Action) -> Rule {
    Rule {
        name: RuleName::parse(name).unwrap(),
        when: matcher(Field::Tenant, tenant),
        then,
        scan: VerdictPolicy::default(),
    }
}

fn decide(rules: Vec<Rule>, default: Action) -> (String, Outcome) {
    let decision = RuleSet::new(rules, default).decide(&facts());
    let names: Vec<&str> = decision.rules.iter().map(RuleName::as_str).collect();
    (names.join(" "), decision.outcome)
}

const ASIDE: Action = Action::Quarantine { reason: None };

#[test]
fn the_first_rule_that_stops_decides() {
    let rules = vec![
        rule("other", "other", deliver("x", true)),
        rule("first", "acme", deliver("a", true)),
        rule("second", "acme", deliver("b", true)),
    ];
    assert_eq!(decide(rules, ASIDE), ("first".to_owned(), Outcome::Deliver(to("a"))));
}

#[test]
fn rules_that_go_on_add_up_in_order_and_once() {
    let rules = vec![
        rule("first", "acme", deliver("b a b", false)),
        rule("other", "other", deliver("x", true)),
        rule("second", "acme", deliver("a c", false)),
    ];
    assert_eq!(decide(rules, ASIDE), ("first second".to_owned(), Outcome::Deliver(to("b a c"))));
}

#[test]
fn a_refusal_decides_alone() {
    let reason = || Some("policy".to_owned());
    let said = || "policy".to_owned();
    for (action, outcome) in [
        (Action::Quarantine { reason: reason() }, Outcome::Quarantine { reason: said() }),
        (Action::Reject { reason: reason() }, Outcome::Reject { reason: said() }),
        (Action::Drop { reason: reason() }, Outcome::Drop { reason: said() }),
        (Action::Drop { reason: None }, Outcome::Drop { reason: "rule second".to_owned() }),
    ] {
        let rules = vec![
            rule("first", "acme", deliver("a", false)),
            rule("second", "acme", action),
            rule("third", "acme", deliver("c", true)),
        ];
        assert_eq!(decide(rules, ASIDE), ("first second".to_owned(), outcome));
    }
}

#[test]
fn what_no_rule_matches_gets_the_default() {
    let none = || vec![rule("other", "other", deliver("x", true))];
    let reason = "no rule matched".to_owned();
    assert_eq!(decide(none(), ASIDE), (String::new(), Outcome::Quarantine { reason }));
    assert_eq!(decide(none(), deliver("a a b", true)), (String::new(), Outcome::Deliver(to("a b"))));
    assert_eq!(decide(vec![], deliver("a", true)), (String::new(), Outcome::Deliver(to("a"))));
}

#[test]
fn the_version_follows_every_part_of_the_rules() {
    let version = |rules: Vec<Rule>, default| RuleSet::new(rules, default).version().to_owned();
    let (a, b) = (|| rule("a", "acme", deliver("x", true)), || rule("b", "acme", deliver("x", true)));
    let first = version(vec![a(), b()], ASIDE);
    assert_eq!(first, version(vec![a(), b()], ASIDE));
    assert!(first.len() == 12 && first.chars().all(|c| c.is_ascii_hexdigit()), "{first}");
    let others = [
        version(vec![b(), a()], ASIDE),
        version(vec![a()], ASIDE),
        version(vec![a(), b()], Action::Reject { reason: None }),
        version(vec![a(), rule("b", "acme", deliver("x", false))], ASIDE),
        version(vec![a(), rule("b", "acme", deliver("y", true))], ASIDE),
        version(vec![a(), rule("b", "acm?", deliver("x", true))], ASIDE),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(*other != first && !others[..n].contains(other), "{n}");
    }
}

#[test]
fn a_decision_survives_the_envelope() {
    let decision = RuleSet::new(vec![rule("a", "acme", deliver("x y", true))], ASIDE).decide(&facts());
    let wire = serde_json::to_string(&decision).unwrap();
    assert_eq!(wire, r#"{"rules":["a"],"outcome":{"deliver":["x","y"]}}"#);
    assert_eq!(serde_json::from_str::<Decision>(&wire).unwrap(), decision);
}
