//! Scanners, and what becomes of what is not clean.

use shared::ids::TenantId;

use super::*;
use crate::scanning::{Action, ScanRaw};

#[test]
fn what_becomes_of_what_is_not_clean_is_read_for_all_tenants_and_rules() {
    let given = Given::new(
        r#"
[clamav]
endpoint = ["unix:/run/a", "tcp:clamav:3310"]
max_signature_age = "off"
[tenants]
"example.org" = "acme"
[scan]
raw = "findings"
infected = "reject"
[scan.tenant.acme]
encrypted = "deliver_without"
[destination.erp]
url = "https://erp.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[[rule]]
name = "first"
when = { recipient = "desk@*" }
deliver = "erp"
stop = false
scan = { encrypted = "deliver" }
[[rule]]
name = "second"
deliver = "erp"
scan = { encrypted = "reject", unscannable = "defer" }
"#,
    );
    let (settings, _) = given.load(&[]).unwrap();
    assert_eq!((settings.clamav.endpoints.len(), settings.clamav.max_signature_age), (2, None));
    assert_eq!(settings.scan.raw, ScanRaw::Findings);
    let acme = TenantId::new("acme").unwrap();
    let action = |recipient, tenant: &TenantId, verdict: &str| {
        let facts = Facts { recipients: vec![recipient], ..Facts::default() };
        let policy = settings.scan.policies.of(tenant, &settings.rules.decide(&facts).policies);
        let detail = if verdict == "infected" { "signature" } else { "reason" };
        let named = serde_json::json!({ "verdict": verdict, detail: "x" });
        policy.action(&serde_json::from_value(named).unwrap())
    };
    for (recipient, verdict, expected) in [
        // The stricter of two rules' words.
        ("desk@a.example", "encrypted", Action::Reject),
        ("else@a.example", "encrypted", Action::Reject),
        // The first rule says nothing, which is to keep it aside.
        ("desk@a.example", "unscannable", Action::Quarantine),
        ("else@a.example", "unscannable", Action::Defer),
        ("desk@a.example", "infected", Action::Reject),
        ("desk@a.example", "limits_exceeded", Action::Quarantine),
    ] {
        assert_eq!(action(recipient, &acme, verdict), expected, "{recipient} {verdict}");
    }
    let other = settings.scan.policies.of(&TenantId::default_tenant(), &[]);
    assert_eq!((other.encrypted, other.infected), (Some(Action::Quarantine), Some(Action::Reject)));
    let without_rules = settings.scan.policies.of(&acme, &[]);
    assert_eq!(without_rules.encrypted, Some(Action::DeliverWithout));
}

#[test]
fn what_is_not_clean_and_clamds_are_checked() {
    let given = Given::new(
        r#"
[clamav]
endpoint = ["unix:/run/a", "/run/a", "clamd"]
connect_timeout = "3min"
max_signature_age = "0s"
[scan]
raw = "sometimes"
infected = "drop"
[scan.tenant.nobody]
infected = "reject"
[[rule]]
name = "a"
action = "drop"
scan = { infected = "deliver" }
"#,
    );
    assert_eq!(
        given.error(&[]),
        r#"8 errors in the configuration:
  mailtri.toml:3: clamav.endpoint = ["unix:/run/a", "/run/a", "clamd"]: an endpoint stands there twice
  mailtri.toml:3: clamav.endpoint = ["unix:/run/a", "/run/a", "clamd"]: expected "unix:/absolute/path" or "tcp:HOST:PORT", or a list of them
  mailtri.toml:4: clamav.connect_timeout = "3min": must be at most clamav.deadline
  mailtri.toml:5: clamav.max_signature_age = "0s": expected "off", or a duration with its unit, such as "7d"
  mailtri.toml:7: scan.raw = "sometimes": expected one of "always", "findings", "never"
  mailtri.toml:8: scan.infected = "drop": expected one of "quarantine", "deliver", "deliver_without", "defer", "reject"
  mailtri.toml:9: scan.tenant.nobody: no domain belongs to this tenant: see [tenants]
  mailtri.toml:14: rule[0].scan = {…}: only a rule that delivers says what becomes of what is not clean"#
    );
}
