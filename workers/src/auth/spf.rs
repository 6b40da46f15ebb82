//! SPF (RFC 7208) for the session with the outside, as a trusted server wrote it down.

use mail_auth::{MessageAuthenticator, Parameters, SpfResult as Theirs, spf::verify::SpfParameters};
use shared::pii::Pii;

use super::{
    Domain,
    allowance::Allowance,
    dns::policies,
    evidence::{Client, TrustedHop},
    results::{Spf, SpfIdentity, SpfResult, Why},
};

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
        let (ip, helo, allowance) = (*self.client.ip.expose(), self.client.helo.expose(), Allowance::new());
        let parameters = match self.identity {
            SpfIdentity::Helo => SpfParameters::helo(ip, self.domain.expose(), us),
            SpfIdentity::MailFrom => SpfParameters::new(ip, self.domain.expose(), helo, us, self.sender),
        };
        let output = dns.check_host(Parameters::new(parameters).with_cache(&allowance)).await;
        if allowance.is_exceeded() {
            return self.answer(SpfResult::PermError, Some(Why::TooMuch));
        }
        let settled = !matches!(output.result(), Theirs::None | Theirs::TempError);
        if settled && policies(dns, self.domain.expose(), is_policy).await > 1 {
            return self.answer(SpfResult::PermError, Some(Why::Malformed));
        }
        let (result, why) = match output.result() {
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

/// Whether a text is a policy. Of two at one name neither counts (RFC 7208 §4.5).
fn is_policy(text: &[u8]) -> bool {
    let is_version = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"));
    is_version && text.get(6).is_none_or(|next| *next == b' ')
}
