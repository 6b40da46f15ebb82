//! `[limit.NAME]`: how much may pass, by whom it is counted. A destination's own `rate` is a limit as well.

use std::{collections::BTreeMap, num::NonZeroU32};

use shared::{
    config::Reader,
    limit::{OnError, Rate, Share},
};

use super::{Destination, Tenants};
use crate::{
    limiting::{Bounds, Cost, Exception, Expired, Kind, Limit, Place, Scope},
    names::{self, DestinationName, LimitName},
    rules::{Glob, LONGEST_PATTERN},
};

const SLOTS: &str = "a whole number of jobs at once, such as 4";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fallback {
    Allow,
    Local,
    Defer,
}

const FALLBACKS: [(&str, Fallback); 3] =
    [("allow", Fallback::Allow), ("local", Fallback::Local), ("defer", Fallback::Defer)];

/// `clients_told`: somebody trusted writes into mails which client handed them over.
pub(super) fn read(root: &Reader<'_>, tenants: &Tenants, clients_told: bool) -> Vec<Limit> {
    let limits = root.subsections("limit").into_iter().filter_map(|(name, section)| {
        let known = LimitName::parse(&name);
        if known.is_none() {
            section.reject_section(&format!("expected {}, at most 40 long", names::EXPECTED));
        }
        let limit = limit(&name, &section, tenants).filter(|_| known.is_some())?;
        if limit.scope == Scope::ClientIp && !clients_told {
            section.reject("by", "nobody tells which client it was: name our servers in authentication.trusted_hosts");
        }
        Some(limit)
    });
    limits.collect()
}

/// What destinations say of themselves, as limits.
pub(super) fn of_destinations(destinations: &BTreeMap<DestinationName, Destination>) -> impl Iterator<Item = Limit> {
    destinations.iter().filter_map(|(name, destination)| {
        let only = Exception { tenant: None, pattern: Glob::parse(name.as_str()), bound: Some(destination.rate?) };
        Some(Limit {
            // A dot is in no name of a [limit.NAME].
            name: format!("destination.{name}"),
            scope: Scope::Destination,
            kind: Kind::Rate { bounds: Bounds { base: None, exceptions: vec![only] }, cost: Cost::Message },
            enforce: true,
            on_error: OnError::Defer,
            expired: Expired::DeadLetter,
        })
    })
}

fn limit(name: &str, section: &Reader<'_>, tenants: &Tenants) -> Option<Limit> {
    let scope = scope(section);
    let kind = kind(section, scope, tenants);
    let enforce = section.get_or("enforce", true);
    let to_destination = scope == Some(Scope::Destination);
    let on_error = on_error(section, if to_destination { Fallback::Defer } else { Fallback::Local });
    let default = if to_destination { Expired::DeadLetter } else { Expired::Quarantine };
    let expired = one_of_or(section, "expired", &Expired::NAMED, default);
    if section.is_set("expired") && scope.is_some_and(|scope| scope.place() == Place::Intake) {
        section
            .reject("expired", "a mail that finds no turn at the way in is not taken in: whoever hands it in is told");
    }
    Some(Limit { name: name.to_owned(), scope: scope?, kind: kind?, enforce, on_error, expired })
}

fn scope(section: &Reader<'_>) -> Option<Scope> {
    if !section.is_set("by") {
        let names = Scope::NAMED.map(|(name, _)| format!("\"{name}\""));
        section.missing("by", &format!("one of {}", names.join(", ")));
    }
    section.one_of("by", &Scope::NAMED)
}

fn kind(section: &Reader<'_>, scope: Option<Scope>, tenants: &Tenants) -> Option<Kind> {
    let costs = [("message", Cost::Message), ("bytes", Cost::Bytes)];
    let cost = section.one_of("cost", &costs).unwrap_or(Cost::Message);
    let (own, exceptions) = (Bound::read(section, cost), section.tables("override"));
    let exceptions: Vec<_> = exceptions.iter().map(|section| exception(section, tenants, cost)).collect();
    let is_set = (section.is_set("rate"), section.is_set("concurrency"));
    match is_set {
        (true, true) => section.reject("concurrency", "not beside rate: declare two limits"),
        (false, false) => section.missing("rate", &format!("{}; or concurrency, {SLOTS}", Rate::EXPECTED)),
        (false, true) => check_slots(section, scope),
        (true, false) => {}
    }
    let other = if is_set.0 { "concurrency" } else { "rate" };
    for exception in section.tables("override").iter().filter(|exception| exception.is_set(other)) {
        exception.reject(other, "the limit itself is of the other kind");
    }
    if is_set.0 {
        let exceptions = exceptions.into_iter().map(|exception| exception.map(|bound| bound.rate)).collect();
        Some(Kind::Rate { bounds: Bounds { base: own.rate, exceptions }, cost })
    } else {
        let exceptions = exceptions.into_iter().map(|exception| exception.map(|bound| bound.slots)).collect();
        Some(Kind::Slots(Bounds { base: own.slots, exceptions }))
    }
}

fn check_slots(section: &Reader<'_>, scope: Option<Scope>) {
    if section.is_set("cost") {
        section.reject("cost", "only with rate");
    }
    if scope.is_some_and(|scope| !matches!(scope, Scope::Tenant | Scope::Destination)) {
        section.reject("concurrency", "only by \"tenant\" or \"destination\"");
    }
}

/// What a section says of both kinds.
struct Bound {
    rate: Option<Rate>,
    slots: Option<NonZeroU32>,
}

impl Bound {
    fn read(section: &Reader<'_>, cost: Cost) -> Self {
        let rate = match cost {
            Cost::Message => section.parsed("rate", Rate::EXPECTED, |text| text.parse().ok()),
            Cost::Bytes => section.parsed("rate", Rate::EXPECTED_BYTES, |text| Rate::of_bytes(text).ok()),
        };
        Self { rate, slots: section.get("concurrency") }
    }
}

fn exception(section: &Reader<'_>, tenants: &Tenants, cost: Cost) -> Exception<Bound> {
    let tenant = section.get::<String>("tenant");
    if tenant.as_ref().is_some_and(|tenant| !tenants.is_tenant(tenant)) {
        section.reject("tenant", "no domain belongs to this tenant: see [tenants]");
    }
    let expected = format!("a pattern of 1 to {LONGEST_PATTERN} characters");
    let pattern = section.parsed("match", &expected, Glob::parse);
    if !section.is_set("tenant") && !section.is_set("match") {
        section.reject_section("expected a tenant, a match, or both: whom is it for?");
    }
    let bound = Bound::read(section, cost);
    let unlimited = section.get("unlimited").unwrap_or(false);
    let bounded = section.is_set("rate") || section.is_set("concurrency");
    if unlimited == bounded {
        section.reject_section("expected what holds instead, or unlimited = true, and not both");
    }
    Exception { tenant, pattern, bound: Some(bound) }
}

fn on_error(section: &Reader<'_>, default: Fallback) -> OnError {
    let fallback = one_of_or(section, "on_error", &FALLBACKS, default);
    if fallback != Fallback::Local {
        section.get::<NonZeroU32>("local_share");
        if section.is_set("local_share") {
            section.reject("local_share", "only with on_error = \"local\"");
        }
        return if fallback == Fallback::Allow { OnError::Allow } else { OnError::Defer };
    }
    let percent = section.get_or("local_share", NonZeroU32::MIN.saturating_add(49));
    let share = Share::percent(percent.get());
    if share.is_none() {
        section.reject("local_share", "expected a share of 1 to 100 percent");
    }
    OnError::Local(share.unwrap_or(Share::WHOLE))
}

/// One of the words of a table, or a default that depends on other keys.
fn one_of_or<T: Copy + PartialEq>(section: &Reader<'_>, key: &str, choices: &[(&str, T)], default: T) -> T {
    let word = choices.iter().find(|(_, choice)| *choice == default).map_or("", |(word, _)| *word);
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let find = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
    section.parsed_or(key, &format!("one of {}", words.join(", ")), (word, default), find)
}

#[cfg(test)]
mod tests;
