//! The table of verdicts, policies and what becomes of the mail.

use shared::{clamav::EngineVersion, pii::Pii};

use super::*;

const RAW: Place = Place::Raw;

fn part(part: usize) -> Place {
    Place::Part { part }
}

fn member(part: usize) -> Place {
    Place::Member { part, path: Pii::new("a.doc".to_owned()) }
}

fn infected(name: &str) -> Verdict {
    Verdict::Infected { signature: name.to_owned() }
}

fn encrypted() -> Verdict {
    Verdict::Encrypted { reason: "zip".to_owned() }
}

fn report(items: &[(Place, Verdict)]) -> ScanReport {
    let items = items.iter().map(|(place, verdict)| Item { place: place.clone(), verdict: verdict.clone() });
    let engine = EngineVersion { engine: "ClamAV 1".to_owned(), database: None, built: None };
    ScanReport::new(engine, items.collect())
}

fn policy(words: &[(&str, Action)]) -> VerdictPolicy {
    let mut policy = VerdictPolicy::default();
    words.iter().for_each(|(key, action)| policy.set(key, Some(*action)));
    policy
}

fn deliver(withheld: &[usize]) -> Handling {
    Handling::Deliver { withheld: withheld.iter().copied().collect() }
}

#[test]
fn what_nobody_speaks_of_is_quarantined() {
    let unscannable = Verdict::Unscannable { reason: "x".to_owned() };
    let limits = Verdict::LimitsExceeded { reason: "x".to_owned() };
    for verdict in [infected("x"), encrypted(), limits, unscannable] {
        let item = Item { place: part(0), verdict: verdict.clone() };
        assert_eq!(Handling::of(&report(&[(part(0), verdict)]), &policy(&[])), Handling::Quarantine(item));
    }
    assert_eq!(Handling::of(&report(&[]), &policy(&[])), deliver(&[]));
    assert_eq!(Handling::of(&report(&[(part(0), Verdict::Clean)]), &policy(&[])), deliver(&[]));
}

#[test]
fn a_part_is_left_out_only_where_everything_found_is_in_parts() {
    use Action::{Deliver, DeliverWithout, Reject};
    let without = policy(&[("infected", DeliverWithout), ("encrypted", DeliverWithout)]);
    let keep = policy(&[("encrypted", Deliver), ("infected", DeliverWithout)]);
    for (items, policy, expected) in [
        (vec![(part(1), encrypted())], without, deliver(&[1])),
        (vec![(member(2), encrypted()), (part(2), encrypted())], without, deliver(&[2])),
        (vec![(RAW, encrypted()), (part(1), encrypted())], without, deliver(&[1])),
        (vec![(RAW, infected("a")), (part(1), infected("a"))], without, deliver(&[1])),
        (vec![(RAW, encrypted()), (part(1), encrypted())], keep, deliver(&[])),
        (vec![(part(0), infected("a")), (part(1), encrypted())], keep, deliver(&[0])),
    ] {
        assert_eq!(Handling::of(&report(&items), &policy), expected, "{items:?}");
    }
    for items in [
        vec![(RAW, infected("a"))],
        vec![(RAW, infected("a")), (part(1), infected("b"))],
        vec![(RAW, encrypted()), (part(1), infected("b"))],
    ] {
        let raw = Item { place: RAW, verdict: items[0].1.clone() };
        assert_eq!(Handling::of(&report(&items), &without), Handling::Quarantine(raw), "{items:?}");
    }
    let refuse = policy(&[("infected", Reject), ("encrypted", Deliver)]);
    let both = report(&[(part(0), encrypted()), (member(1), infected("a"))]);
    assert_eq!(Handling::of(&both, &refuse), Handling::Reject(Item { place: member(1), verdict: infected("a") }));
}

#[test]
fn a_report_too_long_to_be_listed_in_full_is_handled_as_in_full() {
    let quarantines = policy(&[("limits_exceeded", Action::Deliver), ("encrypted", Action::Quarantine)]);
    let limits = Verdict::LimitsExceeded { reason: "deep".to_owned() };
    let both = |i| [(member(i), limits.clone()), (member(i), encrypted())];
    for parts in [1, 60] {
        let items: Vec<_> = (0..parts).flat_map(both).collect();
        assert!(matches!(Handling::of(&report(&items), &quarantines), Handling::Quarantine(_)), "{parts}");
    }
}

#[test]
fn a_rule_speaks_before_the_tenant_and_the_tenant_before_all() {
    let policies = Policies {
        all: policy(&[("infected", Action::Reject), ("encrypted", Action::Quarantine)]),
        tenants: [("acme".to_owned(), policy(&[("encrypted", Action::DeliverWithout)]))].into(),
    };
    let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::default_tenant());
    let rule = policy(&[("encrypted", Action::Deliver)]);
    for (tenant, rule, expected) in [
        (&other, None, Action::Quarantine),
        (&acme, None, Action::DeliverWithout),
        (&acme, Some(VerdictPolicy::default()), Action::DeliverWithout),
        (&acme, Some(rule), Action::Deliver),
        (&other, Some(rule), Action::Deliver),
    ] {
        let in_force = policies.of(tenant, rule.as_slice());
        assert_eq!(in_force.action(&encrypted()), expected);
        assert_eq!(in_force.action(&infected("x")), Action::Reject);
    }
}

#[test]
fn of_several_rules_the_strictest_word_stands_and_a_silent_rule_says_what_all_say() {
    use Action::{Deliver, DeliverWithout, Quarantine, Reject};
    let policies = Policies { all: policy(&[("infected", Reject)]), ..Policies::default() };
    let tenant = TenantId::default_tenant();
    let says = |action| policy(&[("infected", action), ("encrypted", action)]);
    let silent = VerdictPolicy::default();
    for (rules, infected_is, encrypted_is) in [
        (vec![says(Deliver)], Deliver, Deliver),
        (vec![says(Deliver), says(Quarantine)], Quarantine, Quarantine),
        (vec![says(Quarantine), says(Deliver)], Quarantine, Quarantine),
        (vec![says(Deliver), says(DeliverWithout)], DeliverWithout, DeliverWithout),
        (vec![says(Deliver), silent], Reject, Quarantine),
        (vec![silent, says(Deliver), says(Deliver)], Reject, Quarantine),
    ] {
        let in_force = policies.of(&tenant, &rules);
        assert_eq!((in_force.action(&infected("x")), in_force.action(&encrypted())), (infected_is, encrypted_is));
    }
}

#[test]
fn every_word_and_every_key_is_known() {
    for (word, action) in Action::WORDS {
        assert_eq!(action.word(), word);
        assert_eq!(serde_json::to_value(action).unwrap(), word);
    }
    for key in VerdictPolicy::KEYS {
        let mut policy = VerdictPolicy::default();
        policy.set(key, Some(Action::Reject));
        assert!(!policy.is_silent(), "{key}");
        assert_eq!(serde_json::to_value(policy).unwrap(), serde_json::json!({ key: "reject" }));
    }
}
