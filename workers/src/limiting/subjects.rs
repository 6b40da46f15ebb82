//! Whom a mail is counted for: the subjects of each scope, in one spelling, as far as they are known.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use shared::{ids::hex, pii::Pii};

use super::declared::Scope;
use crate::{
    auth::domain::{Domain, organisation},
    jobs::SmtpEnvelope,
    mail::{
        addr_spec::canonical,
        model::{Mailbox, ParsedMail},
    },
    names::ClientName,
};

/// The most recipients of one mail that are counted, in one request. RFC 5321 §4.5.3.1.8 asks servers to take 100.
const MOST_RECIPIENTS: usize = 1000;

const CLIENT: &str =
    "the name of a client, of lower-case letters, digits and \"-\" and at most 40 long, such as api-client=erp";
/// The ways in.
const DOORS: [&str; 2] = ["submit", "incoming"];

/// Whom a mail is counted for. A scope that is not there is not known yet; one without subjects has none.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    known: BTreeMap<Scope, Vec<Pii<String>>>,
    /// The raw mail's length, where it is known.
    bytes: Option<u64>,
    /// There are more recipients than are counted.
    crowded: bool,
}

impl Subjects {
    /// One subject of one scope.
    #[must_use]
    pub fn one(scope: Scope, subject: &str) -> Self {
        Self::default().with(scope, [subject.to_owned()])
    }

    /// What the intake knows of a raw mail of that many bytes: the way in, and the client unless it has no name.
    #[must_use]
    pub fn of_intake(door: &str, client: Option<&ClientName>, bytes: u64) -> Self {
        let clients = client.map(|client| client.as_str().to_owned());
        Self::one(Scope::Ingress, door).with(Scope::ApiClient, clients).sized(bytes)
    }

    /// What the envelope and the announcement tell, before the mail was looked at.
    #[must_use]
    pub fn of_envelope(envelope: &SmtpEnvelope, tenant: &str, bytes: Option<u64>) -> Self {
        let mut subjects = Self { bytes, ..Self::one(Scope::Tenant, tenant) };
        if let Some(from) = &envelope.from {
            subjects = subjects.with_sender(from.expose());
        }
        if !envelope.to.is_empty() {
            subjects = subjects.with_recipients(envelope.to.iter());
        }
        subjects
    }

    /// The same for a raw mail of that many bytes.
    #[must_use]
    pub fn sized(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Whether there are more recipients than are counted.
    pub(super) const fn are_crowded(&self) -> bool {
        self.crowded
    }

    /// The raw mail's length, where it is known.
    pub(super) const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The rules that chose the destinations.
    #[must_use]
    pub fn of_route(rules: &[String]) -> Self {
        let default = rules.is_empty().then(|| "default".to_owned());
        Self::default().with(Scope::Route, rules.iter().cloned().chain(default))
    }

    /// Adds what only the mail itself tells: of the client and MAIL FROM what a trusted server wrote down, never what the
    /// sender may have written.
    #[must_use]
    pub fn and_of_mail(mut self, mail: &ParsedMail) -> Self {
        self.bytes = Some(mail.raw.len);
        let hop = mail.evidence.as_ref().and_then(|evidence| evidence.hop.as_ref());
        let client = hop.and_then(|hop| hop.client.as_ref());
        if let Some(client) = client.filter(|_| !self.known.contains_key(&Scope::ClientIp)) {
            self = self.with_client(*client.ip.expose());
        }
        if !self.known.contains_key(&Scope::Sender) {
            let from = mail.from.first().map_or("", |from| from.address.expose());
            let from = hop.and_then(|hop| hop.mail_from.as_ref()).map_or(from, |from| from.expose());
            self = self.with_sender(from);
        }
        if !self.known.contains_key(&Scope::Recipient) {
            let to = mail.to.iter().chain(&mail.cc).chain(&mail.bcc);
            self = self.with_recipients(to.map(|Mailbox { address, .. }| address));
        }
        self
    }

    /// Adds the address of the client that handed the mail over.
    #[must_use]
    pub fn with_client(self, ip: IpAddr) -> Self {
        self.with(Scope::ClientIp, [client(ip)])
    }

    /// The subjects of a scope, if they are known.
    pub(crate) fn of(&self, scope: Scope) -> Option<impl Iterator<Item = &str>> {
        self.known.get(&scope).map(|subjects| subjects.iter().map(|subject| subject.expose().as_str()))
    }

    /// The subjects of a scope, each counted once.
    #[must_use]
    pub fn with(mut self, scope: Scope, subjects: impl IntoIterator<Item = String>) -> Self {
        let mut subjects: Vec<_> = subjects.into_iter().map(Pii::new).collect();
        subjects.sort();
        subjects.dedup();
        self.known.insert(scope, subjects);
        self
    }

    /// Without an address it is a bounce (RFC 5321 §4.5.5): it has a sender, `<>`, and no domain.
    fn with_sender(self, address: &str) -> Self {
        let sender = spelled(Scope::Sender, address);
        let domain = sender.rsplit_once('@').map(|(_, domain)| spelled(Scope::SenderDomain, domain));
        self.with(Scope::SenderDomain, domain).with(Scope::Sender, [sender])
    }

    fn with_recipients<'a>(self, addresses: impl Iterator<Item = &'a Pii<String>>) -> Self {
        let each: BTreeSet<_> = addresses.map(|address| spelled(Scope::Recipient, address.expose())).collect();
        let crowded = each.len() > MOST_RECIPIENTS;
        Self { crowded, ..self.with(Scope::Recipient, each.into_iter().take(MOST_RECIPIENTS)) }
    }
}

/// A subject in the spelling that it is counted under.
#[must_use]
pub fn spelled(scope: Scope, text: &str) -> String {
    let text = text.trim();
    match scope {
        Scope::Sender | Scope::Recipient => {
            let address = text.trim_start_matches('<').trim_end_matches('>').to_lowercase();
            if address.is_empty() { "<>".to_owned() } else { canonical(&address).into_owned() }
        }
        Scope::SenderDomain => {
            let domain = Domain::parse(text).map_or_else(|| text.trim_end_matches('.').to_lowercase(), String::from);
            organisation(&domain).map(str::to_owned).unwrap_or(domain)
        }
        Scope::ClientIp => text.parse().map_or_else(|_| text.to_owned(), client),
        Scope::Tenant | Scope::Route | Scope::Destination | Scope::Ingress | Scope::ApiClient => text.to_owned(),
    }
}

/// What a subject of a scope looks like, if this is none.
///
/// # Errors
/// What was expected, to follow "expected".
pub fn check(scope: Scope, text: &str) -> Result<(), &'static str> {
    let is_address = || text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let (is_one, expected) = match scope {
        Scope::Sender => {
            (text == "<>" || is_address(), "an address, such as sender=ann@example.org, or <> for bounces")
        }
        Scope::Recipient => (is_address(), "an address, such as recipient=ann@example.org"),
        Scope::SenderDomain => (!text.is_empty() && !text.contains('@'), "a domain, such as sender-domain=example.org"),
        Scope::ClientIp => (text.parse::<IpAddr>().is_ok(), "an IP address, such as client-ip=192.0.2.1"),
        Scope::Ingress => (DOORS.contains(&text), "ingress=submit or ingress=incoming"),
        Scope::ApiClient => (ClientName::parse(text).is_some(), CLIENT),
        Scope::Tenant | Scope::Route | Scope::Destination => (!text.is_empty(), "a name"),
    };
    if is_one { Ok(()) } else { Err(expected) }
}

/// Whoever has an IPv6 address has at least the 2⁶⁴ of its network (RFC 4291 §2.5.1), so they count as one.
fn client(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("{}/64", Ipv6Addr::from(u128::from(ip) >> 64 << 64)),
    }
}

/// What turns a subject into a part of a key that tells nobody what it was.
#[derive(Debug, Clone)]
pub struct SubjectKey(SecretSlice<u8>);

impl SubjectKey {
    /// Takes the key's bytes: the same in every process of the fleet.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    pub(super) fn hash(&self, scope: Scope, subject: &str) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else { return String::new() };
        mac.update(scope.name().as_bytes());
        mac.update(&[0]);
        mac.update(subject.as_bytes());
        hex(&mac.finalize().into_bytes()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::evidence::Trust,
        mail::{limits::Limits, parse::parse_trusting},
    };

    fn of(subjects: &Subjects, scope: Scope) -> Option<Vec<&str>> {
        subjects.of(scope).map(Iterator::collect)
    }

    fn envelope(from: Option<&str>, to: &[&str]) -> SmtpEnvelope {
        SmtpEnvelope {
            from: from.map(|from| from.to_owned().into()),
            to: to.iter().map(|to| (*to).to_owned().into()).collect(),
        }
    }

    #[test]
    fn one_spelling_a_subject() {
        let to = ["B@x.example", "a@x.example", "b@X.example"];
        let envelope = envelope(Some("News@Mail.Example.CO.UK"), &to);
        let subjects =
            Subjects::of_envelope(&envelope, "acme", Some(9)).with_client("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(of(&subjects, Scope::Sender), Some(vec!["news@mail.example.co.uk"]));
        assert_eq!(of(&subjects, Scope::SenderDomain), Some(vec!["example.co.uk"]));
        // Suffixes of other scripts have customers of their own, who are the same in either form.
        for domain in ["news.a.xn--55qx5d.cn", "a.公司.cn"] {
            assert_eq!(spelled(Scope::SenderDomain, domain), "a.xn--55qx5d.cn");
        }
        assert_eq!(of(&subjects, Scope::Recipient), Some(vec!["a@x.example", "b@x.example"]));
        assert_eq!(of(&subjects, Scope::ClientIp), Some(vec!["192.0.2.7"]));
        assert_eq!(of(&subjects, Scope::Tenant), Some(vec!["acme"]));
        assert_eq!(client("2001:db8:1:2:3::9".parse().unwrap()), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_bounce_has_a_sender_and_no_domain_and_what_is_not_said_is_not_known() {
        let bounce = Subjects::of_envelope(&envelope(Some(""), &[]), "t", None);
        assert_eq!(of(&bounce, Scope::Sender), Some(vec!["<>"]));
        assert_eq!(of(&bounce, Scope::SenderDomain), Some(vec![]));
        assert_eq!((of(&bounce, Scope::Recipient), of(&bounce, Scope::ClientIp)), (None, None));
        let silent = Subjects::of_envelope(&envelope(None, &[]), "t", None);
        assert_eq!(of(&silent, Scope::Sender), None);
    }

    #[test]
    fn after_the_parse_a_trusted_server_tells_who_the_client_is_and_nobody_else() {
        let raw = "Received: from evil.example (evil.example [198.51.100.9]) by mx.forged.example\r\n\
            From: Ann <Ann@Written.example>\r\nTo: box@here.example\r\nSubject: x\r\n\r\nhello\r\n";
        let received = format!("Received: from out.example (out.example [192.0.2.9]) by mx.ours.example\r\n{raw}");
        let trust = Trust { hosts: vec!["mx.ours.example".to_owned()], authserv_ids: vec![] };
        let learned = |raw: &str| {
            let mail = parse_trusting(raw.as_bytes(), &Limits::default(), &[], &trust).unwrap();
            Subjects::of_envelope(&envelope(None, &[]), "t", None).and_of_mail(&mail)
        };
        let forged = learned(raw);
        assert_eq!((of(&forged, Scope::ClientIp), forged.bytes()), (None, Some(raw.len() as u64)));
        assert_eq!(of(&forged, Scope::Sender), Some(vec!["ann@written.example"]));
        assert_eq!(of(&forged, Scope::Recipient), Some(vec!["box@here.example"]));
        assert_eq!(of(&learned(&received), Scope::ClientIp), Some(vec!["192.0.2.9"]));
    }

    #[test]
    fn hashes_depend_on_key_scope_and_subject_and_show_nothing() {
        let key = SubjectKey::new(vec![1; 32]);
        let hash = key.hash(Scope::Sender, "a@x.example");
        assert_eq!((hash.len(), hash.contains('@')), (32, false));
        assert_eq!(hash, key.hash(Scope::Sender, "a@x.example"));
        for other in [
            key.hash(Scope::Recipient, "a@x.example"),
            key.hash(Scope::Sender, "b@x.example"),
            SubjectKey::new(vec![2; 32]).hash(Scope::Sender, "a@x.example"),
        ] {
            assert_ne!(hash, other);
        }
    }
}
