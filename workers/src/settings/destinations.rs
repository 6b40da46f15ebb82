//! `[destination.NAME]`: where mail can be delivered to.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use shared::{
    config::{Reader, units},
    limit::Rate,
};
use url::Url;

use super::sections::positive;
use crate::names::{self, DestinationName};

/// Words that stand where destinations do, and so cannot name one.
pub const NOT_DESTINATIONS: [&str; 3] = ["quarantine", "reject", "drop"];

/// The waits of Standard Webhooks 1.0 after each failed attempt, about three days in all.
const SCHEDULE: [&str; 9] = ["5s", "5min", "30min", "2h", "5h", "10h", "14h", "20h", "24h"];

const RATE: &str =
    "a rate, \"COUNT/sec|min|hour|day\", perhaps with \"burst COUNT\" after it, such as \"100/min burst 200\"";

/// A webhook.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where to.
    pub url: Url,
    /// What signs the deliveries.
    pub secret: SecretString,
    /// What signs them as well while receivers change over to a new secret.
    pub previous_secret: Option<SecretString>,
    /// Certificates to trust instead of the public ones, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Networks that are not public and may be connected to all the same.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether `http` is allowed: for development only.
    pub allow_http: bool,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Deliveries in a period.
    pub rate: Option<Rate>,
    /// Deliveries at once, in one process.
    pub concurrency: NonZeroU32,
    /// The wait after each failed attempt, before jitter; when they are used up, the delivery has failed.
    pub schedule: Vec<Duration>,
}

/// Every destination by name; without a value where something is wrong with it, which has been noted.
pub(super) fn read(root: &Reader<'_>) -> Vec<(DestinationName, Option<Destination>)> {
    let mut destinations = Vec::new();
    for (name, section) in root.subsections("destination") {
        let destination = Destination::read(&section);
        match DestinationName::parse(&name).filter(|name| !NOT_DESTINATIONS.contains(&name.as_str())) {
            Some(name) => destinations.push((name, destination)),
            None if NOT_DESTINATIONS.contains(&name.as_str()) => {
                section.reject_section("this word is an action of rules; give the destination another name");
            }
            None => section.reject_section(&format!("expected {}, at most 40 long", names::EXPECTED)),
        }
    }
    destinations
}

impl Destination {
    fn read(section: &Reader<'_>) -> Option<Self> {
        let allow_http = section.get_or("allow_http", false);
        let url = url(section, allow_http);
        let secret = section.required_secret("secret");
        let previous_secret = section.secret("previous_secret");
        let ca_file = section.readable_file("ca_file");
        let network = "a network, such as \"10.1.0.0/16\" or \"127.0.0.1/32\"";
        let allow_cidrs = section.list("allow_cidrs", &[], network, |text| text.parse().ok());
        let timeout = positive(section, "timeout", Duration::from_secs(30));
        let rate = section.parsed("rate", RATE, |text| text.parse().ok());
        let concurrency = section.get_or("concurrency", NonZeroU32::MIN.saturating_add(7));
        let schedule = section.list("schedule", &SCHEDULE, units::DURATION, units::parse_duration);
        Some(Self {
            url: url?,
            secret: secret?,
            previous_secret,
            ca_file,
            allow_cidrs,
            allow_http,
            timeout,
            rate,
            concurrency,
            schedule,
        })
    }
}

fn url(section: &Reader<'_>, allow_http: bool) -> Option<Url> {
    const KEY: &str = "url";
    const EXPECTED: &str = "an https URL, such as \"https://erp.example.org/mail\"";
    let Some(text) = section.get::<String>(KEY) else {
        if !section.is_set(KEY) {
            section.missing(KEY, EXPECTED);
        }
        return None;
    };
    let wrong = match Url::parse(&text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "expected a URL without user and password".to_owned()
        }
        Ok(url) if url.fragment().is_some() => "expected a URL without \"#\"".to_owned(),
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && allow_http) => return Some(url),
        Ok(url) if url.scheme() == "http" => {
            "expected https; http is for development, with allow_http = true".to_owned()
        }
        _ => format!("expected {EXPECTED}"),
    };
    section.reject_hidden(KEY, showable(&text), &wrong);
    None
}

/// The URL as an error may show it: not at all where it may carry a password or a token.
fn showable(url: &str) -> Option<String> {
    (!url.contains(['@', '?', '#'])).then(|| format!("{url:?}"))
}
