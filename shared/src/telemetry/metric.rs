//! Every metric of the fleet: names with units, labels from bounded sets.
//!
//! Conventions: `mailtri_<what>_<unit>`, counters end in `_total`, times are seconds, sizes are bytes. Labels hold
//! stage names, outcome and class names, verdicts: never an address, a tenant, a key or a mail id.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{
    clamav::{EngineVersion, pool::EndpointStatus},
    ids::StageName,
};

/// Bucket bounds of times, in seconds.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
    86_400.0,
];
/// Bucket bounds of batch sizes.
pub const SIZES: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0];

/// Tells the recorder what each metric is.
pub fn describe() {
    describe_counter!("mailtri_jobs_total", "Jobs settled, by stage, outcome and class");
    describe_histogram!("mailtri_stage_duration_seconds", "From the start of a job to the end of its settlement");
    describe_histogram!("mailtri_job_age_seconds", "From when the work was first seen to the end of a run");
    describe_histogram!("mailtri_receive_size", "Messages a receive brought");
    describe_counter!("mailtri_receive_failures_total", "Receives that failed");
    describe_counter!("mailtri_in_flight_limit_total", "Receives refused because too much of the queue is in flight");
    describe_counter!("mailtri_lease_extensions_total", "Leases extended");
    describe_counter!("mailtri_lease_losses_total", "Leases lost, by how");
    describe_counter!("mailtri_settlement_failures_total", "Settlements that failed; the job comes back");
    describe_counter!("mailtri_events_total", "Events, by name");
    describe_counter!("mailtri_scan_verdicts_total", "Verdicts of the scanner, by kind of content and verdict");
    describe_gauge!("mailtri_scanner_endpoints", "Endpoints of the scanner, by state: admitted, testing, out");
    describe_gauge!("mailtri_scanner_versions", "Admitted endpoints, by engine and version of the signatures");
    describe_gauge!("mailtri_scanner_signatures_age_seconds", "Age of the oldest signatures that scan");
    describe_gauge!("mailtri_scanner_bytes_in_flight_bytes", "Bytes that are with the scanner");
    describe_gauge!("mailtri_scanner_scans_in_flight", "Streams that are with the scanner");
    describe_counter!("mailtri_deliveries_total", "Delivery attempts, by result");
    describe_counter!("mailtri_sandbox_kills_total", "Sandbox children that were killed or died, by why");
    describe_gauge!("mailtri_sandbox_restriction", "1 where a restriction of the sandbox is in force, else 0, by name");
    describe_counter!("mailtri_findings_total", "Findings about mails, by code");
    describe_counter!(
        "mailtri_authentication_results_total",
        "Results about senders, by mechanism and result, each time DNS was asked"
    );
    describe_counter!("mailtri_limit_checks_total", "Jobs that a limit was asked about, by limit and outcome");
    describe_counter!("mailtri_limit_fallbacks_total", "Of these those that the limiter did not answer, by fallback");
    describe_gauge!("mailtri_limiter_fallback", "1 while the limiter does not answer and fallbacks are in force");
    describe_gauge!("mailtri_visibility_chosen_seconds", "The visibility that a stage asks for, by stage");
    describe_gauge!("mailtri_bytes_in_flight_bytes", "Bytes of work held by the process");
    describe_gauge!("mailtri_queue_messages", "Messages of a queue, by stage, queue (work or dead) and state");
}

pub(crate) fn received(stage: StageName, messages: usize) {
    #[expect(clippy::cast_precision_loss, reason = "at most ten")]
    histogram!("mailtri_receive_size", "stage" => stage.0).record(messages as f64);
}

pub(crate) fn visibility_chosen(stage: StageName, visibility: Duration) {
    gauge!("mailtri_visibility_chosen_seconds", "stage" => stage.0).set(visibility);
}

pub(crate) fn receive_failed(stage: StageName) {
    counter!("mailtri_receive_failures_total", "stage" => stage.0).increment(1);
}

pub(crate) fn in_flight_limit(queue: &str) {
    counter!("mailtri_in_flight_limit_total", "queue" => queue.to_owned()).increment(1);
}

pub(crate) fn job_done(stage: StageName, outcome: &'static str, class: &'static str, took: Duration) {
    counter!("mailtri_jobs_total", "stage" => stage.0, "outcome" => outcome, "class" => class).increment(1);
    histogram!("mailtri_stage_duration_seconds", "stage" => stage.0).record(took);
}

pub(crate) fn job_age(stage: StageName, now: Timestamp, first_seen: Timestamp) {
    histogram!("mailtri_job_age_seconds", "stage" => stage.0).record(crate::clock::until(first_seen, now));
}

pub(crate) fn lease_extended(stage: StageName) {
    counter!("mailtri_lease_extensions_total", "stage" => stage.0).increment(1);
}

pub(crate) fn lease_lost(stage: StageName, how: &'static str) {
    counter!("mailtri_lease_losses_total", "stage" => stage.0, "how" => how).increment(1);
}

pub(crate) fn settlement_failed(stage: StageName) {
    counter!("mailtri_settlement_failures_total", "stage" => stage.0).increment(1);
}

pub(crate) fn event(name: &'static str) {
    counter!("mailtri_events_total", "event" => name).increment(1);
}

/// Counts a verdict; `content` is `raw`, `part`, `walk` (of a container) or `remembered` (of a part).
pub fn scanned(content: &'static str, verdict: &'static str) {
    counter!("mailtri_scan_verdicts_total", "content" => content, "verdict" => verdict).increment(1);
}

/// Says how the scanner's endpoints stand.
pub fn scanner(endpoints: &[EndpointStatus], now: Timestamp) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let set = |gauge: metrics::Gauge, value: u64| gauge.set(value as f64);
    let admitted = endpoints.iter().filter(|endpoint| endpoint.engine.is_some()).count() as u64;
    let out = endpoints.iter().filter(|endpoint| endpoint.why.is_some()).count() as u64;
    let testing = endpoints.len() as u64 - admitted - out;
    for (state, count) in [("admitted", admitted), ("testing", testing), ("out", out)] {
        set(gauge!("mailtri_scanner_endpoints", "state" => state), count);
    }
    set(gauge!("mailtri_scanner_scans_in_flight"), endpoints.iter().map(|e| e.scans as u64).sum());
    set(gauge!("mailtri_scanner_bytes_in_flight_bytes"), endpoints.iter().map(|e| e.bytes).sum());
    let built = endpoints.iter().filter_map(|endpoint| endpoint.engine.as_ref()?.built).min();
    if let Some(built) = built {
        gauge!("mailtri_scanner_signatures_age_seconds").set(crate::clock::until(built, now));
    }
    versions(endpoints);
}

/// Versions that are gone are set to none.
fn versions(endpoints: &[EndpointStatus]) {
    static SEEN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());
    let of = |engine: &EngineVersion| {
        (engine.engine.clone(), engine.database.clone().unwrap_or_else(|| "unversioned".to_owned()))
    };
    let now: Vec<_> = endpoints.iter().filter_map(|endpoint| endpoint.engine.as_ref().map(of)).collect();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.extend(now.iter().cloned());
    for version in &*seen {
        let count = u32::try_from(now.iter().filter(|other| *other == version).count()).unwrap_or(u32::MAX);
        let (engine, database) = version.clone();
        gauge!("mailtri_scanner_versions", "engine" => engine, "database" => database).set(count);
    }
    seen.retain(|version| now.contains(version));
}

/// Counts a delivery attempt.
pub fn delivery(result: &'static str) {
    counter!("mailtri_deliveries_total", "result" => result).increment(1);
}

/// Whether a restriction of the sandbox's children is in force.
pub fn sandbox_restriction(name: &'static str, is_on: bool) {
    gauge!("mailtri_sandbox_restriction", "restriction" => name).set(if is_on { 1.0 } else { 0.0 });
}

/// Counts a sandbox child that was killed or died.
pub fn sandbox_kill(why: &'static str) {
    counter!("mailtri_sandbox_kills_total", "why" => why).increment(1);
}

/// Counts a finding.
pub fn finding(code: String) {
    counter!("mailtri_findings_total", "code" => code).increment(1);
}

/// Counts a result about a sender: `spf`, `dkim`, `dmarc` or `arc`, and its word.
pub fn authenticated(mechanism: &'static str, result: &'static str) {
    counter!("mailtri_authentication_results_total", "mechanism" => mechanism, "result" => result).increment(1);
}

/// Counts what a limit, by its name in the configuration, made of a job.
pub fn limit_checked(limit: &str, outcome: &'static str) {
    counter!("mailtri_limit_checks_total", "limit" => limit.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts a job that a limit's fallback answered.
pub fn limit_fell_back(limit: &str, fallback: &'static str) {
    counter!("mailtri_limit_fallbacks_total", "limit" => limit.to_owned(), "fallback" => fallback).increment(1);
}

/// Says whether the limiter answered the latest request.
pub fn limiter_answers(answers: bool) {
    gauge!("mailtri_limiter_fallback").set(if answers { 0.0 } else { 1.0 });
}

/// Says how many bytes the process holds.
pub fn bytes_in_flight(bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    gauge!("mailtri_bytes_in_flight_bytes").set(bytes as f64);
}

/// Says how many messages a queue holds.
pub fn queue_depth(stage: StageName, queue: &'static str, depth: crate::queue::Depth) {
    for (state, count) in [("visible", depth.visible), ("in_flight", depth.in_flight), ("delayed", depth.delayed)] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        gauge!("mailtri_queue_messages", "stage" => stage.0, "queue" => queue, "state" => state).set(count as f64);
    }
}
