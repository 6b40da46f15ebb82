//! The typed settings of mailtri, read from `mailtri.toml` and the environment.
//!
//! `mailtri.example.toml` documents every key. Everything is checked here, also across sections, so that a
//! [`Settings`] is usable as it stands.

mod authentication;
mod aws;
mod destinations;
mod findings;
mod limit;
mod rules;
mod sandbox;
mod scan;
mod sections;
mod senders;
mod stages;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use shared::{
    config::{ConfigError, Document, Effective, Environment, Reader},
    policy::Policy,
};

pub use authentication::Authentication;
pub use aws::{AwsSettings, PlaneSettings};
use destinations::Bounds;
pub use destinations::{Destination, NOT_DESTINATIONS};
pub use sandbox::Sandbox;
pub use scan::Scan;
pub use sections::{Audit, Clamav, Data, Html, Limits, Shutdown, Telemetry, Tenants};

use crate::{
    limiting::Limit,
    mail::limits::Limits as ParseLimits,
    names::DestinationName,
    pipeline::{DELIVER, Row, SCAN, StageName},
    rules::RuleSet,
    senders::{Recipients, Senders},
};

/// Every variable that starts so overrides a key: `MAILTRI_LIMITS__MAX_MAIL=25MB`.
pub const PREFIX: &str = "MAILTRI_";

/// Variables with that prefix that are no keys: the configuration's own place.
pub const RESERVED: &[&str] = &["MAILTRI_CONFIG"];

/// Everything that an operator can set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[plane]` with `[aws]` and `[redis]`.
    pub plane: PlaneSettings,
    /// `[data]`.
    pub data: Data,
    /// `[clamav]`.
    pub clamav: Clamav,
    /// `[scan]`.
    pub scan: Scan,
    /// `[stage.NAME]`, one entry for each stage.
    pub policies: BTreeMap<StageName, Policy>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[sandbox]`.
    pub sandbox: Sandbox,
    /// `[tenants]`.
    pub tenants: Tenants,
    /// `[findings]`.
    pub findings: crate::findings::Policy,
    /// `[senders]`.
    pub senders: Senders,
    /// `[recipients]`.
    pub recipients: Recipients,
    /// `[html]`.
    pub html: Html,
    /// `[authentication]`.
    pub authentication: Authentication,
    /// `[destination.NAME]`.
    pub destinations: BTreeMap<DestinationName, Destination>,
    /// `[[rule]]` and `[route]`.
    pub rules: Arc<RuleSet>,
    /// `[limit.NAME]`, and what destinations say of themselves.
    pub declared_limits: Vec<Limit>,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[shutdown]`.
    pub shutdown: Shutdown,
    /// `[audit]`.
    pub audit: Audit,
}

impl Settings {
    /// Reads and checks the configuration; the second value is what `mailtri config show` prints.
    ///
    /// # Errors
    /// Everything that is wrong, at once. The process should exit with 78 (`EX_CONFIG`).
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Effective), ConfigError> {
        let document = Document::load(file, Environment::new(PREFIX, RESERVED, variables))?;
        let settings = Self::read(&document.root());
        let effective = document.finish()?;
        Ok((settings, effective))
    }

    /// How a stage of the table is run.
    pub fn policy(&self, row: &Row) -> Policy {
        self.policies.get(&row.stage).copied().unwrap_or(row.policy)
    }

    /// How much of a mail the parser looks at.
    pub fn parse_limits(&self) -> ParseLimits {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        ParseLimits {
            raw: size(self.limits.max_mail),
            parts: size(self.limits.max_parts.get().into()),
            html: size(self.limits.max_html),
            remote_images: self.html.remote_images.clone(),
            html_budget: self.html.budget,
            ..ParseLimits::default()
        }
    }

    fn read(root: &Reader<'_>) -> Self {
        let tenants = Tenants::read(&root.section("tenants"));
        let policies = stages::read(&root.section("stage"));
        let audit = Audit::read(&root.section("audit"));
        let plane = aws::read(root);
        let clamav = Clamav::read(&root.section("clamav"));
        if policies.get(&SCAN).is_some_and(|policy| clamav.deadlines.scan > policy.deadline) {
            root.section("clamav").reject("deadline", "must be at most stage.scan.deadline");
        }
        let deliver = policies.get(&DELIVER);
        let longest = deliver.map_or(Duration::MAX, |policy| policy.deadline);
        let most_attempts = deliver.map_or(u32::MAX, |policy| policy.max_attempts);
        let destinations = destinations::read(root, &Bounds { most_attempts, longest });
        let known = rules::Known {
            destinations: destinations.iter().map(|(name, _)| name.clone()).collect(),
            tenants: tenants.names().map(|tenant| tenant.as_str().to_owned()).collect::<BTreeSet<String>>(),
        };
        let destinations = destinations.into_iter().filter_map(|(name, read)| Some((name, read?))).collect();
        let authentication = Authentication::read(&root.section("authentication"), &plane);
        let mut declared_limits = limit::read(root, &tenants, !authentication.trust.hosts.is_empty());
        declared_limits.extend(limit::of_destinations(&destinations));
        let limits = Limits::read(&root.section("limits"));
        Self {
            authentication,
            plane,
            data: Data::read(&root.section("data")),
            clamav,
            scan: Scan::read(&root.section("scan"), &tenants),
            policies,
            sandbox: Sandbox::read(&root.section("sandbox"), limits.max_mail),
            limits,
            findings: findings::read(root, &tenants),
            senders: senders::read(root, &tenants),
            recipients: senders::recipients(root, &tenants),
            tenants,
            html: Html::read(&root.section("html")),
            rules: Arc::new(rules::read(root, &known)),
            destinations,
            declared_limits,
            telemetry: Telemetry::read(&root.section("telemetry")),
            shutdown: Shutdown::read(&root.section("shutdown")),
            audit,
        }
    }
}
