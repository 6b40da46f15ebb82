//! The policy: what becomes of a mail for what was noticed about it.
//!
//! A mail meets the strictest action of its findings. What can be read in two ways is never let through, whatever the
//! configuration says: which of the two readings the next reader takes is not ours to guess.

mod catalogue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    mail::model::{Finding, FindingCode, Severity},
    names::TenantName,
};

/// What a finding does to a mail, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing; it is among the findings in the payload all the same.
    Accept,
    /// Its code is among the mail's tags, for rules and in the payload.
    Tag,
    /// The mail is kept aside.
    Quarantine,
    /// The mail is refused.
    Reject,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Accept, Self::Tag, Self::Quarantine, Self::Reject];

    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Tag => "tag",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// Actions by code, where they are not the default.
pub type Actions = BTreeMap<FindingCode, Action>;

/// The policy of every tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// For everybody.
    pub all: Actions,
    /// For one tenant, before what is for everybody.
    pub tenants: BTreeMap<TenantName, Actions>,
}

/// What the policy says about a mail's findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The strictest action.
    pub action: Action,
    /// The worst finding that asks for it, and the first of those; `None` where everything is accepted.
    pub because: Option<Finding>,
    /// The codes of findings to tell, once each: those with more than [`Action::Accept`].
    pub tags: Vec<FindingCode>,
}

impl Policy {
    /// What one finding does to a tenant's mail.
    #[must_use]
    pub fn action(&self, tenant: &str, finding: &Finding) -> Action {
        let of_tenant = TenantName::parse(tenant).and_then(|name| self.tenants.get(&name)?.get(&finding.code));
        let action = of_tenant.or_else(|| self.all.get(&finding.code)).copied();
        let least = if finding.severity == Severity::Ambiguous { Action::Quarantine } else { Action::Accept };
        action.unwrap_or_else(|| finding.code.default_action()).max(least)
    }

    /// What all of a mail's findings do to it.
    #[must_use]
    pub fn judge(&self, tenant: &str, findings: &[Finding]) -> Judgement {
        let mut judgement = Judgement { action: Action::Accept, because: None, tags: Vec::new() };
        let mut worst = (Action::Accept, Severity::Ambiguous);
        for finding in findings {
            let action = self.action(tenant, finding);
            if (action, finding.severity) > worst {
                worst = (action, finding.severity);
                judgement.because = Some(finding.clone());
            }
            if action > Action::Accept && !judgement.tags.contains(&finding.code) {
                judgement.tags.push(finding.code);
            }
        }
        judgement.action = worst.0;
        judgement.tags.sort_unstable();
        judgement
    }
}
