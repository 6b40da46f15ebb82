//! What rules can see of a mail.

use crate::{
    auth::Authentication,
    jobs::SmtpEnvelope,
    mail::model::{Mailbox, ParsedMail, PartRole},
};

/// The verdicts that a rule can ask for. A mail without one has not come to the rules.
pub const VERDICTS: [&str; 5] = ["clean", "infected", "encrypted", "limits_exceeded", "unscannable"];

/// How rules see the null reverse-path of a bounce (RFC 5321 §4.5.5).
const NULL_SENDER: &str = "<>";

/// One mail's facts. They hold personal data, so they cannot be printed.
#[derive(Clone, Default)]
pub struct Facts<'a> {
    /// The envelope's sender where it is known, else the addresses of `From`.
    pub senders: Vec<&'a str>,
    /// The envelope's recipients where they are known, else those of `To`, `Cc` and `Bcc`.
    pub recipients: Vec<&'a str>,
    /// The subject.
    pub subject: Option<&'a str>,
    /// Names and values of the header fields.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Content types of the attachments.
    pub attachment_types: Vec<&'a str>,
    /// The command in the mail.
    pub intent: Option<&'a str>,
    /// Codes of the findings.
    pub findings: Vec<String>,
    /// Codes of the findings that the policy has for worth telling.
    pub tags: Vec<String>,
    /// What the scan said: one of [`VERDICTS`].
    pub verdict: &'a str,
    /// Whose mail it is.
    pub tenant: &'a str,
    /// Who the sender is.
    pub authentication: Option<&'a Authentication>,
}

impl<'a> Facts<'a> {
    /// The facts of a parsed and scanned mail.
    pub fn of(mail: &'a ParsedMail, envelope: &'a SmtpEnvelope, verdict: &'a str, tenant: &'a str) -> Self {
        let attachments = mail.parts.iter().filter(|part| part.role == PartRole::Attachment);
        Self {
            senders: match envelope.from.as_ref().map(|from| from.expose().as_str()) {
                Some("") => vec![NULL_SENDER],
                Some(sender) => vec![sender],
                None => addresses(&mail.from).collect(),
            },
            recipients: if envelope.to.is_empty() {
                [&mail.to, &mail.cc, &mail.bcc].into_iter().flat_map(|list| addresses(list)).collect()
            } else {
                envelope.to.iter().map(|recipient| recipient.expose().as_str()).collect()
            },
            subject: mail.subject.as_ref().map(|subject| subject.expose().as_str()),
            headers: mail.headers.iter().map(|field| (field.name.as_str(), field.value.expose().as_str())).collect(),
            attachment_types: attachments.map(|part| part.content_type.as_str()).collect(),
            intent: mail.intent.as_ref().map(|intent| intent.command.as_str()),
            findings: mail.findings.iter().map(|finding| finding.code.name()).collect(),
            tags: mail.tags.iter().map(|code| code.name()).collect(),
            verdict,
            tenant,
            authentication: mail.authentication.as_deref(),
        }
    }
}

fn addresses(mailboxes: &[Mailbox]) -> impl Iterator<Item = &str> {
    mailboxes.iter().map(|mailbox| mailbox.address.expose().as_str())
}

#[cfg(test)]
mod tests {
    use shared::pii::Pii;

    use super::*;
    use crate::mail::{model::Digest, sanitise::Removed};

    fn mailboxes(addresses: &[&str]) -> Vec<Mailbox> {
        addresses.iter().map(|address| Mailbox { name: None, address: Pii::new((*address).to_owned()) }).collect()
    }

    fn mail() -> ParsedMail {
        ParsedMail {
            raw: Digest { len: 0, sha256: [0; 32] },
            message_id: None,
            date: None,
            from: mailboxes(&["from@a.example"]),
            sender: mailboxes(&["sender@a.example"]),
            reply_to: vec![],
            to: mailboxes(&["to@b.example"]),
            cc: mailboxes(&["cc@b.example"]),
            bcc: mailboxes(&["bcc@b.example"]),
            subject: Some(Pii::new("Hello".to_owned())),
            headers: vec![],
            text: None,
            reply: None,
            html: None,
            html_removed: Removed::default(),
            parts: vec![],
            structure: vec![],
            findings: vec![],
            tags: vec![],
            intent: None,
            evidence: None,
            authentication: None,
        }
    }

    #[test]
    fn the_envelope_comes_first() {
        let mail = mail();
        let envelope = |from: Option<&str>, to: &[&str]| SmtpEnvelope {
            from: from.map(|from| Pii::new(from.to_owned())),
            to: to.iter().map(|to| Pii::new((*to).to_owned())).collect(),
        };
        for (envelope, senders, to) in [
            (envelope(None, &[]), vec!["from@a.example"], vec!["to@b.example", "cc@b.example", "bcc@b.example"]),
            (envelope(Some("env@a.example"), &["hidden@b.example"]), vec!["env@a.example"], vec!["hidden@b.example"]),
            (envelope(Some(""), &["hidden@b.example"]), vec!["<>"], vec!["hidden@b.example"]),
        ] {
            let facts = Facts::of(&mail, &envelope, "clean", "acme");
            assert_eq!((facts.senders, facts.recipients), (senders, to));
            assert_eq!((facts.subject, facts.verdict, facts.tenant), (Some("Hello"), "clean", "acme"));
        }
    }
}
