//! Addresses that show a trusted domain and are of another: whoever asks for the domain gets the true one.

use shared::pii::Pii;

use crate::{
    admission::Admission,
    jobs::SmtpEnvelope,
    limiting::{Scope, Subjects},
    mail::{
        limits::Limits,
        model::{FindingCode, ParsedMail},
        parse::parse,
    },
    rules::Facts,
    settings::Settings,
};

/// Each is of evil.example.
const SPOOFS: [&str; 12] = [
    "\"a@trusted.example\"@evil.example",
    "<\"a@trusted.example\"@evil.example>",
    "Ann <\"a@trusted.example\"@evil.example>",
    "\"a@trusted.example>\"@evil.example",
    "\"a@trusted.example\\\"\"@evil.example",
    "\"<a@trusted.example>, b\"@evil.example",
    "a.\"b@trusted.example\"@evil.example",
    "x(a@trusted.example)@evil.example",
    "(a@trusted.example) x@evil.example",
    "<@trusted.example:x@evil.example>",
    "trusted.example: \"a@trusted.example\"@evil.example;",
    "\"a@trusted.example\" . x @ evil.example",
];

fn admission(variable: (&str, &str)) -> Admission {
    let variables = std::iter::once((variable.0.to_owned(), variable.1.to_owned()));
    Admission::new(&Settings::load(None, variables).unwrap().0)
}

fn codes(admission: &Admission, envelope: SmtpEnvelope, mail: &ParsedMail) -> Vec<FindingCode> {
    let mut mail = mail.clone();
    let arrival = admission.arrive("default", envelope, None);
    let _ = (admission.rule("default", &arrival, &mut mail), admission.verify("default", &mut mail));
    mail.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_spoofed_local_part_gives_the_true_domain_everywhere() {
    let known = admission(("MAILTRI_SENDERS__KNOWN", "trusted.example"));
    let known_evil = admission(("MAILTRI_SENDERS__KNOWN", "evil.example"));
    let blocked = admission(("MAILTRI_SENDERS__BLOCKED", "evil.example"));
    for from in SPOOFS {
        let raw = format!("From: {from}\r\nTo: b@b.example\r\n\r\nx");
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        assert_eq!(mail.from.len(), 1, "{from}");
        let author = mail.evidence.as_ref().unwrap().author.one().map(|domain| domain.expose());
        assert!(matches!(author, None | Some("evil.example")), "{from}: {author:?}");
        let nobody = SmtpEnvelope::default;
        assert!(codes(&blocked, nobody(), &mail).contains(&FindingCode::BlockedSender), "{from}");
        assert!(codes(&known_evil, nobody(), &mail).contains(&FindingCode::KnownSenderUnverified), "{from}");
        assert!(!codes(&known, nobody(), &mail).contains(&FindingCode::KnownSenderUnverified), "{from}");
        let all = codes(&known, nobody(), &mail);
        assert!(!all.contains(&FindingCode::FromMissing) && !all.contains(&FindingCode::AddressUnreadable), "{from}");
        let shown = mail.from[0].address.expose().contains("@trusted.example");
        assert!(all.contains(&FindingCode::NameShowsAddress) || !shown, "{from}");
        let subjects = Subjects::of_envelope(&nobody(), "default", None).and_of_mail(&mail);
        assert_eq!(subjects.of(Scope::SenderDomain).unwrap().collect::<Vec<_>>(), ["evil.example"], "{from}");
        let envelope = nobody();
        let facts = Facts::of(&mail, &envelope, "clean", "default");
        assert!(facts.senders.iter().all(|sender| sender.ends_with("@evil.example")), "{from}");
    }
}

#[test]
fn quotation_marks_hide_nobody_from_a_list_or_a_limit() {
    let blocked = admission(("MAILTRI_SENDERS__BLOCKED", "eve@bad.example"));
    let mail = parse(b"From: a@a.example\r\n\r\nx", &Limits::default(), &[]).unwrap();
    for sender in ["eve@bad.example", "\"eve\"@bad.example", "\"\\eve\"@bad.example", "\"e\\ve+tag\"@bad.example"] {
        let envelope = SmtpEnvelope { from: Some(Pii::new(sender.to_owned())), to: vec![Pii::new(sender.to_owned())] };
        assert!(codes(&blocked, envelope.clone(), &mail).contains(&FindingCode::BlockedSender), "{sender}");
        let subjects = Subjects::of_envelope(&envelope, "default", None);
        let expected = if sender.contains("+tag") { "eve+tag@bad.example" } else { "eve@bad.example" };
        for scope in [Scope::Sender, Scope::Recipient] {
            assert_eq!(subjects.of(scope).unwrap().collect::<Vec<_>>(), [expected], "{sender}");
        }
        let arrival = blocked.arrive("default", envelope, None);
        assert_eq!(arrival.envelope.to[0].expose(), expected, "{sender}");
        let header = format!("From: {sender}\r\n\r\nx");
        let written = parse(header.as_bytes(), &Limits::default(), &[]).unwrap();
        assert!(codes(&blocked, SmtpEnvelope::default(), &written).contains(&FindingCode::BlockedSender), "{sender}");
    }
}
