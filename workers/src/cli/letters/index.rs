//! What a pass saw, one entry a stage in the state, so that others need no pass of their own.
//!
//! It may vanish or be out of date at any moment: nothing is decided by it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    ids::StageName,
    state::{State, StateError},
};

use super::{Group, Summary, groups::group};

/// How long an index is kept. Its age is told, so that this only bounds what lies about.
const KEPT: Duration = Duration::from_secs(3600);
/// Most letters that are listed one by one; beyond, the index knows the groups only.
const MAX_LETTERS: usize = 2000;

/// The dead letters at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Index {
    /// When the pass began.
    pub(in crate::cli) at: Timestamp,
    pub(in crate::cli) groups: Vec<Group>,
    pub(in crate::cli) letters: Vec<Summary>,
    /// Whether `letters` are all of them.
    pub(in crate::cli) whole: bool,
}

impl Index {
    pub(super) fn new(at: Timestamp, letters: Vec<Summary>) -> Self {
        Self { at, groups: group(&letters), letters, whole: true }
    }

    /// Puts together what was found at several stages; as old as the oldest.
    pub(super) fn merge(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut merged = parts.into_iter().reduce(|mut all, part| {
            all.at = all.at.min(part.at);
            all.groups.extend(part.groups);
            all.letters.extend(part.letters);
            all.whole &= part.whole;
            all
        })?;
        merged.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Some(merged)
    }

    /// The groups of those letters that `takes` takes.
    pub(in crate::cli) fn groups_of(&self, takes: impl Fn(&Summary) -> bool) -> Vec<Group> {
        group(self.letters.iter().filter(|letter| takes(letter)))
    }
}

/// The index of these stages, unless one is missing.
pub(super) async fn read(state: &dyn State, stages: &[StageName]) -> Result<Option<Index>, StateError> {
    let mut parts = Vec::with_capacity(stages.len());
    for stage in stages {
        let stored = state.get(&key(*stage)).await?;
        // One that cannot be read was written by another build, or forgotten.
        let Some(part) = stored.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok()) else {
            return Ok(None);
        };
        parts.push(part);
    }
    Ok(Index::merge(parts))
}

/// Keeps what a pass saw at a stage.
pub(super) async fn write(state: &dyn State, stage: StageName, index: &Index) -> Result<(), StateError> {
    let whole = index.letters.len() <= MAX_LETTERS;
    let letters = index.letters.iter().take(MAX_LETTERS).cloned().collect();
    let index = Index { letters, whole, groups: index.groups.clone(), at: index.at };
    let bytes = serde_json::to_vec(&index).map_err(|error| StateError(error.to_string()))?;
    state.set(&key(stage), &bytes, KEPT).await
}

/// Forgets a stage's index: its letters have changed.
pub(super) async fn forget(state: &dyn State, stage: StageName) -> Result<(), StateError> {
    state.set(&key(stage), b"", Duration::from_secs(1)).await
}

fn key(stage: StageName) -> String {
    format!("dlq-index/{stage}")
}
