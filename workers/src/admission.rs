//! Whether a mail is let in: by its envelope before it is read, and by all that was found in it afterwards.
//!
//! The `parse` stage and `mailtri inspect` ask here, so that what is forecast is what happens.

use std::collections::BTreeMap;

use bytes::Bytes;
use shared::pii::Pii;

use crate::{
    announce::SesVerdicts,
    auth::{Gate, policy::Decision},
    findings::{Action, Policy},
    jobs::SmtpEnvelope,
    mail::{
        addr_spec::canonical,
        model::{Finding, FindingCode, Mailbox, ParsedMail, Severity},
        parse::Refusal,
    },
    names::TenantName,
    sandbox::{Sandbox, SandboxError},
    senders::{Protected, Recipients, Senders, pattern::split},
    settings::Settings,
};

/// Where findings about the envelope are.
const ENVELOPE: &str = "envelope";

/// Everything that decides about letting a mail in.
#[derive(Debug, Clone)]
pub struct Admission {
    policy: Policy,
    senders: Senders,
    recipients: Recipients,
    /// What no sender's domain may look like, for everybody and for one tenant.
    ours: Protected,
    known: BTreeMap<TenantName, Protected>,
}

/// Why a mail goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It is kept aside.
    Quarantine {
        /// The kind of reason, from a bounded set.
        class: &'static str,
        /// Why.
        reason: String,
    },
    /// It is refused by the policy.
    Reject {
        /// Why.
        reason: String,
    },
}

/// A mail whose envelope was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The envelope, without recipients that are left out.
    pub envelope: SmtpEnvelope,
    /// What SES says of the mail, where it announced it.
    pub receipt: Option<SesVerdicts>,
    /// How many recipients were left out.
    pub left_out: usize,
    /// What was found about it.
    pub findings: Vec<Finding>,
    /// Why the mail is refused already; there is no need to read it then.
    pub refused: Option<Stop>,
}

/// What becomes of a mail that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It goes on.
    Admitted,
    /// DNS did not tell who the sender is: it waits.
    Deferred,
    /// It goes no further.
    Stopped(Stop),
}

impl Admission {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let (policy, senders) = (settings.findings.clone(), settings.senders.clone());
        let recipients = settings.recipients.clone();
        let mut ours = Protected::default();
        recipients.accepted.iter().flatten().for_each(|accepted| ours.add(accepted.domain()));
        settings.tenants.domains().for_each(|domain| ours.add(domain));
        senders.all.known.iter().for_each(|known| ours.add(known.name()));
        let mut known = BTreeMap::new();
        for (tenant, lists) in &senders.tenants {
            let own: &mut Protected = known.entry(tenant.clone()).or_default();
            *own = ours.clone();
            lists.known.iter().for_each(|known| own.add(known.name()));
        }
        Self { policy, senders, recipients, ours, known }
    }

    /// Looks at the envelope. Its recipients count, not those in the header, which a hidden one is not among; where it has
    /// none, [`Admission::rule`] asks the header.
    #[must_use]
    pub fn arrive(&self, tenant: &str, mut envelope: SmtpEnvelope, receipt: Option<SesVerdicts>) -> Arrival {
        // In one form, so that whatever goes by an address goes by who it is, not by how it was written.
        for address in envelope.from.iter_mut().chain(&mut envelope.to) {
            *address = Pii::new(canonical(address.expose()).into_owned());
        }
        let mut findings = Vec::new();
        let mut note = |code, severity| findings.push(Finding { code, severity, place: ENVELOPE.to_owned() });
        if envelope.from.as_ref().is_some_and(|from| self.senders.block(tenant, from.expose())) {
            note(FindingCode::BlockedSender, Severity::Warning);
        }
        let all = envelope.to.len();
        let unknown =
            Finding { code: FindingCode::UnknownRecipient, severity: Severity::Warning, place: ENVELOPE.to_owned() };
        let accepted = envelope.to.iter().filter(|to| self.recipients.accept(to.expose())).count();
        let mut left_out = 0;
        if accepted < all && (accepted == 0 || self.policy.action(tenant, &unknown) < Action::Quarantine) {
            note(FindingCode::UnknownRecipient, Severity::Warning);
        } else if accepted < all {
            envelope.to.retain(|to| self.recipients.accept(to.expose()));
            left_out = all - accepted;
            note(FindingCode::RecipientLeftOut, Severity::Info);
        }
        let refused = self.ruling(tenant, &findings).0.filter(|stop| matches!(stop, Stop::Reject { .. }));
        Arrival { envelope, receipt, left_out, findings, refused }
    }

    /// Decides about a mail that was read: by all that was found in it, then by who sent it. What is stopped whoever sent
    /// it is stopped without asking DNS.
    ///
    /// # Errors
    /// Those of the sandbox.
    pub async fn enter(
        &self,
        tenant: &str,
        arrival: &Arrival,
        (raw, mail): (&Bytes, &mut ParsedMail),
        gate: &Gate,
        sandbox: &Sandbox,
    ) -> Result<Entry, SandboxError> {
        if let Some(stop) = self.rule(tenant, arrival, mail) {
            return Ok(Entry::Stopped(stop));
        }
        let held = match gate.pass(mail, raw, &arrival.envelope, arrival.receipt.as_ref(), sandbox).await? {
            Decision::Defer => return Ok(Entry::Deferred),
            decision => Stop::of_sender(decision),
        };
        Ok(self.verify(tenant, mail).or(held).map_or(Entry::Admitted, Entry::Stopped))
    }

    /// Rules on a mail that was read, whoever sent it: adds what is found about the envelope and the senders' names, and
    /// the tags that the policy gives it. The answer is why it stops here, if it does.
    #[must_use]
    pub fn rule(&self, tenant: &str, arrival: &Arrival, mail: &mut ParsedMail) -> Option<Stop> {
        let of_senders = self.about_senders(tenant, mail);
        let of_recipients = self.about_recipients(arrival, mail);
        mail.findings.extend(arrival.findings.iter().cloned().chain(of_senders).chain(of_recipients));
        self.tag(tenant, mail)
    }

    /// Rules on a mail that was authenticated: whoever writes as a known domain has to be it. Results that DNS still owes
    /// are no results: ask when they are there.
    #[must_use]
    pub fn verify(&self, tenant: &str, mail: &mut ParsedMail) -> Option<Stop> {
        let verified = mail.authentication.as_ref().and_then(|results| results.aligned_domain());
        let is_unverified = |one: &Mailbox| {
            let domain = split(one.address.expose()).map(|(_, domain)| domain);
            domain.is_some_and(|domain| self.senders.know(tenant, &domain) && verified != Some(&domain))
        };
        if mail.from.iter().any(is_unverified) {
            let (code, place) = (FindingCode::KnownSenderUnverified, "header From".to_owned());
            mail.findings.push(Finding { code, severity: Severity::Warning, place });
        }
        self.tag(tenant, mail)
    }

    /// Rules on a mail in whose containers something was noticed: that is added to the findings and the tags. The answer is
    /// why it stops here, if it does.
    #[must_use]
    pub fn rule_on_members(&self, tenant: &str, mail: &mut ParsedMail, noticed: &[Finding]) -> Option<Stop> {
        if noticed.is_empty() {
            return None;
        }
        let stop = self.ruling(tenant, noticed).0;
        mail.findings.extend_from_slice(noticed);
        mail.tags = self.ruling(tenant, &mail.findings).1;
        stop
    }

    /// What one finding does to a tenant's mail.
    #[must_use]
    pub fn action(&self, tenant: &str, finding: &Finding) -> Action {
        self.policy.action(tenant, finding)
    }

    /// Without an envelope the header says who a mail is for, as it does to the rules: one of them has to be accepted.
    fn about_recipients(&self, arrival: &Arrival, mail: &ParsedMail) -> Option<Finding> {
        let mut named = [&mail.to, &mail.cc, &mail.bcc].into_iter().flatten();
        let is_for_nobody = arrival.envelope.to.is_empty()
            && self.recipients.is_restricted()
            && !named.any(|one| self.recipients.accept(one.address.expose()));
        let (code, place) = (FindingCode::UnknownRecipient, "headers".to_owned());
        is_for_nobody.then_some(Finding { code, severity: Severity::Warning, place })
    }

    fn about_senders(&self, tenant: &str, mail: &ParsedMail) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut note = |code, place: &str| {
            findings.push(Finding { code, severity: Severity::Warning, place: format!("header {place}") });
        };
        let protected = TenantName::parse(tenant).and_then(|name| self.known.get(&name)).unwrap_or(&self.ours);
        for (place, boxes) in [("From", &mail.from), ("Sender", &mail.sender), ("Reply-To", &mail.reply_to)] {
            let is_blocked = |one: &Mailbox| self.senders.block(tenant, one.address.expose());
            if place != "Reply-To" && boxes.iter().any(is_blocked) {
                note(FindingCode::BlockedSender, place);
            }
            let written = |one: &Mailbox| one.address.expose().rsplit_once('@').map(|(_, domain)| domain.to_owned());
            if boxes.iter().filter_map(written).any(|domain| protected.is_imitated_by(&domain)) {
                note(FindingCode::LookalikeDomain, place);
            }
        }
        findings
    }

    fn tag(&self, tenant: &str, mail: &mut ParsedMail) -> Option<Stop> {
        let (stop, tags) = self.ruling(tenant, &mail.findings);
        mail.tags = tags;
        stop
    }

    fn ruling(&self, tenant: &str, findings: &[Finding]) -> (Option<Stop>, Vec<FindingCode>) {
        let judged = self.policy.judge(tenant, findings);
        let stop = judged.because.and_then(|finding| match judged.action {
            Action::Accept | Action::Tag => None,
            Action::Quarantine => Some(Stop::Quarantine { class: class(&finding), reason: reason(&finding) }),
            Action::Reject => Some(Stop::Reject { reason: format!("finding: {}", reason(&finding)) }),
        });
        (stop, judged.tags)
    }
}

impl Stop {
    /// Bytes in which there is no mail.
    #[must_use]
    pub fn refused(refusal: &Refusal) -> Self {
        Self::Quarantine { class: "refused", reason: format!("not a mail that can be read: {}", refusal.code) }
    }

    /// A mail whose sender is not who it says, by the policy for that.
    #[must_use]
    pub fn of_sender(decision: Decision) -> Option<Self> {
        let Decision::Quarantine(class, reason) = decision else { return None };
        Some(Self::Quarantine { class, reason: reason.to_owned() })
    }

    /// A mail that the sandbox does not survive. Other failures of the sandbox say nothing about the mail.
    #[must_use]
    pub fn poisoned(error: &SandboxError) -> Option<Self> {
        let stop = || Self::Quarantine { class: "poisoned", reason: error.to_string() };
        matches!(error, SandboxError::Poisoned { .. }).then(stop)
    }
}

fn class(finding: &Finding) -> &'static str {
    if finding.severity == Severity::Ambiguous { "ambiguous" } else { "finding" }
}

fn reason(finding: &Finding) -> String {
    format!("{} in {}: {}", finding.code.name(), finding.place, finding.code.what())
}
