//! Conditions: a tree of matchers, evaluated against a mail's facts.

use serde_json::{Value, json};

use super::{Facts, Glob};
use crate::auth::Authentication;

/// Which mails a rule is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Every one of these holds; an empty list always does.
    All(Vec<Self>),
    /// At least one of these holds; an empty list never does.
    Any(Vec<Self>),
    /// This holds.
    Is(Matcher),
}

/// A field of the mail, one of whose values is of a pattern. A field without a value matches nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    /// Which field.
    pub field: Field,
    /// The pattern.
    pub pattern: Glob,
}

/// What a matcher looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Each envelope recipient.
    Recipient,
    /// The envelope's sender, or `From` where it is not known. A bounce's sender is `<>`.
    Sender,
    /// What follows the last `@` of the sender.
    SenderDomain,
    /// The subject.
    Subject,
    /// Each header field of this name, in either case.
    Header(String),
    /// The scan's verdict.
    Verdict,
    /// The content type of each attachment.
    AttachmentType,
    /// The command in the mail.
    Intent,
    /// The tenant.
    Tenant,
    /// The code of each finding.
    Finding,
    /// The code of each finding that the policy does not simply accept.
    Tag,
    /// SPF's result.
    Spf,
    /// The result of each DKIM signature; `none` without one.
    Dkim,
    /// DMARC's result.
    Dmarc,
    /// The result of the ARC chain.
    Arc,
    /// The result of iprev.
    Iprev,
    /// The domain in `From`, if SPF or DKIM passed in alignment with it.
    AuthenticatedDomain,
}

impl Condition {
    /// Whether the condition holds for these facts.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.matches(facts)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.matches(facts)),
            Self::Is(matcher) => matcher.matches(facts),
        }
    }

    pub(super) fn canonical(&self) -> Value {
        match self {
            Self::All(conditions) => json!({ "all": canonical(conditions) }),
            Self::Any(conditions) => json!({ "any": canonical(conditions) }),
            Self::Is(Matcher { field, pattern }) => json!([field.key(), field.header(), pattern.to_string()]),
        }
    }
}

fn canonical(conditions: &[Condition]) -> Vec<Value> {
    conditions.iter().map(Condition::canonical).collect()
}

impl Matcher {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let fits = |text: &str| self.pattern.matches(text);
        match &self.field {
            Field::Recipient => facts.recipients.iter().any(|text| fits(text)),
            Field::Sender => facts.senders.iter().any(|text| fits(text)),
            Field::SenderDomain => facts.senders.iter().filter_map(|text| domain(text)).any(fits),
            Field::Subject => facts.subject.is_some_and(fits),
            Field::Header(name) => {
                facts.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).any(|(_, text)| fits(text))
            }
            Field::Verdict => fits(facts.verdict),
            Field::AttachmentType => facts.attachment_types.iter().any(|text| fits(text)),
            Field::Intent => facts.intent.is_some_and(fits),
            Field::Tenant => fits(facts.tenant),
            Field::Finding => facts.findings.iter().any(|text| fits(text)),
            Field::Tag => facts.tags.iter().any(|text| fits(text)),
            Field::Spf => facts.authentication.is_some_and(|all| fits(all.spf.result.name())),
            Field::Dkim => facts.authentication.is_some_and(|all| all.dkim_words().any(fits)),
            Field::Dmarc => facts.authentication.is_some_and(|all| fits(all.dmarc.result.name())),
            Field::Arc => facts.authentication.is_some_and(|all| fits(all.arc.result.name())),
            Field::Iprev => facts.authentication.is_some_and(|all| fits(all.iprev.result.name())),
            Field::AuthenticatedDomain => facts
                .authentication
                .and_then(Authentication::aligned_domain)
                .is_some_and(|domain| fits(domain.expose())),
        }
    }
}

impl Field {
    /// Its key in the configuration.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Sender => "sender",
            Self::SenderDomain => "sender_domain",
            Self::Subject => "subject",
            Self::Header(_) => "header",
            Self::Verdict => "verdict",
            Self::AttachmentType => "attachment_type",
            Self::Intent => "intent",
            Self::Tenant => "tenant",
            Self::Finding => "finding",
            Self::Tag => "tag",
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Dmarc => "dmarc",
            Self::Arc => "arc",
            Self::Iprev => "iprev",
            Self::AuthenticatedDomain => "authenticated_domain",
        }
    }

    fn header(&self) -> Option<String> {
        match self {
            Self::Header(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }
}

fn domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}
