//! Routing rules: which destinations a mail goes to, decided by pure functions over its facts.
//!
//! Rules are tried in order. One that matches and delivers adds its destinations, and ends the evaluation
//! unless it says `stop = false`. One that matches and quarantines, rejects or drops decides alone, whatever
//! rules before it added. Invariant: every mail gets exactly one outcome; one that no rule matches gets the
//! set's default, so it is never lost.

mod condition;
mod facts;
mod glob;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use condition::{Condition, Field, Matcher};
pub use facts::{Facts, VERDICTS};
pub use glob::{Glob, LONGEST_PATTERN};

use crate::{
    names::{DestinationName, RuleName},
    scanning::VerdictPolicy,
};

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique in the set.
    pub name: RuleName,
    /// Which mails it is for.
    pub when: Condition,
    /// What happens to them.
    pub then: Action,
    /// What becomes of them where something in them is not clean, as far as the rule speaks of it.
    pub scan: VerdictPolicy,
}

/// What a rule, or the default, does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Deliver to these destinations.
    Deliver {
        /// At least one.
        to: Vec<DestinationName>,
        /// Whether the following rules are left untried.
        stop: bool,
    },
    /// Keep the mail aside.
    Quarantine {
        /// Why, if the rule says so.
        reason: Option<String>,
    },
    /// Refuse the mail.
    Reject {
        /// Why, if the rule says so.
        reason: Option<String>,
    },
    /// Forget the mail, with an audited event.
    Drop {
        /// Why, if the rule says so.
        reason: Option<String>,
    },
}

/// What was decided about one mail, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The rules that matched, in order; none when the default decided.
    pub rules: Vec<RuleName>,
    /// What happens to the mail.
    pub outcome: Outcome,
    /// What each of these rules says about verdicts; empty where none says anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<VerdictPolicy>,
}

/// What happens to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It goes to each of these once, in the order in which the rules name them.
    Deliver(Vec<DestinationName>),
    /// It is kept aside.
    Quarantine {
        /// Why, in the operator's words or ours.
        reason: String,
    },
    /// It is refused.
    Reject {
        /// Why, in the operator's words or ours.
        reason: String,
    },
    /// It is forgotten, with an audited event.
    Drop {
        /// Why, in the operator's words or ours.
        reason: String,
    },
}

/// Ordered rules with their default.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    default: Action,
    version: String,
}

impl RuleSet {
    /// A set of rules, and what happens to a mail that none of them matches.
    pub fn new(rules: Vec<Rule>, default: Action) -> Self {
        let version = version(&rules, &default);
        Self { rules, default, version }
    }

    /// What the rules say, by name of their content: 12 hex digits of SHA-256 over rules and default.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Decides about one mail.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut rules = Vec::new();
        let mut destinations = Vec::new();
        let mut policies = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.when.matches(facts)) {
            rules.push(rule.name.clone());
            policies.push(rule.scan);
            match &rule.then {
                Action::Deliver { to, stop } => {
                    add_new(&mut destinations, to);
                    if *stop {
                        break;
                    }
                }
                action => {
                    let outcome = action.outcome(&format!("rule {}", rule.name));
                    return Decision { rules, outcome, policies: Vec::new() };
                }
            }
        }
        if policies.iter().all(VerdictPolicy::is_silent) {
            policies.clear();
        }
        let outcome =
            if rules.is_empty() { self.default.outcome("no rule matched") } else { Outcome::Deliver(destinations) };
        Decision { rules, outcome, policies }
    }
}

impl Action {
    fn outcome(&self, otherwise: &str) -> Outcome {
        let said = |reason: &Option<String>| reason.clone().unwrap_or_else(|| otherwise.to_owned());
        match self {
            Self::Deliver { to, .. } => {
                let mut destinations = Vec::new();
                add_new(&mut destinations, to);
                Outcome::Deliver(destinations)
            }
            Self::Quarantine { reason } => Outcome::Quarantine { reason: said(reason) },
            Self::Reject { reason } => Outcome::Reject { reason: said(reason) },
            Self::Drop { reason } => Outcome::Drop { reason: said(reason) },
        }
    }

    fn canonical(&self) -> Value {
        match self {
            Self::Deliver { to, stop } => {
                let to: Vec<&str> = to.iter().map(DestinationName::as_str).collect();
                json!({ "deliver": to, "stop": stop })
            }
            Self::Quarantine { reason } => json!({ "quarantine": reason }),
            Self::Reject { reason } => json!({ "reject": reason }),
            Self::Drop { reason } => json!({ "drop": reason }),
        }
    }
}

fn add_new(destinations: &mut Vec<DestinationName>, more: &[DestinationName]) {
    for destination in more {
        if !destinations.contains(destination) {
            destinations.push(destination.clone());
        }
    }
}

fn version(rules: &[Rule], default: &Action) -> String {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| json!([rule.name.as_str(), rule.when.canonical(), rule.then.canonical(), rule.scan]))
        .collect();
    let canonical = json!([rules, default.canonical()]).to_string();
    Sha256::digest(canonical).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
