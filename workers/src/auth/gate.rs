//! Where a mail is authenticated on its way: its results are written into it, and decide whether it goes on.

use bytes::Bytes;

use super::{
    Authenticator, Evidence,
    authenticator::Mail,
    dns::{Dns, DnsError},
    header,
    policy::{self, Decision, DmarcMode, OnTempError},
};
use crate::{
    announce::SesVerdicts,
    jobs::SmtpEnvelope,
    mail::model::ParsedMail,
    sandbox::{Sandbox, SandboxError},
    settings::Authentication as Settings,
};

/// The gate.
#[derive(Debug)]
pub struct Gate {
    authenticator: Authenticator,
    dmarc: DmarcMode,
    on_temperror: OnTempError,
}

impl Gate {
    /// As configured.
    ///
    /// # Errors
    /// When there is no resolver to be had.
    pub fn new(settings: &Settings) -> Result<Self, DnsError> {
        let dns = settings.servers.map(|servers| Dns::new(servers, settings.timeout)).transpose()?;
        let authenticator = Authenticator {
            dns,
            authserv_id: settings.authserv_id.clone(),
            trusted_sealers: settings.trusted_sealers.clone(),
        };
        Ok(Self { authenticator, dmarc: settings.dmarc, on_temperror: settings.on_temperror })
    }

    /// Authenticates a mail that was parsed a moment ago.
    ///
    /// # Errors
    /// Those of the sandbox.
    pub async fn pass(
        &self,
        parsed: &mut ParsedMail,
        raw: &Bytes,
        envelope: &SmtpEnvelope,
        receipt: Option<&SesVerdicts>,
        sandbox: &Sandbox,
    ) -> Result<Decision, SandboxError> {
        let evidence = parsed.evidence.take().map_or_else(Evidence::default, |evidence| *evidence);
        let results = self.authenticator.check(Mail { raw, evidence, envelope, receipt }, sandbox).await?;
        let decision = policy::decide(&results, self.dmarc, self.on_temperror);
        header::rename_claims(&mut parsed.headers, &self.authenticator.authserv_id);
        parsed.authentication = Some(Box::new(results));
        Ok(decision)
    }
}
