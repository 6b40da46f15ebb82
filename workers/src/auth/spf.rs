//! SPF (RFC 7208) for the session with the outside, as a trusted server wrote it down.
//!
//! Invariant: a pass of `mail-auth`'s is one of the RFC's. Where the two may differ ([`Evaluation::is_doubtful`]) it is none.

use std::sync::Arc;

use mail_auth::{
    MessageAuthenticator, Parameters, SpfResult as Theirs, TxtRecord,
    spf::{Directive, Macro, Mechanism, Qualifier, SpfRecord, verify::SpfParameters},
};
use shared::pii::Pii;

use super::{
    Domain,
    allowance::Allowance,
    dns::texts,
    evidence::{Client, TrustedHop},
    iprev,
    results::{Spf, SpfIdentity, SpfResult, Why},
};

/// Lookups for one evaluation. A policy may ask for ten records and ten mail servers of each (RFC 7208 §4.6.4); honest ones
/// stay far below.
const LOOKUPS: usize = 60;

/// The most names that are looked into again for one evaluation: no more can be included (RFC 7208 §4.6.4).
const MAX_RESTRICTIONS: usize = 10;

impl Spf {
    /// A result about nobody.
    pub(super) const fn about_nobody(result: SpfResult, why: Why) -> Self {
        Self { result, why: Some(why), domain: None, identity: None }
    }
}

/// Who is asked about: `MAIL FROM`, or `HELO` for a bounce (RFC 7208 §2.4).
pub(super) struct Question<'a> {
    client: &'a Client,
    sender: &'a str,
    pub(super) domain: Domain,
    identity: SpfIdentity,
}

impl<'a> Question<'a> {
    /// What can be asked. The envelope's `MAIL FROM` is better than the one that the server wrote down.
    ///
    /// # Errors
    /// The result where nothing can.
    pub(super) fn new(hop: Option<&'a TrustedHop>, envelope_from: Option<&'a Pii<String>>) -> Result<Self, Spf> {
        let hop = hop.ok_or_else(|| Spf::about_nobody(SpfResult::None, Why::NoTrustedHop))?;
        let unreadable = || Spf::about_nobody(SpfResult::None, Why::HopUnreadable);
        let client = hop.client.as_ref().ok_or_else(unreadable)?;
        let sender = envelope_from.or(hop.mail_from.as_ref()).ok_or_else(unreadable)?.expose().as_str();
        if sender.is_empty() {
            return Self::of_helo(client);
        }
        Self::about(client, sender, SpfIdentity::MailFrom, Domain::of_address(sender))
    }

    /// About `HELO`, with `postmaster` as the sender. What is no domain name is not asked about (RFC 7208 §2.3).
    ///
    /// # Errors
    /// As above.
    pub(super) fn of_helo(client: &'a Client) -> Result<Self, Spf> {
        Self::about(client, "", SpfIdentity::Helo, Domain::parse(client.helo.expose()))
    }

    fn about(client: &'a Client, sender: &'a str, identity: SpfIdentity, domain: Option<Domain>) -> Result<Self, Spf> {
        let none =
            || Spf { result: SpfResult::None, why: Some(Why::Malformed), domain: None, identity: Some(identity) };
        Ok(Self { client, sender, domain: domain.ok_or_else(none)?, identity })
    }

    /// Which identity a question, or the result in its place, is about.
    pub(super) fn identity(question: &Result<Self, Spf>) -> Option<SpfIdentity> {
        match question {
            Ok(question) => Some(question.identity),
            Err(result) => result.identity,
        }
    }

    /// The result, when it is known.
    pub(super) fn answer(&self, result: SpfResult, why: Option<Why>) -> Spf {
        Spf { result, why, domain: Some(self.domain.clone()), identity: Some(self.identity) }
    }

    /// Asks DNS. `us` is our own name, which explanations may carry.
    pub(super) async fn ask(&self, dns: &MessageAuthenticator, us: &str) -> Spf {
        let evaluation = Evaluation::of(self, dns, us, self.domain.expose()).await;
        if evaluation.is_exceeded {
            return self.answer(SpfResult::PermError, Some(Why::TooMuch));
        }
        let settled = !matches!(evaluation.result, Theirs::None | Theirs::TempError);
        if settled && evaluation.is_ambiguous(dns).await {
            return self.answer(SpfResult::PermError, Some(Why::Malformed));
        }
        if evaluation.result == Theirs::Pass && evaluation.is_doubtful(self, dns, us).await {
            return self.answer(SpfResult::Neutral, Some(Why::NoMatch));
        }
        let (result, why) = match evaluation.result {
            Theirs::Pass => (SpfResult::Pass, None),
            Theirs::Fail => (SpfResult::Fail, None),
            Theirs::SoftFail => (SpfResult::SoftFail, None),
            Theirs::Neutral => (SpfResult::Neutral, None),
            Theirs::TempError => (SpfResult::TempError, Some(Why::DnsFailed)),
            Theirs::PermError => (SpfResult::PermError, Some(Why::Malformed)),
            Theirs::None => (SpfResult::None, Some(Why::NoRecord)),
        };
        self.answer(result, why)
    }
}

/// What `mail-auth` comes to, and from what.
struct Evaluation {
    result: Theirs,
    is_exceeded: bool,
    policies: Vec<(Box<str>, Arc<SpfRecord>)>,
}

impl Evaluation {
    /// The policy of a domain, for the session and the sender in question. Where a policy asks for the client's names it gets
    /// those that lead back to it, which `mail-auth` does not look at for macros, and does not compare well.
    async fn of(question: &Question<'_>, dns: &MessageAuthenticator, us: &str, domain: &str) -> Self {
        let first = Self::with(Allowance::new(LOOKUPS), question, dns, us, domain).await;
        let mut directives = first.policies.iter().flat_map(|(_, policy)| policy.directives.iter());
        let asks = |one: &Directive| matches!(one.mechanism, Mechanism::Ptr { .. }) || one.mechanism.needs_ptr();
        if !directives.any(asks) {
            return first;
        }
        let names = iprev::validated(dns, *question.client.ip.expose()).await;
        Self::with(Allowance::new(LOOKUPS).naming(names), question, dns, us, domain).await
    }

    async fn with(
        allowance: Allowance,
        question: &Question<'_>,
        dns: &MessageAuthenticator,
        us: &str,
        domain: &str,
    ) -> Self {
        let (ip, helo) = (*question.client.ip.expose(), question.client.helo.expose());
        let parameters = match question.identity {
            SpfIdentity::Helo => SpfParameters::helo(ip, domain, us),
            SpfIdentity::MailFrom => SpfParameters::new(ip, domain, helo, us, question.sender),
        };
        let output = dns.check_host(Parameters::new(parameters).with_cache(&allowance)).await;
        let policies = allowance.answered().into_iter().filter_map(|(name, record)| match record {
            TxtRecord::Spf(policy) => Some((name, policy)),
            _ => None,
        });
        Self { result: output.result(), is_exceeded: allowance.is_exceeded(), policies: policies.collect() }
    }

    /// Whether two policies stand at one of the names, so that neither counts (RFC 7208 §4.5).
    async fn is_ambiguous(&self, dns: &MessageAuthenticator) -> bool {
        for (name, _) in &self.policies {
            if texts(dns, name).await.iter().filter(|text| is_policy(text)).count() > 1 {
                return true;
            }
        }
        false
    }

    /// Whether a pass may be none by RFC 7208 §5.2: where what is included with another qualifier than `+` passes, which
    /// `mail-auth` forgets when that includes something itself.
    async fn is_doubtful(&self, question: &Question<'_>, dns: &MessageAuthenticator, us: &str) -> bool {
        let directives = self.policies.iter().flat_map(|(_, policy)| policy.directives.iter());
        let mut restrictions: Vec<Option<String>> = directives.filter_map(restriction).collect();
        restrictions.sort_unstable();
        restrictions.dedup();
        if restrictions.len() > MAX_RESTRICTIONS {
            return true;
        }
        for name in restrictions {
            let Some(name) = name else { return true };
            if Self::of(question, dns, us, &name).await.result == Theirs::Pass {
                return true;
            }
        }
        false
    }
}

/// What a directive includes with another qualifier than `+`; `Some(None)` where its name depends on the session.
fn restriction(directive: &Directive) -> Option<Option<String>> {
    match (&directive.mechanism, &directive.qualifier) {
        (Mechanism::Include { .. }, Qualifier::Pass) => None,
        (Mechanism::Include { macro_string: Macro::Literal(name) }, _) => Some(String::from_utf8(name.to_vec()).ok()),
        (Mechanism::Include { .. }, _) => Some(None),
        _ => None,
    }
}

/// Whether a text is a policy.
fn is_policy(text: &[u8]) -> bool {
    let is_version = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"));
    is_version && text.get(6).is_none_or(|next| *next == b' ')
}
