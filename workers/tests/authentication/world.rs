//! A DNS server, a sandbox and an authenticator; and mails to try on them.

use std::time::Duration;

use bytes::Bytes;
use mail_auth::{
    crypto::{DkimKey, Ed25519Key, RsaKey, Sha256, SigningKey},
    dkim::DkimSigner,
    headers::HeaderWriter,
};
use mailtri::{
    admission::{Admission, Entry, Stop},
    auth::{
        Authentication, Authenticator, Domain, Evidence, Gate,
        authenticator::Mail,
        dns::{Dns, Servers},
        evidence::Trust,
    },
    jobs::SmtpEnvelope,
    sandbox::{Sandbox, SandboxConfig},
    settings::Settings,
};
use rustls::pki_types::PrivateKeyDer;
use shared::{pii::Pii, testing::dns::DnsStub};

/// The client that `alpha.example` sends from.
pub(crate) const CLIENT: &str = "192.0.2.10";
/// Whose seals may vouch for an author.
pub(crate) const SEALERS: [&str; 2] = ["trusted.example", "relay.example"];
/// A client that nobody names.
pub(crate) const STRANGER: &str = "198.51.100.66";

pub(crate) struct World {
    pub(crate) dns: DnsStub,
    sandbox: Sandbox,
    authenticator: Authenticator,
    admission: Admission,
    gate: Gate,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::patient(Duration::from_secs(10)).await
    }

    pub(crate) async fn patient(patience: Duration) -> Self {
        let dns = DnsStub::start().unwrap();
        let resolver = Dns::new(Servers::At(dns.address()), patience).unwrap();
        Self::with(dns, Some(resolver)).await
    }

    pub(crate) async fn with(dns: DnsStub, resolver: Option<Dns>) -> Self {
        let mut config = SandboxConfig::new(std::env::current_exe().unwrap());
        config.trust = Trust {
            hosts: ["inbound-smtp.*.amazonaws.com", "mx.ours.example", "cloudflare-email.net"]
                .map(str::to_owned)
                .to_vec(),
            authserv_ids: vec!["mx.ours.example".to_owned()],
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let trusted_sealers = SEALERS.map(|sealer| Domain::parse(sealer).unwrap()).to_vec();
        let authenticator = Authenticator { dns: resolver, authserv_id: "mailtri".to_owned(), trusted_sealers };
        let variables = [
            ("AUTHENTICATION__RESOLVER", dns.address().to_string()),
            ("AUTHENTICATION__TIMEOUT", "10s".to_owned()),
            ("AUTHENTICATION__TRUSTED_HOSTS", "mx.ours.example".to_owned()),
            ("AUTHENTICATION__TRUSTED_SEALERS", SEALERS.join(",")),
            ("SENDERS__KNOWN", "known.example".to_owned()),
        ];
        let variables = variables.map(|(key, value)| (format!("MAILTRI_{key}"), value));
        let settings = Settings::load(None, variables.into_iter()).unwrap().0;
        let (admission, gate) = (Admission::new(&settings), Gate::new(&settings.authentication).unwrap());
        Self { dns, sandbox, authenticator, admission, gate }
    }

    /// The domain `alpha.example` with everything in order: it sends from [`CLIENT`], signs, and asks to reject.
    pub(crate) async fn with_alpha() -> (Self, Keys) {
        let (world, keys) = (Self::new().await, Keys::generate());
        world.dns.txt("alpha.example", format!("v=spf1 ip4:{CLIENT} -all"));
        world.dns.txt("ed._domainkey.alpha.example", keys.ed_record());
        world.dns.txt("rsa._domainkey.alpha.example", keys.rsa_record());
        world.dns.txt("_dmarc.alpha.example", "v=DMARC1; p=reject");
        (world, keys)
    }

    /// What becomes of a mail at the worker's door, with the settings' defaults: `admitted`, `deferred`, or `quarantined` and the
    /// class of the reason.
    pub(crate) async fn end(&self, raw: &str) -> String {
        let raw = Bytes::from(raw.to_owned());
        let envelope = SmtpEnvelope { from: None, to: vec![Pii::new("desk@ours.example".to_owned())] };
        let arrival = self.admission.arrive("default", envelope, None);
        let mut parsed = self.sandbox.parse(raw.clone(), arrival.envelope.to.clone()).await.unwrap().unwrap();
        let entering = self.admission.enter("default", &arrival, (&raw, &mut parsed), &self.gate, &self.sandbox);
        match entering.await.unwrap() {
            Entry::Admitted => "admitted".to_owned(),
            Entry::Deferred => "deferred".to_owned(),
            Entry::Stopped(Stop::Quarantine { class, .. }) => format!("quarantined: {class}"),
            Entry::Stopped(Stop::Reject { .. }) => "rejected".to_owned(),
        }
    }

    /// Authenticates a mail without an envelope.
    pub(crate) async fn check(&self, raw: &str) -> Authentication {
        self.check_from(raw, None).await
    }

    /// What an honest child says of a mail's header.
    pub(crate) async fn evidence(&self, raw: &str) -> Evidence {
        let mut parsed = self.sandbox.parse(Bytes::from(raw.to_owned()), vec![]).await.unwrap().unwrap();
        *parsed.evidence.take().unwrap()
    }

    /// Authenticates a mail of which a child says this.
    pub(crate) async fn check_lie(&self, raw: &str, evidence: Evidence) -> Authentication {
        let (raw, envelope) = (Bytes::from(raw.to_owned()), SmtpEnvelope { from: None, to: vec![] });
        let mail = Mail { raw: &raw, evidence, envelope: &envelope, receipt: None };
        self.authenticator.check(mail, &self.sandbox).await.unwrap()
    }

    /// Authenticates a mail with a `MAIL FROM` of the envelope.
    pub(crate) async fn check_from(&self, raw: &str, mail_from: Option<&str>) -> Authentication {
        let raw = Bytes::from(raw.to_owned());
        let envelope = SmtpEnvelope { from: mail_from.map(|from| Pii::new(from.to_owned())), to: vec![] };
        let mut parsed = self.sandbox.parse(raw.clone(), vec![]).await.unwrap().unwrap();
        let evidence = *parsed.evidence.take().unwrap();
        let mail = Mail { raw: &raw, evidence, envelope: &envelope, receipt: None };
        self.authenticator.check(mail, &self.sandbox).await.unwrap()
    }
}

/// A pair of keys.
pub(crate) struct Keys {
    ed: Vec<u8>,
    rsa: rcgen::KeyPair,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        Self { ed: Ed25519Key::generate_pkcs8().unwrap(), rsa }
    }

    pub(crate) fn ed(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.ed).unwrap()
    }

    pub(crate) fn rsa(&self) -> RsaKey<Sha256> {
        RsaKey::from_key_der(PrivateKeyDer::try_from(self.rsa.serialize_der()).unwrap()).unwrap()
    }

    pub(crate) fn ed_record(&self) -> String {
        format!("v=DKIM1; k=ed25519; p={}", encode(&self.ed().public_key()))
    }

    pub(crate) fn rsa_record(&self) -> String {
        format!("v=DKIM1; k=rsa; p={}", encode(&self.rsa().public_key()))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

/// A mail of the author with an ordinary body.
pub(crate) fn mail(from: &str) -> String {
    format!(
        "From: {from}\r\nTo: b@ours.example\r\nSubject: Hello\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\nHi.\r\n"
    )
}

/// Signs it: `ed` or `rsa` is both the key and the selector.
pub(crate) fn sign(raw: &str, domain: &str, keys: &Keys, selector: &str) -> String {
    let key: DkimKey = if selector == "rsa" { keys.rsa().into() } else { keys.ed().into() };
    sign_with(key, raw, domain, selector)
}

pub(crate) fn sign_with(key: impl SigningKey, raw: &str, domain: &str, selector: &str) -> String {
    let signer = DkimSigner::from_key(key).domain(domain).selector(selector).headers(["From", "To", "Subject", "Date"]);
    format!("{}{raw}", signer.sign(raw.as_bytes()).unwrap().to_header())
}

/// What Amazon SES writes above a mail that a client handed over.
pub(crate) fn ses(client: &str, helo: &str, mail_from: &str, raw: &str) -> String {
    format!(
        "Return-Path: <{mail_from}>\r\n\
         Received: from {helo} ({helo} [{client}])\r\n by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc123\r\n \
         for b@ours.example;\r\n Tue, 24 Nov 2026 09:00:01 +0000 (UTC)\r\n\
         X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n\
         Received-SPF: none (spfCheck: no record) client-ip={client}; envelope-from={mail_from}; helo={helo};\r\n\
         Authentication-Results: amazonses.com;\r\n spf=none (spfCheck: no record) client-ip={client}; \
         envelope-from={mail_from}; helo={helo};\r\n dkim=none;\r\n dmarc=none;\r\n\
         X-SES-RECEIPT: AEFBQUFB\r\nX-SES-DKIM-SIGNATURE: a=rsa-sha256; b=AAAA; d=amazonses.com\r\n{raw}"
    )
}

/// The mail as `alpha.example` itself would send it.
pub(crate) fn from_alpha(raw: &str) -> String {
    ses(CLIENT, "mail.alpha.example", "a@alpha.example", raw)
}
