//! Every code is raised by a mail that deserves it, and not by one that nearly does.

use shared::pii::Pii;

use super::examples::{Example, examples};
use crate::{
    admission::Admission,
    jobs::SmtpEnvelope,
    mail::{
        limits::Limits,
        model::{Finding, FindingCode, ParsedMail},
        parse::parse,
    },
    settings::Settings,
};

/// Whose lists the examples are about.
fn admission() -> Admission {
    let variables = [
        ("MAILTRI_SENDERS__KNOWN", "bank.example"),
        ("MAILTRI_SENDERS__BLOCKED", "eve@bad.example,*.spam.example"),
        ("MAILTRI_RECIPIENTS__ACCEPTED", "desk.example"),
    ];
    let variables = variables.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    Admission::new(&Settings::load(None, variables).unwrap().0)
}

/// Everything that is found of an example on its whole way in.
fn found(example: &Example) -> Vec<Finding> {
    let pii = |text: &&str| Pii::new((*text).to_owned());
    let to = example.to.iter().map(pii).collect();
    let envelope = SmtpEnvelope { from: example.from.as_ref().map(pii), to };
    let admission = admission();
    let arrival = admission.arrive("default", envelope, None);
    let mut mail: ParsedMail = parse(&example.raw, &Limits::default(), &arrival.envelope.to).unwrap();
    let _ = (admission.rule("default", &arrival, &mut mail), admission.verify("default", &mut mail));
    mail.findings
}

#[test]
fn every_code_is_raised_by_its_mail_and_not_by_the_one_that_nearly_deserves_it() {
    for &code in FindingCode::ALL {
        let (raises, near_miss) = examples(code);
        let has = |example: &Example| found(example).iter().any(|finding| finding.code == code);
        assert!(has(&raises), "{} is not raised: {:?}", code.name(), found(&raises));
        assert!(!has(&near_miss), "{} is raised by a near miss: {:?}", code.name(), found(&near_miss));
    }
}

#[test]
fn no_finding_says_anything_that_stood_in_the_mail() {
    let canary = "c4n4ry";
    for &code in FindingCode::ALL {
        let (mut raises, _) = examples(code);
        let text = String::from_utf8_lossy(&raises.raw).replace("example", canary);
        raises.raw = text.into_bytes();
        let json = serde_json::to_string(&found(&raises)).unwrap();
        assert!(!json.contains(canary), "{}: {json}", code.name());
    }
}

#[test]
fn without_an_envelope_the_header_says_who_a_mail_is_for() {
    let is_refused = |fields: &str, to: &[&'static str]| {
        let raw = format!("From: ann@a.example\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\n{fields}\r\n\r\nhello\r\n");
        let mail = Example { raw: raw.into_bytes(), from: None, to: to.to_vec() };
        found(&mail).iter().any(|finding| finding.code == FindingCode::UnknownRecipient)
    };
    for (fields, refused) in [
        ("To: Box <box@desk.example>", false),
        ("To: a@elsewhere.example\r\nCc: b@elsewhere.example, BOX@Desk.Example", false),
        ("To: undisclosed-recipients:;\r\nBcc: box@desk.example", false),
        ("To: a@elsewhere.example", true),
        ("To: box@desk.example.elsewhere.example", true),
        ("To: undisclosed-recipients:;", true),
        ("Subject: x", true),
    ] {
        assert_eq!(is_refused(fields, &[]), refused, "{fields}");
        // An envelope is believed before the header.
        assert!(!is_refused(fields, &["box@desk.example"]), "{fields}");
        assert!(is_refused(fields, &["box@elsewhere.example"]), "{fields}");
    }
}
