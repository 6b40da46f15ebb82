//! One mail's authentication, from what its header says to the results.
//!
//! The keys, SPF, the client's name and the policy are looked up at once; then a child verifies the signatures; then DMARC is decided.

use bytes::Bytes;
use futures::future::{OptionFuture, join_all};
use shared::telemetry::metric;
use tokio::time::{Instant, timeout_at};

use super::{
    Authentication, Domain, dmarc,
    dns::Dns,
    evidence::{Evidence, TrustedHop},
    iprev,
    key_records::KeyRecord,
    results::{Arc, ArcResult, Dmarc, DmarcResult, Iprev, IprevResult, Reported, Spf, SpfIdentity, SpfResult, Why},
    sealers,
    spf::Question,
    verify::{Verified, Verify},
};
use crate::{
    announce::SesVerdicts,
    jobs::SmtpEnvelope,
    sandbox::{Sandbox, SandboxError},
};

/// Authenticates mails.
#[derive(Debug)]
pub struct Authenticator {
    /// `None` where DNS is switched off: then nothing is checked, and every result says so.
    pub dns: Option<Dns>,
    /// Our name in results (RFC 8601 §2.2).
    pub authserv_id: String,
    /// Whose seals may vouch for an author.
    pub trusted_sealers: Vec<Domain>,
}

/// One mail.
#[derive(Debug, Clone)]
pub struct Mail<'a> {
    /// Its bytes.
    pub raw: &'a Bytes,
    /// What its header says.
    pub evidence: Evidence,
    /// Its envelope.
    pub envelope: &'a SmtpEnvelope,
    /// What SES's receipt says, where there is one.
    pub receipt: Option<&'a SesVerdicts>,
}

impl Authenticator {
    /// Authenticates a mail. Takes no longer than the configured time for DNS, and what the child takes.
    ///
    /// # Errors
    /// Those of the sandbox.
    pub async fn check(&self, mut mail: Mail<'_>, sandbox: &Sandbox) -> Result<Authentication, SandboxError> {
        mail.evidence = mail.evidence.standing_in(mail.raw);
        let reported = mail.receipt.map(Reported::of_receipt).or_else(|| mail.evidence.reported.clone());
        let author = mail.evidence.author.one().cloned();
        let found = match &self.dns {
            Some(dns) => self.ask(dns, &mail, sandbox).await?,
            None => Authentication::unchecked(Why::DnsOff, &self.authserv_id),
        };
        let results = Authentication { author, reported, ..found };
        count(&results);
        Ok(results)
    }

    async fn ask(&self, dns: &Dns, mail: &Mail<'_>, sandbox: &Sandbox) -> Result<Authentication, SandboxError> {
        let (evidence, (deadline, end)) = (&mail.evidence, dns.deadlines());
        let hop = evidence.hop.as_ref();
        let question = Question::new(hop, mail.envelope.from.as_ref());
        let client = hop.and_then(|hop| hop.client.as_ref());
        let beside = client.filter(|_| Question::identity(&question) != Some(SpfIdentity::Helo)).map(Question::of_helo);
        let silent = dns.is_silent();
        let (keys, spf, spf_helo, iprev, answered) = tokio::join!(
            keys(dns, &evidence.keys, deadline, silent),
            self.spf(dns, question, deadline, silent),
            OptionFuture::from(beside.map(|question| self.spf(dns, question, deadline, silent))),
            iprev(dns, hop, deadline, silent),
            warm(dns, evidence.author.domains(), deadline, silent),
        );
        if !silent && !answered {
            dns.listen().await;
        }
        let left = end.saturating_duration_since(Instant::now());
        let verified = verify(evidence, keys, mail.raw, sandbox).await?;
        let is_asked = !evidence.author.domains().is_empty();
        let late = || Dmarc::without(DmarcResult::TempError, Why::DnsFailed);
        let mut dmarc = if is_asked && dns.is_silent() {
            late()
        } else {
            let evaluated = dmarc::evaluate(&dns.authenticator, &evidence.author, &spf, &verified.dkim);
            timeout_at(Instant::now() + left, evaluated).await.unwrap_or_else(|_| late())
        };
        if let Some(author) = evidence.author.one().filter(|_| dmarc.result == DmarcResult::Fail) {
            dmarc.overridden = sealers::vouching(author, &verified.sets, &self.trusted_sealers);
        }
        Ok(Authentication {
            author: None,
            spf,
            spf_helo,
            dkim: verified.dkim,
            dmarc,
            arc: verified.arc,
            iprev,
            reported: None,
            authserv_id: self.authserv_id.clone(),
        })
    }

    async fn spf(&self, dns: &Dns, question: Result<Question<'_>, Spf>, deadline: Instant, silent: bool) -> Spf {
        let question = match question {
            Ok(question) => question,
            Err(result) => return result,
        };
        let failed = || question.answer(SpfResult::TempError, Some(Why::DnsFailed));
        if silent {
            return failed();
        }
        // Two of these are under way at once, and each is large.
        let asked = Box::pin(question.ask(&dns.authenticator, &self.authserv_id));
        timeout_at(deadline, asked).await.unwrap_or_else(|_| failed())
    }
}

async fn keys(dns: &Dns, names: &[Domain], deadline: Instant, silent: bool) -> Vec<(Domain, KeyRecord)> {
    let record = async |name: &Domain| {
        let record = if silent { KeyRecord::Failed } else { dns.key(name, deadline).await };
        (name.clone(), record)
    };
    join_all(names.iter().map(record)).await
}

async fn iprev(dns: &Dns, hop: Option<&TrustedHop>, deadline: Instant, silent: bool) -> Iprev {
    let Some(hop) = hop else { return Iprev::about_nobody(Some(Why::NoTrustedHop)) };
    let Some(client) = &hop.client else { return Iprev::about_nobody(Some(Why::HopUnreadable)) };
    let ip = *client.ip.expose();
    let failed = || Iprev::about(ip, IprevResult::TempError, Why::DnsFailed);
    if silent {
        return failed();
    }
    timeout_at(deadline, iprev::ask(&dns.authenticator, ip)).await.unwrap_or_else(|_| failed())
}

/// Whether DNS said anything about the authors' policies.
async fn warm(dns: &Dns, authors: &[Domain], deadline: Instant, silent: bool) -> bool {
    silent || timeout_at(deadline, dmarc::warm(&dns.authenticator, authors)).await.unwrap_or(false)
}

async fn verify(
    evidence: &Evidence,
    keys: Vec<(Domain, KeyRecord)>,
    raw: &Bytes,
    sandbox: &Sandbox,
) -> Result<Verified, SandboxError> {
    if !evidence.is_signed {
        return Ok(Verified::unsigned(Arc { result: ArcResult::None, why: None, sealer: None }));
    }
    let max_mail = raw.len() as u64;
    sandbox.ask(Verify { max_mail, keys }, raw).await
}

fn count(results: &Authentication) {
    metric::authenticated("spf", results.spf.result.name());
    if let Some(helo) = &results.spf_helo {
        metric::authenticated("spf_helo", helo.result.name());
    }
    for dkim in &results.dkim {
        metric::authenticated("dkim", dkim.result.name());
    }
    metric::authenticated("dmarc", results.dmarc.result.name());
    metric::authenticated("arc", results.arc.result.name());
    metric::authenticated("iprev", results.iprev.result.name());
}
