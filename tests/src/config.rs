//! A configuration file for the fleet under test.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use crate::{aws::Cloud, clamd::Clamd, receiver::Receiver};

/// The variable that holds the receiver's secret. (`MAILTRI_…` would be a key of the configuration.)
pub const SECRET_ENV: &str = "RECEIVER_SECRET";

/// `mailtri.toml` in the making.
#[derive(Debug, Clone)]
pub struct Config {
    text: String,
    secret_in_file: bool,
    /// Whether the plane is a directory, which commands are told by `--data`.
    pub(crate) embedded: bool,
    pub(crate) env: BTreeMap<String, String>,
}

impl Config {
    /// A configuration with nothing but a scanner: nobody is asked about senders.
    #[must_use]
    pub fn new(clamd: &Clamd) -> Self {
        Self::scanned_by(&[clamd.endpoint()], "")
    }

    /// The same with other scanners; `more` are further keys of theirs.
    #[must_use]
    pub fn scanned_by(endpoints: &[String], more: &str) -> Self {
        Self::made_of(endpoints, more, "resolver = \"off\"")
    }

    /// The same with these keys of `[authentication]`.
    #[must_use]
    pub fn asking(clamd: &Clamd, authentication: &str) -> Self {
        Self::made_of(&[clamd.endpoint()], "", authentication)
    }

    fn made_of(endpoints: &[String], more: &str, authentication: &str) -> Self {
        let text = format!("[clamav]\nendpoint = {endpoints:?}\n{more}\n\n[authentication]\n{authentication}\n");
        Self { text, secret_in_file: false, embedded: true, env: BTreeMap::new() }
    }

    /// Everything is delivered to `/hook` of the receiver.
    #[must_use]
    pub fn to(self, receiver: &Receiver) -> Self {
        self.destination("hook", receiver, "/hook", "").section("route", "default = [\"hook\"]")
    }

    /// From here on secrets come from the receiver's file, so that the configuration is whole without an environment.
    #[must_use]
    pub fn secrets_in_files(self) -> Self {
        Self { secret_in_file: true, ..self }
    }

    /// A scanner, and everything is delivered to `/hook` of the receiver.
    #[must_use]
    pub fn simple(clamd: &Clamd, receiver: &Receiver) -> Self {
        Self::new(clamd).to(receiver)
    }

    /// Adds a destination at a path of the receiver; `more` are further keys.
    #[must_use]
    pub fn destination(mut self, name: &str, receiver: &Receiver, path: &str, more: &str) -> Self {
        self.env.insert(SECRET_ENV.to_owned(), receiver.secret().to_owned());
        let (url, ca) = (receiver.url(path), receiver.ca_file());
        let schedule = if more.contains("schedule") { "" } else { "schedule = [\"200ms\", \"1s\", \"2s\", \"5s\"]" };
        let secret = if self.secret_in_file {
            format!("secret_file = \"{}\"", receiver.secret_file().display())
        } else {
            format!("secret_env = \"{SECRET_ENV}\"")
        };
        let body = format!(
            "url = \"{url}\"\n{secret}\nca_file = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\
             {schedule}\n{more}",
            ca.display()
        );
        self.section(&format!("destination.{name}"), &body)
    }

    /// The production plane instead of a directory, reached at `endpoint`: the cloud's own, or a proxy before it.
    #[must_use]
    pub fn on(mut self, cloud: &Cloud, endpoint: &str) -> Self {
        self.embedded = false;
        self.env.extend(cloud.environment());
        cloud.sections(endpoint).into_iter().fold(self, |config, (name, body)| config.section(name, &body))
    }

    /// Adds a section.
    #[must_use]
    pub fn section(mut self, name: &str, body: &str) -> Self {
        let _ = write!(self.text, "\n[{name}]\n{body}\n");
        self
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, body: &str) -> Self {
        let _ = write!(self.text, "\n[[rule]]\n{body}\n");
        self
    }

    /// Gives every stage this visibility, with a heartbeat of a third of it, and short backoffs, so that a dead worker's
    /// mails come back soon; a mail may be there at `max_crashes` deaths.
    #[must_use]
    pub fn short_leases(self, visibility: Duration, max_crashes: u32) -> Self {
        let (visibility, heartbeat) = (visibility.as_millis(), visibility.as_millis() / 3);
        let body = format!(
            "visibility = \"{visibility}ms\"\nheartbeat = \"{heartbeat}ms\"\n\
             backoff_first = \"200ms\"\nbackoff_longest = \"2s\"\nmax_crashes = {max_crashes}"
        );
        let stages = ["parse", "scan", "route", "deliver"];
        stages.iter().fold(self, |config, stage| config.section(&format!("stage.{stage}"), &body))
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
