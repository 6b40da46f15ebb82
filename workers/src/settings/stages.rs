//! `[stage.NAME]`: what an operator changes in a stage's policy. The policy itself applies and checks it.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use shared::config::Reader;

/// The stages, in the order of the pipeline.
pub const STAGES: [&str; 4] = ["parse", "scan", "route", "deliver"];

/// What is set replaces the stage's own policy; what is not keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyOverrides {
    /// How long a received job is hidden from other workers.
    pub visibility: Option<Duration>,
    /// How often that is extended.
    pub heartbeat: Option<Duration>,
    /// How long one run may take.
    pub deadline: Option<Duration>,
    /// How long a run may go without progress.
    pub progress: Option<Duration>,
    /// Jobs at once in one process.
    pub concurrency: Option<NonZeroU32>,
    /// Runs before the dead-letter queue.
    pub max_attempts: Option<NonZeroU32>,
    /// Receives without a settlement before the dead-letter queue.
    pub max_crashes: Option<NonZeroU32>,
    /// The wait after the first failure.
    pub backoff_first: Option<Duration>,
    /// The longest wait between attempts.
    pub backoff_longest: Option<Duration>,
    /// How old a job may get before its declared end.
    pub max_age: Option<Duration>,
}

impl PolicyOverrides {
    fn read(stage: &Reader<'_>) -> Self {
        Self {
            visibility: stage.get("visibility"),
            heartbeat: stage.get("heartbeat"),
            deadline: stage.get("deadline"),
            progress: stage.get("progress"),
            concurrency: stage.get("concurrency"),
            max_attempts: stage.get("max_attempts"),
            max_crashes: stage.get("max_crashes"),
            backoff_first: stage.get("backoff_first"),
            backoff_longest: stage.get("backoff_longest"),
            max_age: stage.get("max_age"),
        }
    }
}

pub(super) fn read(stages: &Reader<'_>) -> BTreeMap<&'static str, PolicyOverrides> {
    STAGES.into_iter().map(|name| (name, PolicyOverrides::read(&stages.section(name)))).collect()
}
