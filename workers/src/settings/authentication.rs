//! `[authentication]`: whom to ask about senders, whom to believe, and what follows.

use std::time::Duration;

use shared::config::Reader;

use super::{PlaneSettings, sections::positive};
use crate::auth::{
    Domain,
    dns::Servers,
    evidence::Trust,
    policy::{DmarcMode, OnTempError},
};

/// How Amazon SES's servers sign in `Received`.
const SES_HOSTS: &str = "inbound-smtp.*.amazonaws.com";

/// `[authentication]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// Which servers are asked; `None`: nobody, nothing is checked.
    pub servers: Option<Servers>,
    /// How long all lookups of one mail may take together.
    pub timeout: Duration,
    /// What follows from DMARC.
    pub dmarc: DmarcMode,
    /// What follows when DNS fails.
    pub on_temperror: OnTempError,
    /// Our name in results.
    pub authserv_id: String,
    /// Whose words in a mail's header are believed.
    pub trust: Trust,
    /// Whose seals may vouch for an author (RFC 8617 §7.2).
    pub trusted_sealers: Vec<Domain>,
}

impl Authentication {
    pub(super) fn read(section: &Reader<'_>, plane: &PlaneSettings) -> Self {
        let servers = |text: &str| match text {
            "system" => Some(Some(Servers::System)),
            "off" => Some(None),
            address => address.parse().ok().map(|address| Some(Servers::At(address))),
        };
        let expected = "\"system\", \"off\", or a server's address and port, such as \"10.0.0.2:53\"";
        let modes = [("enforce", DmarcMode::Enforce), ("tag", DmarcMode::Tag)];
        let failures =
            [("defer", OnTempError::Defer), ("accept", OnTempError::Accept), ("quarantine", OnTempError::Quarantine)];
        let host = |text: &str| is_host(text, true).then(|| text.to_ascii_lowercase());
        let id = |text: &str| is_host(text, false).then(|| text.to_ascii_lowercase());
        let sealer = |text: &str| Domain::parse(text).filter(|domain| domain.organisation().is_some());
        let hosts: &[&str] = if matches!(plane, PlaneSettings::Aws(_)) { &[SES_HOSTS] } else { &[] };
        let settings = Self {
            servers: section.parsed_or("resolver", expected, ("system", Some(Servers::System)), servers),
            timeout: positive(section, "timeout", Duration::from_secs(3)),
            dmarc: section.one_of_or_first("dmarc", modes),
            on_temperror: section.one_of_or_first("on_temperror", failures),
            authserv_id: section.parsed_or(
                "authserv_id",
                "a name of letters, digits, \".\" and \"-\"",
                ("mailtri", "mailtri".to_owned()),
                id,
            ),
            trust: Trust {
                hosts: section.list("trusted_hosts", hosts, "a server's name, \"*\" is any text", host),
                authserv_ids: section.list("trusted_authserv_ids", &[], "a name", id),
            },
            trusted_sealers: section.list(
                "trusted_sealers",
                &[],
                "a sealer's domain, such as \"google.com\"; not a public suffix",
                sealer,
            ),
        };
        if settings.servers.is_none() && section.is_set("dmarc") && settings.dmarc == DmarcMode::Enforce {
            section.reject("dmarc", "without DNS there is nothing to enforce; set resolver, or dmarc = \"tag\"");
        }
        if settings.trust.authserv_ids.contains(&settings.authserv_id) {
            section.reject("trusted_authserv_ids", "this is our own authserv_id, which nobody else may use");
        }
        settings
    }
}

fn is_host(text: &str, patterns: bool) -> bool {
    let is_char =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-') || (patterns && matches!(b, b'*' | b'?'));
    (1..=253).contains(&text.len()) && text.bytes().all(is_char)
}
