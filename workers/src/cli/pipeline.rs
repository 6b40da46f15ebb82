//! `mailtri pipeline`: the table, with what the configuration made of it.

use clap::Args;
use serde_json::json;
use shared::{config::units, policy::Policy};

use super::{ConfigArg, error::CommandError, output, table::Table};
use crate::pipeline::{PIPELINE, Row};

#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// As JSON, times in milliseconds
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &PipelineArgs) -> Result<(), CommandError> {
    let (settings, _) = args.config.load()?;
    let rows = PIPELINE.iter().map(|row| (row, settings.policy(row)));
    if args.json {
        return output::json(&rows.map(|(row, policy)| as_json(row, &policy)).collect::<Vec<_>>());
    }
    let mut table = Table::new([
        "STAGE",
        "NEXT",
        "VISIBILITY",
        "HEARTBEAT",
        "DEADLINE",
        "AT ONCE",
        "ATTEMPTS",
        "BACKOFF",
        "MAX AGE",
        "DOES",
    ]);
    for (row, policy) in rows {
        let time = units::show_duration;
        let backoff = format!("{}–{}", time(policy.backoff.first), time(policy.backoff.longest));
        let (at_once, attempts) = (policy.concurrency.to_string(), policy.max_attempts.to_string());
        table.row([
            row.stage.to_string(),
            next(row),
            visibility(&policy),
            time(policy.heartbeat),
            time(policy.deadline),
            at_once,
            attempts,
            backoff,
            time(policy.max_age),
            row.does.to_owned(),
        ]);
    }
    output::line(table)
}

fn visibility(policy: &Policy) -> String {
    let fixed = units::show_duration(policy.visibility);
    if policy.visibility_auto.is_some() { format!("auto ({fixed})") } else { fixed }
}

fn next(row: &Row) -> String {
    if row.next.is_empty() {
        return "destinations".to_owned();
    }
    row.next.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn as_json(row: &Row, policy: &Policy) -> serde_json::Value {
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    json!({
        "stage": row.stage,
        "does": row.does,
        "next": row.next,
        "queue": row.stage,
        "dead_letter_queue": format!("{}-dlq", row.stage),
        "policy": {
            "visibility": ms(policy.visibility),
            "visibility_auto": policy.visibility_auto.map(|auto| json!({ "least": ms(auto.least), "most": ms(auto.most) })),
            "heartbeat": ms(policy.heartbeat),
            "progress": ms(policy.progress),
            "deadline": ms(policy.deadline),
            "concurrency": policy.concurrency,
            "max_attempts": policy.max_attempts,
            "max_crashes": policy.max_crashes,
            "backoff_first": ms(policy.backoff.first),
            "backoff_longest": ms(policy.backoff.longest),
            "max_age": ms(policy.max_age),
        },
    })
}
