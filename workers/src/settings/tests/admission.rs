//! What `[findings]`, `[senders]` and `[recipients]` mean, and what is said about mistakes in them.

use super::Given;
use crate::{
    auth::domain::Domain,
    findings::Action,
    mail::model::{Finding, FindingCode, Severity},
};

#[test]
fn findings_senders_and_recipients_are_as_they_are_written() {
    let toml = "[tenants]\n\"acme.example\" = \"acme\"\n[findings]\nline_too_long = \"reject\"\n\
                [findings.tenant.acme]\nline_too_long = \"accept\"\n\
                [senders]\nknown = [\"bank.example\"]\nknown_organisations = [\"example.co.uk\"]\nblocked = [\"*.zip\", \"*@all.example\"]\n\
                [senders.tenant.acme]\nblocked = [\"eve@bad.example\"]\n[recipients]\naccepted = [\"*.example.org\", \"*@whole.example\"]\n";
    let (settings, _) = Given::new(toml).load(&[]).unwrap();
    let finding = Finding { code: FindingCode::LineTooLong, severity: Severity::Warning, place: "body".to_owned() };
    assert_eq!(settings.findings.action("default", &finding), Action::Reject);
    assert_eq!(settings.findings.action("acme", &finding), Action::Accept);
    let senders = &settings.senders;
    assert!(senders.block("acme", "a@b.zip") && senders.block("acme", "Eve@bad.example"));
    assert!(senders.block("default", "a@b.zip") && !senders.block("default", "eve@bad.example"));
    assert!(senders.block("acme", "anybody@all.example") && !senders.block("acme", "anybody@below.all.example"));
    let knows = |name: &str| senders.know("acme", &Domain::parse(name).unwrap());
    assert!(knows("bank.example") && knows("a.example.co.uk") && !knows("a.bank.example"));
    let accepts = |address: &str| settings.recipients.accept(address);
    assert!(
        accepts("a@b.example.org")
            && accepts("a@acme.example")
            && accepts("a@whole.example")
            && !accepts("a@example.org")
    );
    assert!(Given::new("").load(&[]).unwrap().0.recipients.accept("anybody@anywhere.example"));
}

#[test]
fn what_cannot_be_an_action_a_domain_or_a_tenant_is_named() {
    for (toml, said) in [
        (
            "[findings]\nnul_in_headers = \"tag\"",
            "findings.nul_in_headers = \"tag\": expected one of \"quarantine\", \"reject\"",
        ),
        ("[findings]\nline_too_long = \"drop\"", "expected one of \"accept\", \"tag\", \"quarantine\", \"reject\""),
        ("[findings]\nlines_too_long = \"tag\"", "did you mean \"line_too_long\""),
        ("[findings.tenant.nobody]\nline_too_long = \"tag\"", "findings.tenant.nobody: no tenant has this name"),
        ("[findings.tenant.default]\nlong_line = \"tag\"", "findings.tenant.default.long_line"),
        ("[findings.tenant.default]\nnul_in_headers = \"accept\"", "expected one of \"quarantine\", \"reject\""),
        ("[senders]\nknown = [\"*.co.uk\"]", "senders.known"),
        ("[senders]\nknown_organisations = [\"mail.example.org\"]", "senders.known_organisations"),
        ("[senders]\nblocked = [\"eve@\"]", "senders.blocked"),
        ("[senders]\nblocked = [\"eve*@bad.example\"]", "\"*\" is a whole local part"),
        ("[recipients]\naccepted = [\"@example.org\"]", "recipients.accepted"),
        ("[recipients]\naccepted = [\"a*@example.org\"]", "\"*\" is a whole local part"),
    ] {
        let error = Given::new(toml).error(&[]);
        assert!(error.contains(said), "{toml}: {error}");
    }
}
