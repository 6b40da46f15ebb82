//! Dead letters grouped by their kind of failure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Summary;

/// The letters of one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Group {
    pub(in crate::cli) fingerprint: String,
    pub(in crate::cli) stage: String,
    /// The destination, of deliveries.
    pub(in crate::cli) branch: String,
    pub(in crate::cli) class: String,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) count: usize,
    pub(in crate::cli) first_seen: Option<Timestamp>,
    pub(in crate::cli) last_seen: Option<Timestamp>,
    /// The id of one of them.
    pub(in crate::cli) example: String,
}

impl Group {
    fn of_one(letter: &Summary) -> Self {
        Self {
            fingerprint: letter.fingerprint.clone(),
            stage: letter.stage.clone(),
            branch: letter.branch.clone(),
            class: letter.class.clone(),
            reason: letter.reason.clone(),
            count: 0,
            first_seen: letter.at,
            last_seen: letter.at,
            example: letter.id.clone(),
        }
    }

    fn add(&mut self, letter: &Summary) {
        self.count += 1;
        self.first_seen = self.first_seen.into_iter().chain(letter.at).min();
        self.last_seen = self.last_seen.max(letter.at);
    }
}

/// The groups of these letters, the largest first.
pub(super) fn group<'a>(letters: impl IntoIterator<Item = &'a Summary>) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for letter in letters {
        groups.entry(&letter.fingerprint).or_insert_with(|| Group::of_one(letter)).add(letter);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}
