//! `[stage.*]`: the pipeline's policies, as far as the configuration changes them.
//!
//! What comes out is checked by the same function as the built-in table.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use shared::{
    config::{Reader, Setting, units},
    policy::{AutoVisibility, Policy},
    queue::MAX_VISIBILITY,
};

use crate::pipeline::{PIPELINE, StageName};

/// The shortest visibility that a stage may choose, unless the configuration says otherwise.
const LEAST: Duration = Duration::from_secs(10);

/// What `visibility` can be.
#[derive(Clone, Copy)]
enum Visibility {
    Auto,
    Fixed(Duration),
}

impl Setting for Visibility {
    const EXPECTED: &'static str =
        "\"auto\", or a duration with its unit (ms, s, min, h, d), such as \"30s\", \"5min\" or \"2h\"";

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "auto" { Some(Self::Auto) } else { units::parse_duration(text).map(Self::Fixed) }
    }

    fn show(&self) -> toml::Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Fixed(duration) => duration.show(),
        }
    }
}

pub(super) fn read(stages: &Reader<'_>) -> BTreeMap<StageName, Policy> {
    PIPELINE.iter().map(|row| (row.stage, policy(&stages.section(row.stage.0), row.policy))).collect()
}

fn policy(stage: &Reader<'_>, base: Policy) -> Policy {
    let mut policy = base;
    visibility(stage, &mut policy);
    let durations = [
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

fn visibility(stage: &Reader<'_>, policy: &mut Policy) {
    let (least, most) = ("visibility_least", "visibility_most");
    match stage.get("visibility") {
        Some(Visibility::Auto) => {
            let least = stage.get_or(least, LEAST.min(policy.visibility));
            let most = stage.get_or(most, (policy.visibility * 4).min(MAX_VISIBILITY / 2));
            policy.visibility_auto = Some(AutoVisibility { least, most });
            return;
        }
        Some(Visibility::Fixed(visibility)) => policy.visibility = visibility,
        None => {}
    }
    for key in [least, most] {
        if stage.get::<Duration>(key).is_some() {
            stage.reject(key, "only with visibility = \"auto\"");
        }
    }
}
