//! The pipeline at a glance: one row a stage.
//!
//! ```text
//! incoming → parse → scan → route → deliver → destination
//! ```
//!
//! Every stage has its queue, its dead-letter queue, and a policy that was checked when this was compiled.

use std::time::Duration;

pub use shared::ids::StageName;
use shared::policy::{Backoff, Policy};

/// Fetches the raw mail, parses it in the sandbox, sanitises it.
pub const PARSE: StageName = StageName("parse");
/// Streams the raw mail and every part to the scanner, stores what is clean.
pub const SCAN: StageName = StageName("scan");
/// Evaluates the rules, fans out.
pub const ROUTE: StageName = StageName("route");
/// Signs and sends.
pub const DELIVER: StageName = StageName("deliver");

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The stage's name: its subcommand, its queue's suffix, its label.
    pub stage: StageName,
    /// What it does, in a line.
    pub does: &'static str,
    /// The stages that it hands jobs to.
    pub next: &'static [StageName],
    /// How it is run, unless the configuration says otherwise.
    pub policy: Policy,
}

/// The table.
pub const PIPELINE: [Row; 4] = [
    Row {
        stage: PARSE,
        does: "fetch, validate, parse in the sandbox, sanitise",
        next: &[SCAN],
        policy: Policy {
            visibility: secs(40),
            visibility_auto: None,
            heartbeat: secs(10),
            progress: secs(40),
            deadline: secs(120),
            concurrency: 20,
            max_attempts: 5,
            max_crashes: 5,
            backoff: Backoff { first: secs(1), longest: secs(60) },
            max_age: hours(24),
        }
        .checked(),
    },
    Row {
        stage: SCAN,
        does: "stream raw mail and parts to clamd, store what is clean",
        next: &[ROUTE],
        policy: Policy {
            visibility: secs(60),
            visibility_auto: None,
            heartbeat: secs(20),
            progress: secs(60),
            deadline: secs(300),
            concurrency: 20,
            max_attempts: 12,
            max_crashes: 5,
            backoff: Backoff { first: secs(1), longest: secs(120) },
            max_age: hours(24),
        }
        .checked(),
    },
    Row {
        stage: ROUTE,
        does: "evaluate the rules, one job a destination",
        next: &[DELIVER],
        policy: Policy {
            visibility: secs(40),
            visibility_auto: None,
            heartbeat: secs(10),
            progress: secs(30),
            deadline: secs(30),
            concurrency: 20,
            max_attempts: 5,
            max_crashes: 5,
            backoff: Backoff { first: secs(1), longest: secs(60) },
            max_age: hours(24),
        }
        .checked(),
    },
    Row {
        stage: DELIVER,
        does: "sign and send, retry on the destination's schedule",
        next: &[],
        policy: Policy {
            visibility: secs(60),
            visibility_auto: None,
            heartbeat: secs(20),
            progress: secs(60),
            deadline: secs(120),
            concurrency: 32,
            max_attempts: 50,
            max_crashes: 5,
            backoff: Backoff { first: secs(5), longest: hours(24) },
            max_age: hours(7 * 24),
        }
        .checked(),
    },
];

/// The row of the stage with that name.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    PIPELINE.iter().find(|row| row.stage.0 == name)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{DeliverJob, NextJob, ParseJob, RouteJob, ScanJob};

    #[test]
    fn the_table_names_each_stage_once_and_its_edges_are_the_jobs() {
        let stages = PIPELINE.map(|row| row.stage);
        assert_eq!(stages, [ParseJob::STAGE, ScanJob::STAGE, RouteJob::STAGE, DeliverJob::STAGE]);
        for (i, row) in PIPELINE.iter().enumerate() {
            assert_eq!(row.next, stages.get(i + 1).as_slice().iter().map(|s| **s).collect::<Vec<_>>());
            assert!(row.policy.check().is_ok());
            assert!(
                row.policy.progress > shared::aws::S3_CALL_TIMEOUT,
                "{}: a silent store would cost leases",
                row.stage
            );
            assert_eq!(super::row(row.stage.0).map(|found| found.stage), Some(row.stage));
        }
        assert!(row("nope").is_none());
    }
}
