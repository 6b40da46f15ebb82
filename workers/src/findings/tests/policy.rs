//! What the policy makes of findings.

use crate::{
    findings::{Action, Policy},
    mail::model::{Finding, FindingCode, Severity},
    names::TenantName,
};

fn finding(code: FindingCode, severity: Severity) -> Finding {
    Finding { code, severity, place: "part 1".to_owned() }
}

fn policy() -> Policy {
    let tenant = TenantName::parse("acme").unwrap();
    Policy {
        all: [
            (FindingCode::BoundaryDamaged, Action::Accept),
            (FindingCode::LineTooLong, Action::Reject),
            (FindingCode::DateMissing, Action::Tag),
        ]
        .into(),
        tenants: [(tenant, [(FindingCode::LineTooLong, Action::Tag)].into())].into(),
    }
}

#[test]
fn the_tenants_word_goes_before_everybodys_and_that_before_the_default() {
    let policy = policy();
    let line = finding(FindingCode::LineTooLong, Severity::Warning);
    assert_eq!(policy.action("default", &line), Action::Reject);
    assert_eq!(policy.action("acme", &line), Action::Tag);
    assert_eq!(policy.action("acme", &finding(FindingCode::DateMissing, Severity::Info)), Action::Tag);
    let nul = finding(FindingCode::NulInBody, Severity::Warning);
    assert_eq!(policy.action("acme", &nul), FindingCode::NulInBody.default_action());
}

#[test]
fn nothing_lets_through_what_is_read_in_two_ways() {
    for &code in FindingCode::ALL {
        for all in Action::ALL {
            let policy = Policy { all: [(code, all)].into(), ..Policy::default() };
            let action = policy.action("default", &finding(code, Severity::Ambiguous));
            assert_eq!(action, all.max(Action::Quarantine), "{}", code.name());
        }
    }
}

#[test]
fn the_strictest_decides_the_worst_of_its_kind_is_named_and_the_rest_are_tags() {
    let found = [
        finding(FindingCode::ActiveContentRemoved, Severity::Info),
        finding(FindingCode::NulInBody, Severity::Warning),
        finding(FindingCode::FromMissing, Severity::Warning),
        finding(FindingCode::BoundaryDamaged, Severity::Ambiguous),
        finding(FindingCode::EncodingConflict, Severity::Ambiguous),
        finding(FindingCode::NulInBody, Severity::Warning),
    ];
    let judged = Policy::default().judge("default", &found);
    assert_eq!((judged.action, judged.because.as_ref()), (Action::Quarantine, Some(&found[3])));
    use FindingCode as Code;
    let tags = [Code::FromMissing, Code::BoundaryDamaged, Code::NulInBody, Code::EncodingConflict];
    assert_eq!(judged.tags, tags);
    let nothing = Policy::default().judge("default", &[]);
    assert_eq!((nothing.action, nothing.because, nothing.tags), (Action::Accept, None, vec![]));
}
