//! `[destination.NAME]`: where mail can be delivered to.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use shared::{
    config::{Reader, units},
    limit::Rate,
};
use url::Url;

use super::sections::positive;
use crate::{
    names::{self, DestinationName},
    webhook::{DestinationHttp, Schedule, SigningSecret, SigningSecrets, egress::EgressPolicy},
};

/// Words that stand where destinations do, and so cannot name one.
pub const NOT_DESTINATIONS: [&str; 3] = ["quarantine", "reject", "drop"];

/// The waits of Standard Webhooks 1.0 after each failed attempt, about three days in all.
const SCHEDULE: [&str; 9] = ["5s", "5min", "30min", "2h", "5h", "10h", "14h", "20h", "24h"];

/// A webhook.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where to, and how to get there.
    pub http: DestinationHttp,
    /// What signs the deliveries, the newest first.
    pub secrets: Arc<SigningSecrets>,
    /// Deliveries in a period.
    pub rate: Option<Rate>,
    /// Deliveries at once, in one process.
    pub concurrency: NonZeroU32,
    /// The waits before the attempts, the first of which goes at once.
    pub schedule: Schedule,
}

/// What the deliver stage's policy allows.
pub(super) struct Bounds {
    pub(super) most_attempts: u32,
    pub(super) longest: Duration,
}

/// Every destination by name; without a value where something is wrong with it, which has been noted.
pub(super) fn read(root: &Reader<'_>, bounds: &Bounds) -> Vec<(DestinationName, Option<Destination>)> {
    let mut destinations = Vec::new();
    for (name, section) in root.subsections("destination") {
        let destination = Destination::read(&section, bounds);
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
    fn read(section: &Reader<'_>, bounds: &Bounds) -> Option<Self> {
        let allow_http = section.get_or("allow_http", false);
        let url = url(section, allow_http);
        let secrets = secrets(section);
        let ca_file = section.readable_file("ca_file");
        let network = "a network, such as \"10.1.0.0/16\" or \"127.0.0.1/32\"";
        let allow_cidrs = section.list("allow_cidrs", &[], network, |text| text.parse().ok());
        let timeout = positive(section, "timeout", Duration::from_secs(30));
        if timeout >= bounds.longest {
            section.reject("timeout", "must be less than stage.deliver.deadline");
        }
        let rate = section.parsed("rate", Rate::EXPECTED, |text| text.parse().ok());
        let concurrency = section.get_or("concurrency", NonZeroU32::MIN.saturating_add(7));
        let schedule = schedule(section, bounds.most_attempts);
        let http = DestinationHttp { ca_file, allow_cidrs, allow_http, timeout, ..DestinationHttp::new(url?) };
        let policy = EgressPolicy { allow_cidrs: http.allow_cidrs.clone(), allow_http };
        if let Err(error) = policy.check_url(&http.url) {
            section.reject_hidden("url", None, &error.to_string());
        }
        Some(Self { http, secrets: Arc::new(secrets?), rate, concurrency, schedule: schedule? })
    }
}

/// The signing secrets, the newest first. Nothing of them is ever shown.
fn secrets(section: &Reader<'_>) -> Option<SigningSecrets> {
    let newest = section.required_secret("secret");
    let parsed = |name: &str, secret: SecretString| match secret.expose_secret().parse::<SigningSecret>() {
        Ok(secret) => Some(secret),
        Err(error) => {
            let key = ["env", "file"].map(|kind| format!("{name}_{kind}")).into_iter().find(|key| section.is_set(key));
            section.reject_hidden(&key.unwrap_or_else(|| name.to_owned()), None, &error.to_string());
            None
        }
    };
    let newest = newest.and_then(|secret| parsed("secret", secret));
    let previous = section.secret("previous_secret").and_then(|secret| parsed("previous_secret", secret));
    SigningSecrets::new([newest?].into_iter().chain(previous).collect()).ok()
}

fn schedule(section: &Reader<'_>, most_attempts: u32) -> Option<Schedule> {
    let waits = section.list("schedule", &SCHEDULE, units::DURATION, units::parse_duration);
    let schedule = Schedule::new([Duration::ZERO].into_iter().chain(waits).collect()).ok()?;
    if schedule.attempts() > usize::try_from(most_attempts).unwrap_or(usize::MAX) {
        let wrong = format!("more attempts than stage.deliver.max_attempts, {most_attempts}, allows");
        section.reject("schedule", &wrong);
    }
    Some(schedule)
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
