//! The end of a job's stay: its lease is stopped, what was decided is carried out, and told.
//!
//! What cannot be recorded or sent while the lease holds is given back in its last quarter, so that a store that is out is
//! not taken for a job that kills its worker. What is refused, and would be each time, is a dead letter instead.

use std::time::Duration;

use tokio::time::Instant;

use super::{Member, Runner};
use crate::{
    envelope::Envelope,
    lease::Lease,
    outcome::Failure,
    queue::{Received, batch::Pace},
    settle::{Plan, Ran, SettleError, Then, decide},
    stage::Stage,
    telemetry::metric,
};

impl<S: Stage> Runner<S> {
    pub(super) async fn settle(
        &self,
        plan: Result<Plan, serde_json::Error>,
        lease: Lease,
        (message, member): (&Received, Member),
        job: Option<&Envelope>,
        started: Instant,
    ) {
        let stage = self.stage.name();
        // The heartbeat ends before the settlement begins, so that it cannot undo it.
        let lease_end = lease.stop();
        let mut plan = match (plan, lease_end) {
            (Ok(plan), Some(_)) => plan,
            (Ok(plan), None) if plan.then == Then::Nothing => plan,
            (Ok(_), None) => return tracing::warn!("the lease ran out before the settlement; the job comes back"),
            (Err(error), _) => return tracing::error!(%error, "a settlement could not be written down"),
        };
        let until = lease_end.unwrap_or_else(Instant::now);
        // Whoever still runs settles soon, perhaps in the same batches; the last one waits for nobody.
        let pace = if member.leave() { Pace::Gather } else { Pace::AtOnce };
        if let Err(error) = self.fleet.settler.apply(&plan, stage, message.receipt.clone(), until, pace).await {
            metric::settlement_failed(stage);
            tracing::warn!(outcome = plan.label, %error, "settlement failed");
            let Some(again) = job.and_then(|job| self.again(job, &error)) else { return };
            if let Err(error) = self.fleet.settler.apply(&again, stage, message.receipt.clone(), until, pace).await {
                return tracing::warn!(%error, "nor could it be given back or given up; it comes back when its lease ends");
            }
            plan = again;
        }
        metric::job_done(stage, plan.label, plan.class, started.elapsed());
        report(&plan, started.elapsed());
    }

    /// What to do instead of a settlement that failed; `None` where only the message itself is left, which comes back.
    fn again(&self, job: &Envelope, error: &SettleError) -> Option<Plan> {
        let ran = match error {
            SettleError::LeaseEnded => Ran::Unsettled,
            SettleError::Record(_) | SettleError::Send(_) | SettleError::NoQueue(_) => {
                Ran::Failed(Failure::permanent("settlement_refused", error.to_string()))
            }
            SettleError::Settle(_) => return None,
        };
        decide(ran, job, &self.facts()).ok()
    }
}

/// One line an outcome, logged where it is handled; the events after it.
fn report(plan: &Plan, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match plan.label {
        "dead_lettered" => tracing::error!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
        "retried" => tracing::warn!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
        _ => tracing::info!(outcome = plan.label, class = plan.class, reason = plan.reason, ms, "job"),
    }
    for event in &plan.events {
        metric::event(event.name);
        tracing::info!(event = event.name, detail = ?event.detail, "event");
    }
}
