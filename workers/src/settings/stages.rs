//! `[stage.*]`: the pipeline's policies, as far as the configuration changes them.
//!
//! What comes out is checked by the same function as the built-in table.

use std::{collections::BTreeMap, num::NonZeroU32};

use shared::{config::Reader, policy::Policy};

use crate::pipeline::{PIPELINE, StageName};

pub(super) fn read(stages: &Reader<'_>) -> BTreeMap<StageName, Policy> {
    PIPELINE.iter().map(|row| (row.stage, policy(&stages.section(row.stage.0), row.policy))).collect()
}

fn policy(stage: &Reader<'_>, base: Policy) -> Policy {
    let mut policy = base;
    let durations = [
        ("visibility", &mut policy.visibility),
        ("heartbeat", &mut policy.heartbeat),
        ("progress", &mut policy.progress),
        ("deadline", &mut policy.deadline),
        ("backoff_first", &mut policy.backoff.first),
        ("backoff_longest", &mut policy.backoff.longest),
        ("max_age", &mut policy.max_age),
    ];
    for (key, field) in durations {
        if let Some(value) = stage.get(key) {
            *field = value;
        }
    }
    if let Some(concurrency) = stage.get::<NonZeroU32>("concurrency") {
        policy.concurrency = usize::try_from(concurrency.get()).unwrap_or(usize::MAX);
    }
    for (key, field) in [("max_attempts", &mut policy.max_attempts), ("max_crashes", &mut policy.max_crashes)] {
        if let Some(value) = stage.get::<NonZeroU32>(key) {
            *field = value.get();
        }
    }
    if let Err(error) = policy.check() {
        stage.reject(error.key, error.rule);
    }
    policy
}
