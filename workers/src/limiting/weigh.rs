//! From declared limits and known subjects to requests, one for each group of keys that lie together.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use shared::{
    limit::{Answer, Charge, Holder, OnError, Rate, Request, Slot, Turn, guarded::Source},
    telemetry::metric,
};

use super::{
    Limiting,
    declared::{Cost, Kind, Limit, Scope},
    subjects::Subjects,
};

/// The parts of one request, each with its limit; at least one.
#[derive(Debug)]
pub(super) struct Group<'a> {
    first: &'a Limit,
    charges: Vec<Charge>,
    charging: Vec<(&'a Limit, Whose)>,
    slots: Vec<Slot>,
    holding: Vec<&'a Limit>,
}

/// Whose jobs wait for each other under a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those of one sender, recipient and so on, which is what the limit is about.
    Narrow,
    /// One tenant's under a limit across tenants: the order in which they come to it.
    Line,
    /// Those of many, who have limits or lines of their own.
    Wide,
}

impl Whose {
    const fn under(scope: Scope) -> Self {
        match scope {
            Scope::Tenant | Scope::ClientIp | Scope::Destination => Self::Wide,
            Scope::Sender | Scope::SenderDomain | Scope::Recipient => Self::Narrow,
            Scope::Route | Scope::Ingress | Scope::ApiClient => Self::Narrow,
        }
    }
}

/// What keys that lie together share. Those across tenants come first: what they stop costs no tenant a turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Shared(String),
    Tenant(String),
}

/// By this name a turn in a tenant's line is held.
pub(super) fn line(limit: &Limit) -> String {
    // No limit has such a name.
    format!("{}/line", limit.name)
}

impl Limiting {
    /// The requests that the limits chosen by `which` make of a mail, in their order. Tenants' lines are left out of
    /// those for which `lined` says so.
    pub(super) fn groups(
        &self,
        which: impl Fn(&&Limit) -> bool,
        lined: impl Fn(&Limit) -> bool,
        tenant: &str,
        subjects: &Subjects,
    ) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<Tag, Group<'_>> = BTreeMap::new();
        for limit in self.limits.iter().filter(which) {
            for subject in subjects.of(limit.scope).into_iter().flatten() {
                let key = self.key_of(limit, tenant, subject);
                let group = || self.tag(limit.scope, tenant, subject);
                match &limit.kind {
                    Kind::Rate { bounds, cost } => {
                        let (Some(rate), Some(cost)) = (bounds.of(tenant, subject), units(*cost, subjects)) else {
                            continue;
                        };
                        let group = groups.entry(group()).or_insert_with(|| Group::of(limit));
                        let own = limit.is_own(tenant, subject);
                        if limit.scope.is_shared() && !own && limit.enforce && !lined(limit) {
                            let line = self.line_of(limit, tenant, subject);
                            group.charge((limit, Whose::Line), line, rate, cost);
                        }
                        let whose = if own { Whose::Narrow } else { Whose::under(limit.scope) };
                        group.charge((limit, whose), key, rate, cost);
                    }
                    Kind::Slots(bounds) => {
                        let Some(most) = bounds.of(tenant, subject) else { continue };
                        groups.entry(group()).or_insert_with(|| Group::of(limit)).slot(limit, key, most);
                    }
                }
            }
        }
        groups.into_values().collect()
    }

    pub(super) fn key_of(&self, limit: &Limit, tenant: &str, subject: &str) -> String {
        let hash = self.key.hash(limit.scope, subject);
        let tag = match self.tag(limit.scope, tenant, subject) {
            Tag::Shared(tag) | Tag::Tenant(tag) => tag,
        };
        // At another bound than the others', the tenant would move their turns.
        let owner = if limit.is_own(tenant, subject) { format!(":{tenant}") } else { String::new() };
        format!("{{{tag}}}:{}:{hash}{owner}", limit.name)
    }

    /// The key of a tenant's line under a limit across tenants.
    pub(super) fn line_of(&self, limit: &Limit, tenant: &str, subject: &str) -> String {
        format!("{}:{tenant}:line", self.key_of(limit, tenant, subject))
    }

    fn tag(&self, scope: Scope, tenant: &str, subject: &str) -> Tag {
        if scope.is_shared() {
            Tag::Shared(format!("{}.{}", scope.name(), self.key.hash(scope, subject)))
        } else {
            Tag::Tenant(tenant.to_owned())
        }
    }
}

/// What a mail costs; `None` where that is not known yet.
fn units(cost: Cost, subjects: &Subjects) -> Option<NonZeroU32> {
    match cost {
        Cost::Message => Some(NonZeroU32::MIN),
        Cost::Bytes => subjects.bytes().map(Rate::units_of),
    }
}

impl<'a> Group<'a> {
    const fn of(first: &'a Limit) -> Self {
        Self { first, charges: Vec::new(), charging: Vec::new(), slots: Vec::new(), holding: Vec::new() }
    }

    fn charge(&mut self, charging: (&'a Limit, Whose), key: String, rate: Rate, cost: NonZeroU32) {
        let (enforce, on_error) = (charging.0.enforce, charging.0.on_error);
        self.charges.push(Charge { key, rate, cost, enforce, on_error });
        self.charging.push(charging);
    }

    fn slot(&mut self, limit: &'a Limit, key: String, most: NonZeroU32) {
        self.slots.push(Slot { key, limit: most, enforce: limit.enforce, on_error: limit.on_error });
        self.holding.push(limit);
    }

    pub(super) fn request<'r>(&'r self, holder: &'r Holder, longest: Duration) -> Request<'r> {
        Request { charges: &self.charges, slots: &self.slots, holder, longest, trial: false }
    }

    /// Without what is charged by many, if there is both.
    pub(super) fn narrowed(&self) -> Option<Self> {
        let mut narrow = Self::of(self.first);
        for (charge, charging) in
            self.charges.iter().zip(&self.charging).filter(|(_, (_, whose))| *whose != Whose::Wide)
        {
            narrow.charges.push(charge.clone());
            narrow.charging.push(*charging);
        }
        (!narrow.charges.is_empty() && narrow.charges.len() < self.charges.len()).then_some(narrow)
    }

    /// Whether all of it is.
    pub(super) fn is_narrow(&self) -> bool {
        self.charging.iter().all(|(_, whose)| *whose != Whose::Wide)
    }

    /// How long what is not charged by many waits at most.
    pub(super) fn narrow_wait(&self, answer: &Answer) -> Duration {
        let waits = self.charging.iter().zip(&answer.waits);
        let narrow = waits.filter(|((limit, whose), _)| limit.enforce && *whose != Whose::Wide);
        narrow.map(|(_, wait)| *wait).max().unwrap_or_default()
    }

    /// By which names the turns of the limits that charge are held.
    pub(super) fn turns(&self) -> impl Iterator<Item = String> {
        self.charging.iter().map(|(limit, whose)| if *whose == Whose::Line { line(limit) } else { limit.name.clone() })
    }

    /// Every limit of the group.
    pub(super) fn limits(&self) -> impl Iterator<Item = &'a Limit> {
        self.charging.iter().map(|(limit, _)| *limit).chain(self.holding.iter().copied())
    }

    /// The enforced limit with the latest turn.
    pub(super) fn slowest(&self, answer: &Answer) -> &'a Limit {
        let enforced = self.charging.iter().zip(&answer.waits).filter(|((limit, _), _)| limit.enforce);
        enforced.max_by_key(|(_, wait)| **wait).map_or(self.first, |((limit, _), _)| limit)
    }

    /// The first enforced limit whose slots are taken.
    pub(super) fn fullest(&self, answer: &Answer) -> &'a Limit {
        let mut full = self.holding.iter().zip(&answer.full).filter(|(limit, full)| limit.enforce && **full);
        full.next().map_or(self.first, |(limit, _)| limit)
    }

    /// The first enforced limit that waits for a limiter that does not answer.
    pub(super) fn waiting(&self) -> &'a Limit {
        let waits = |limit: &&Limit| limit.enforce && limit.on_error == OnError::Defer;
        self.limits().find(waits).unwrap_or(self.first)
    }

    /// The keys of the slots that were taken.
    pub(super) fn taken(&self, answer: &Answer) -> Vec<String> {
        let free = self.slots.iter().zip(&answer.full).filter(|(_, full)| answer.turn == Turn::Now && !**full);
        free.map(|(slot, _)| slot.key.clone()).collect()
    }

    /// Counts what became of each limit.
    pub(super) fn count(&self, answer: &Answer, source: Source) {
        // Beside the limit itself its line says nothing new.
        let beside = |limit: &Limit| self.charging.iter().any(|(l, w)| l.name == limit.name && *w != Whose::Line);
        let parts = self.charging.iter().zip(&answer.waits);
        let waits = parts.filter(|((limit, whose), _)| *whose != Whose::Line || !beside(limit));
        let waits = waits.map(|((limit, _), wait)| (*limit, !wait.is_zero()));
        let full = self.holding.iter().zip(&answer.full).map(|(limit, full)| (*limit, *full));
        for (limit, over) in waits.chain(full) {
            metric::limit_checked(&limit.name, outcome(answer.turn, limit.enforce, over));
            if source == Source::Fallback {
                metric::limit_fell_back(&limit.name, limit.on_error.name());
            }
        }
    }
}

/// What an answer means for one limit.
const fn outcome(turn: Turn, enforce: bool, over: bool) -> &'static str {
    match (turn, enforce, over) {
        (_, false, true) => "would_wait",
        (Turn::Now | Turn::At(_), _, false) => "passed",
        (Turn::At(_), true, true) => "reserved",
        (Turn::Now | Turn::TooLate(_) | Turn::Full(_), true, true) => "over",
        // Another limit of the same request said no.
        (Turn::TooLate(_) | Turn::Full(_), _, false) => "held_up",
    }
}
