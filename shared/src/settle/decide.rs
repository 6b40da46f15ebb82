//! The table of results and actions, as a pure function.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{EndRecord, Object, Plan, QuarantineRecord, Ran, Send, Target, Then, end_key, quarantine_key};
use crate::{
    audit::{AuditKey, Note},
    clock::{later, until},
    envelope::{self, Attempt, Dead, Envelope, Undecodable, UndecodableBody, VERSION},
    ids::{JobId, StageName, TenantId},
    outcome::{End, Failure, Outcome},
    policy::Policy,
    queue::{MAX_BODY, MAX_DELAY, Outgoing},
};

/// What a decision depends on beside the result and the job.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The stage.
    pub stage: StageName,
    /// Its policy.
    pub policy: &'a Policy,
    /// The time.
    pub now: Timestamp,
    /// A random number in 0..1.
    pub jitter: f64,
    /// Links audit records.
    pub key: &'a AuditKey,
}

/// How long a suspect waits for its turn.
const SUSPECT_WAIT: Duration = Duration::from_secs(2);

/// Decides what has to happen to a job. `envelope` holds the turns that the run left: they go along with every re-send.
///
/// # Errors
/// Only if an envelope cannot be serialised, which its types exclude; the job is then left to its lease.
pub fn decide(ran: Ran, envelope: &Envelope, facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    match ran {
        Ran::Finished(outcome) => finished(outcome, envelope, facts),
        Ran::Failed(Failure::Retry { class, reason, after }) => retry(class, &reason, after, envelope, facts),
        Ran::Failed(Failure::Defer { class, reason, until }) => defer(class, &reason, until, envelope, facts),
        Ran::Failed(Failure::Permanent { class, reason }) => dead(class, &reason, envelope, facts),
        Ran::Deadline => retry("deadline", "the run did not end within its deadline", None, envelope, facts),
        Ran::Panicked => retry("panic", "the stage panicked", None, envelope, facts),
        Ran::Crashed => dead("worker_died", "its worker died each time", envelope, facts),
        Ran::Early => {
            let not_before = envelope.not_before.unwrap_or(facts.now);
            resend(Envelope { not_before: Some(not_before), ..envelope.again() }, until(facts.now, not_before), facts)
                .map(|send| Plan { sends: vec![send], ..Plan::new("waiting", Then::Delete) })
        }
        Ran::Suspect => resend(envelope.again(), SUSPECT_WAIT.mul_f64(0.5 + 0.5 * facts.jitter), facts)
            .map(|send| Plan { sends: vec![send], ..Plan::new("suspect", Then::Delete) }),
        Ran::Drained => resend(envelope.again(), Duration::ZERO, facts)
            .map(|send| Plan { sends: vec![send], ..Plan::new("drained", Then::Delete) }),
        Ran::NoRoom => resend(envelope.again(), SUSPECT_WAIT.mul_f64(facts.jitter), facts)
            .map(|send| Plan { sends: vec![send], ..Plan::new("no_room", Then::Delete) }),
        Ran::Ended => Ok(Plan::new("repeat", Then::Delete)),
        // A release adds to the receives: it must not make a job that was received before look like a killer.
        Ran::NotStarted if envelope.crashes == 0 => Ok(Plan::new("released", Then::Release)),
        Ran::NotStarted => resend(envelope.again(), Duration::ZERO, facts)
            .map(|send| Plan { sends: vec![send], ..Plan::new("released", Then::Delete) }),
        Ran::LeaseLost => Ok(Plan::new("lease_lost", Then::Nothing)),
    }
}

impl Plan {
    fn new(label: &'static str, then: Then) -> Self {
        Self { records: vec![], sends: vec![], then, events: vec![], label, class: "", reason: String::new() }
    }
}

fn finished(outcome: Outcome, envelope: &Envelope, facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    let work = outcome.work.unwrap_or_else(|| envelope.work.clone());
    let mut envelope = Envelope { crashes: 0, work, ..envelope.clone() };
    for note in &outcome.audit {
        note_down(&mut envelope, note, facts);
    }
    let mut plan = Plan { events: outcome.events, ..Plan::new("passed", Then::Delete) };
    if let Some(end) = &outcome.end {
        plan.label = end.name();
        plan.records = records_of(end, &mut envelope, facts)?;
    }
    for hop in outcome.hops {
        let next = envelope.next(hop.to, &hop.branch, hop.job, facts.now);
        let message = message(&next, Duration::ZERO)?;
        if message.body.len() > MAX_BODY {
            return dead("job_too_large", "the next stage's job does not fit into a message", &envelope, facts);
        }
        plan.sends.push(Send { to: Target::Work(hop.to), message });
    }
    Ok(plan)
}

fn records_of(end: &End, envelope: &mut Envelope, facts: &Facts<'_>) -> Result<Vec<Object>, serde_json::Error> {
    let before = envelope.clone();
    let (what, reason) = match end {
        End::Delivered { destination } => ("delivered", destination.as_str()),
        End::Quarantined { reason } => ("quarantined", reason.as_ref()),
        End::Rejected { reason } => ("rejected", reason.as_ref()),
        End::Dropped { reason } => ("dropped", reason.as_ref()),
    };
    note_down(envelope, &Note::new(what).with("why", reason), facts);
    let key = end_key(&envelope.work, facts.stage, &envelope.branch);
    let mut records = vec![object(key, &EndRecord::of_end(envelope, facts.stage, end, facts.now))?];
    if let End::Quarantined { reason } = end {
        let (reason, stage) = (reason.to_string(), facts.stage.to_string());
        let record = QuarantineRecord { reason, stage, at: facts.now, job: before };
        records.insert(0, object(quarantine_key(&envelope.work), &record)?);
    }
    Ok(records)
}

fn retry(
    class: &'static str,
    reason: &str,
    after: Option<Duration>,
    envelope: &Envelope,
    facts: &Facts<'_>,
) -> Result<Plan, serde_json::Error> {
    let failed = envelope.attempt + 1;
    if failed >= facts.policy.max_attempts {
        return dead(class, reason, envelope, facts);
    }
    let wait = after.unwrap_or_else(|| facts.policy.backoff.delay(failed, facts.jitter));
    let mut next = Envelope { attempt: failed, crashes: 0, deferrals: 0, ..envelope.again() };
    next.remember(attempt(class, reason, facts));
    let send = wait_for(next, later(facts.now, wait), facts)?;
    Ok(Plan { sends: vec![send], class, reason: reason.to_owned(), ..Plan::new("retried", Then::Delete) })
}

fn defer(
    class: &'static str,
    reason: &str,
    until: Timestamp,
    envelope: &Envelope,
    facts: &Facts<'_>,
) -> Result<Plan, serde_json::Error> {
    if later(envelope.stage_since, facts.policy.max_age) <= facts.now {
        return dead("expired", reason, envelope, facts);
    }
    let deferrals = envelope.deferrals.saturating_add(1);
    let mut next = Envelope { crashes: 0, deferrals, ..envelope.again() };
    // Forty deferrals for the same reason are one line of history, the latest.
    next.history.pop_if(|last| last.class == class && last.stage == facts.stage.0);
    next.remember(attempt(class, reason, facts));
    let send = wait_for(next, until, facts)?;
    Ok(Plan { sends: vec![send], class, reason: reason.to_owned(), ..Plan::new("deferred", Then::Delete) })
}

fn dead(class: &'static str, reason: &str, envelope: &Envelope, facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    let mut letter = envelope.again();
    note_down(&mut letter, &Note::new("dead_lettered").with("class", class).with("why", reason), facts);
    let record = EndRecord::of_dead(&letter, facts.stage, class, reason, facts.now);
    let records = vec![object(end_key(&letter.work, facts.stage, &letter.branch), &record)?];
    letter.remember(attempt(class, reason, facts));
    letter.dead = Some(Dead {
        at: facts.now,
        stage: facts.stage.0.to_owned(),
        class: class.to_owned(),
        reason: reason.to_owned(),
    });
    let sends = vec![Send { to: Target::Dead(facts.stage), message: message(&letter, Duration::ZERO)? }];
    Ok(Plan { records, sends, class, reason: reason.to_owned(), ..Plan::new("dead_lettered", Then::Delete) })
}

/// Decides what has to happen to a body that is no job: the dead-letter queue, after one receive.
///
/// # Errors
/// Only if the wrapping cannot be serialised.
pub fn undecodable(body: &str, reason: &str, facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    let (stage, reason) = (facts.stage.0.to_owned(), reason.to_owned());
    let dead = Dead { at: facts.now, stage, class: "undecodable".to_owned(), reason: reason.clone() };
    let wrap = |body| envelope::body(&Undecodable { version: VERSION, dead: dead.clone(), body });
    let mut plan = Plan { class: "undecodable", reason, ..Plan::new("dead_lettered", Then::Delete) };
    let mut wrapped = wrap(UndecodableBody::Inline(body.to_owned().into()))?;
    if wrapped.len() > MAX_BODY {
        let key = format!("undecodable/{}", JobId::derive(&[body.as_bytes()]));
        wrapped = wrap(UndecodableBody::Stored(key.clone()))?;
        plan.records.push(Object { key, body: body.as_bytes().to_vec() });
    }
    let message =
        Outgoing { body: wrapped, delay: Duration::ZERO, group: TenantId::default_tenant().as_str().to_owned() };
    plan.sends.push(Send { to: Target::Dead(facts.stage), message });
    Ok(plan)
}

/// Decides what has to happen to a body that announced other than one job: each becomes a message of its own.
///
/// # Errors
/// Only if a job cannot be serialised.
pub fn adopted(jobs: &[Envelope], facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    let sends = jobs.iter().map(|job| resend(job.clone(), Duration::ZERO, facts)).collect::<Result<_, _>>()?;
    let label = if jobs.is_empty() { "ignored" } else { "split" };
    Ok(Plan { sends, ..Plan::new(label, Then::Delete) })
}

/// Waits longer than the queue's longest delay hop: the job comes back and is sent on.
fn wait_for(mut envelope: Envelope, not_before: Timestamp, facts: &Facts<'_>) -> Result<Send, serde_json::Error> {
    envelope.not_before = Some(not_before);
    resend(envelope, until(facts.now, not_before), facts)
}

fn resend(envelope: Envelope, wait: Duration, facts: &Facts<'_>) -> Result<Send, serde_json::Error> {
    Ok(Send { to: Target::Work(facts.stage), message: message(&envelope, wait.min(MAX_DELAY))? })
}

fn message(envelope: &Envelope, delay: Duration) -> Result<Outgoing, serde_json::Error> {
    Ok(Outgoing { body: envelope.encode()?, delay, group: envelope.tenant.as_str().to_owned() })
}

fn object(key: String, record: &impl Serialize) -> Result<Object, serde_json::Error> {
    Ok(Object { key, body: serde_json::to_vec(record)? })
}

fn attempt(class: &str, reason: &str, facts: &Facts<'_>) -> Attempt {
    Attempt { at: facts.now, stage: facts.stage.0.to_owned(), class: class.to_owned(), reason: reason.to_owned() }
}

fn note_down(envelope: &mut Envelope, note: &Note, facts: &Facts<'_>) {
    facts.key.append(&mut envelope.audit, &envelope.work, facts.now, facts.stage.0, note);
}
