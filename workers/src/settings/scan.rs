//! `[scan]`: what is scanned, and what becomes of what is not clean.

use std::time::Duration;

use shared::config::Reader;

use super::{Tenants, sections::positive};
use crate::scanning::{Action, Policies, ScanRaw, VerdictPolicy};

/// What verdicts mean, and whether the raw mail is scanned beside its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// When the raw mail is scanned.
    pub raw: ScanRaw,
    /// How long looking into one container may take.
    pub walk_wall: Duration,
    /// What becomes of a mail that is not clean.
    pub policies: Policies,
}

impl Scan {
    pub(super) fn read(section: &Reader<'_>, tenants: &Tenants) -> Self {
        let choices = [("always", ScanRaw::Always), ("findings", ScanRaw::Findings), ("never", ScanRaw::Never)];
        let mut policies = Policies { all: policy(section), ..Policies::default() };
        for (tenant, section) in section.subsections("tenant") {
            if !tenants.is_tenant(&tenant) {
                section.reject_section("no domain belongs to this tenant: see [tenants]");
            }
            policies.tenants.insert(tenant, verdict_policy(&section));
        }
        let walk_wall = positive(section, "walk_wall", Duration::from_secs(20));
        Self { raw: section.one_of_or_first("raw", choices), walk_wall, policies }
    }
}

/// The policy for everybody: every verdict has its word.
fn policy(section: &Reader<'_>) -> VerdictPolicy {
    let mut policy = VerdictPolicy::default();
    for key in VerdictPolicy::KEYS {
        policy.set(key, Some(section.one_of_or_first(key, Action::WORDS)));
    }
    policy
}

/// A policy that may be silent about verdicts.
pub(super) fn verdict_policy(section: &Reader<'_>) -> VerdictPolicy {
    let mut policy = VerdictPolicy::default();
    for key in VerdictPolicy::KEYS {
        policy.set(key, section.one_of(key, &Action::WORDS));
    }
    policy
}
