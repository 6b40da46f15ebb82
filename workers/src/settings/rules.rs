//! `[[rule]]` and `[route]`: the rules as the operator writes them.

use std::collections::BTreeSet;

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use shared::config::Reader;

use crate::{
    auth::results::{ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult},
    mail::model::FindingCode,
    names::{self, DestinationName, RuleName},
    rules::{Action, Condition, Field, Glob, LONGEST_PATTERN, Matcher, Rule, RuleSet, VERDICTS},
};

/// The tenant of mail that belongs to no other.
const DEFAULT_TENANT: &str = "default";

/// What rules can refer to.
pub(super) struct Known {
    pub(super) destinations: BTreeSet<DestinationName>,
    pub(super) tenants: BTreeSet<String>,
}

/// The actions that are no delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Quarantine,
    Reject,
    Drop,
}

const REFUSALS: [(&str, Refusal); 3] =
    [("quarantine", Refusal::Quarantine), ("reject", Refusal::Reject), ("drop", Refusal::Drop)];

pub(super) fn read(root: &Reader<'_>, known: &Known) -> RuleSet {
    let mut names = BTreeSet::new();
    let rules = root.tables("rule").iter().filter_map(|section| rule(section, known, &mut names)).collect();
    RuleSet::new(rules, default_action(&root.section("route"), known))
}

fn rule(section: &Reader<'_>, known: &Known, names: &mut BTreeSet<RuleName>) -> Option<Rule> {
    let expected = format!("{}, at most 64 long", names::EXPECTED);
    let name = section.parsed("name", &expected, RuleName::parse);
    if !section.is_set("name") {
        section.missing("name", &expected);
    }
    if name.as_ref().is_some_and(|name| !names.insert(name.clone())) {
        section.reject("name", "another rule has this name");
    }
    let then = action(section, known);
    let when = condition(&section.section("when"), known);
    let scan = super::scan::verdict_policy(&section.section("scan"));
    if section.is_set("action") && !scan.is_silent() {
        section.reject("scan", "only a rule that delivers says what becomes of what is not clean");
    }
    Some(Rule { name: name?, when, then: then?, scan })
}

fn action(section: &Reader<'_>, known: &Known) -> Option<Action> {
    let to = section.words("deliver").map(|words| destinations(section, "deliver", &words, known));
    let refusal = section.one_of("action", &REFUSALS);
    let reason = section.get::<String>("reason");
    let stop = if section.is_set("action") { section.get("stop") } else { Some(section.get_or("stop", true)) };
    match (section.is_set("deliver"), section.is_set("action")) {
        (true, true) => section.reject("action", "the rule delivers already; keep one of deliver and action"),
        (false, false) => section.reject_section("expected deliver = [\"NAME\"] or action = \"quarantine\""),
        (true, false) if reason.is_some() => section.reject("reason", "only an action has a reason"),
        (false, true) if stop.is_some() => section.reject("stop", "an action always ends the evaluation"),
        _ => {}
    }
    match refusal {
        Some(refusal) => Some(refusal.action(reason)),
        None => to.map(|to| Action::Deliver { to, stop: stop.unwrap_or(true) }),
    }
}

impl Refusal {
    fn action(self, reason: Option<String>) -> Action {
        match self {
            Self::Quarantine => Action::Quarantine { reason },
            Self::Reject => Action::Reject { reason },
            Self::Drop => Action::Drop { reason },
        }
    }
}

fn destinations(section: &Reader<'_>, key: &str, words: &[String], known: &Known) -> Vec<DestinationName> {
    let find = |word: &String| known.destinations.iter().find(|name| name.as_str() == word).cloned();
    let (found, missing): (Vec<_>, Vec<_>) =
        words.iter().map(|word| (word, find(word))).partition(|(_, f)| f.is_some());
    for (word, _) in missing {
        let names: Vec<&str> = known.destinations.iter().map(DestinationName::as_str).collect();
        let there =
            if names.is_empty() { "there is none".to_owned() } else { format!("there is {}", names.join(", ")) };
        section.reject(key, &format!("no destination is called {word:?}; {there}"));
    }
    found.into_iter().filter_map(|(_, name)| name).collect()
}

fn default_action(section: &Reader<'_>, known: &Known) -> Action {
    let words = section.words_or("default", "quarantine");
    let refusal = match words.as_slice() {
        [word] => REFUSALS.iter().find(|(name, _)| name == word).map(|(_, refusal)| *refusal),
        _ => None,
    };
    match refusal {
        Some(refusal) => refusal.action(None),
        None => Action::Deliver { to: destinations(section, "default", &words, known), stop: true },
    }
}

fn condition(when: &Reader<'_>, known: &Known) -> Condition {
    let plain = [
        Field::Recipient,
        Field::Sender,
        Field::SenderDomain,
        Field::Subject,
        Field::Verdict,
        Field::AttachmentType,
        Field::Intent,
        Field::Tenant,
        Field::Finding,
        Field::Tag,
        Field::Spf,
        Field::Dkim,
        Field::Dmarc,
        Field::Arc,
        Field::Iprev,
        Field::AuthenticatedDomain,
    ];
    let mut all: Vec<Condition> = plain
        .into_iter()
        .filter_map(|field| any(when, field.key(), |word| matcher(field.clone(), word, known)))
        .collect();
    all.extend(any(when, "header", header));
    Condition::All(all)
}

/// The condition of one key: any of its patterns.
fn any(when: &Reader<'_>, key: &str, read: impl Fn(&str) -> Result<Matcher, String>) -> Option<Condition> {
    let mut any = Vec::new();
    for word in when.words(key)? {
        match read(&word) {
            Ok(matcher) => any.push(Condition::Is(matcher)),
            Err(message) => when.reject(key, &message),
        }
    }
    Some(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
}

fn matcher(field: Field, word: &str, known: &Known) -> Result<Matcher, String> {
    match field {
        Field::Verdict if !VERDICTS.contains(&word) => Err(format!("expected one of {}", VERDICTS.join(", "))),
        Field::Finding | Field::Tag => finding(word),
        Field::Spf => result(word, SpfResult::WORDS),
        Field::Dkim => result(word, DkimResult::WORDS),
        Field::Dmarc => result(word, DmarcResult::WORDS),
        Field::Arc => result(word, ArcResult::WORDS),
        Field::Iprev => result(word, IprevResult::WORDS),
        Field::Tenant if !is_known_tenant(word, known) => Err(format!(
            "no tenant is called {word:?}; there is {}",
            [DEFAULT_TENANT].into_iter().chain(known.tenants.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
        )),
        _ => Ok(()),
    }?;
    Ok(Matcher { field, pattern: pattern(word)? })
}

fn header(word: &str) -> Result<Matcher, String> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    match word.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if is_name(name) => {
            Ok(Matcher { field: Field::Header(name.to_owned()), pattern: pattern(value)? })
        }
        _ => Err("expected a header field with a pattern, such as \"List-Id: *news*\"".to_owned()),
    }
}

fn pattern(word: &str) -> Result<Glob, String> {
    Glob::parse(word).ok_or_else(|| format!("expected a pattern of 1 to {LONGEST_PATTERN} characters"))
}

/// The names of the findings are those that they have on the wire.
fn finding(word: &str) -> Result<(), String> {
    FindingCode::deserialize(word.into_deserializer()).map(|_| ()).map_err(|error: Error| {
        let text = error.to_string();
        text.split_once("expected").map_or(text.clone(), |(_, known)| format!("expected{known}"))
    })
}

/// The results of authentication are those of RFC 8601.
fn result(word: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&word) { Ok(()) } else { Err(format!("expected one of {}", known.join(", "))) }
}

fn is_known_tenant(word: &str, known: &Known) -> bool {
    word.contains(['*', '?']) || word == DEFAULT_TENANT || known.tenants.contains(word)
}
