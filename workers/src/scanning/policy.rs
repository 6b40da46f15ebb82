//! What becomes of a mail in which something is not clean: a policy for each verdict, decided by a pure function.
//!
//! A rule's word comes before the tenant's, the tenant's before `[scan]`'s; what nobody speaks of is quarantined. Of
//! several rules, and of several items, the strictest action stands: no rule's leniency is for another one's destinations. Only what was scanned is ever delivered, and what is not clean only by a
//! policy that says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{clamav::Verdict, ids::TenantId};

use super::report::{Item, Place, ScanReport, rank};

/// What to do about something that is not clean, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Deliver it all the same, with its verdict.
    Deliver,
    /// Deliver the mail without the part's content.
    DeliverWithout,
    /// Wait, and scan again: the scanner may know more then.
    Defer,
    /// Keep the mail aside.
    Quarantine,
    /// Refuse the mail.
    Reject,
}

impl Action {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("quarantine", Self::Quarantine),
        ("deliver", Self::Deliver),
        ("deliver_without", Self::DeliverWithout),
        ("defer", Self::Defer),
        ("reject", Self::Reject),
    ];

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::DeliverWithout => "deliver_without",
            Self::Defer => "defer",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// What becomes of what nobody speaks of.
const UNSAID: Action = Action::Quarantine;

/// What somebody says about some verdicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerdictPolicy {
    /// A signature matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infected: Option<Action>,
    /// It could not be looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<Action>,
    /// Not all of it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits_exceeded: Option<Action>,
    /// It cannot be scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unscannable: Option<Action>,
}

impl VerdictPolicy {
    /// Its keys in the configuration.
    pub const KEYS: [&'static str; 4] = ["infected", "encrypted", "limits_exceeded", "unscannable"];

    /// Whether nothing is said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// Sets what is said about the verdict of that key; an unknown one is ignored.
    pub fn set(&mut self, key: &str, action: Option<Action>) {
        match key {
            "infected" => self.infected = action,
            "encrypted" => self.encrypted = action,
            "limits_exceeded" => self.limits_exceeded = action,
            "unscannable" => self.unscannable = action,
            _ => {}
        }
    }

    /// This policy's words, and where it is silent those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            infected: self.infected.or(other.infected),
            encrypted: self.encrypted.or(other.encrypted),
            limits_exceeded: self.limits_exceeded.or(other.limits_exceeded),
            unscannable: self.unscannable.or(other.unscannable),
        }
    }

    /// Of both words the stricter one; silence is the word that nobody else spoke.
    fn and(self, other: Self) -> Self {
        let stricter = |a: Option<Action>, b: Option<Action>| Some(a.unwrap_or(UNSAID).max(b.unwrap_or(UNSAID)));
        Self {
            infected: stricter(self.infected, other.infected),
            encrypted: stricter(self.encrypted, other.encrypted),
            limits_exceeded: stricter(self.limits_exceeded, other.limits_exceeded),
            unscannable: stricter(self.unscannable, other.unscannable),
        }
    }

    /// What to do about a verdict: to keep the mail aside, unless something else is said.
    #[must_use]
    pub fn action(&self, verdict: &Verdict) -> Action {
        let said = match verdict {
            Verdict::Clean => Some(Action::Deliver),
            Verdict::Infected { .. } => self.infected,
            Verdict::Encrypted { .. } => self.encrypted,
            Verdict::LimitsExceeded { .. } => self.limits_exceeded,
            Verdict::Unscannable { .. } => self.unscannable,
        };
        said.unwrap_or(UNSAID)
    }
}

/// `[scan]` and `[scan.tenant.*]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// For everybody.
    pub all: VerdictPolicy,
    /// For one tenant's mail.
    pub tenants: BTreeMap<String, VerdictPolicy>,
}

impl Policies {
    /// What is in force for a tenant's mail and the rules that matched it.
    #[must_use]
    pub fn of(&self, tenant: &TenantId, rules: &[VerdictPolicy]) -> VerdictPolicy {
        let tenant = self.tenants.get(tenant.as_str()).copied().unwrap_or_default();
        let otherwise = tenant.or(self.all);
        rules.iter().map(|rule| rule.or(otherwise)).reduce(VerdictPolicy::and).unwrap_or(otherwise)
    }
}

/// What becomes of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handling {
    /// It is delivered, without the content of these parts.
    Deliver {
        /// Positions in the parsed mail's parts.
        withheld: BTreeSet<usize>,
    },
    /// It waits, because of this.
    Defer(Item),
    /// It is kept aside, because of this.
    Quarantine(Item),
    /// It is refused, because of this.
    Reject(Item),
}

impl Handling {
    /// What a policy makes of a report.
    #[must_use]
    pub fn of(report: &ScanReport, policy: &VerdictPolicy) -> Self {
        let items = report.items();
        let judged = items.iter().map(|item| (action(item, &items, policy), item));
        let strictest = judged.clone().max_by_key(|(action, item)| (*action, rank(&item.verdict)));
        match strictest {
            Some((Action::Reject, item)) => Self::Reject(item.clone()),
            Some((Action::Quarantine, item)) => Self::Quarantine(item.clone()),
            Some((Action::Defer, item)) => Self::Defer(item.clone()),
            Some((Action::Deliver | Action::DeliverWithout, _)) | None => {
                let without = judged.filter(|(action, _)| *action == Action::DeliverWithout);
                Self::Deliver { withheld: without.filter_map(|(_, item)| item.place.part()).collect() }
            }
        }
    }
}

fn action(item: &Item, all: &[Item], policy: &VerdictPolicy) -> Action {
    match policy.action(&item.verdict) {
        // Without which part would it be right? The raw mail as a whole cannot be left out.
        Action::DeliverWithout if item.place == Place::Raw && !is_explained(item, all) => Action::Quarantine,
        action => action,
    }
}

/// Whether what was found in the raw mail was found in one of its parts too.
fn is_explained(raw: &Item, all: &[Item]) -> bool {
    all.iter().filter(|item| item.place != Place::Raw).any(|item| match (&raw.verdict, &item.verdict) {
        (Verdict::Infected { signature }, Verdict::Infected { signature: same }) => signature == same,
        (raw, part) => raw.name() == part.name(),
    })
}

#[cfg(test)]
mod tests;
