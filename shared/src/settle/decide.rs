//! The table of results and actions, as a pure function.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    DEAD_LETTERED, EndRecord, Object, Plan, QuarantineRecord, Ran, Send, Target, Then, end_key, packed, quarantine_key,
};
use crate::{
    audit::{AuditKey, Note},
    blobs::Condition,
    clock::{later, until},
    envelope::{self, Attempt, Dead, Envelope, MAX_JOB, Undecodable, UndecodableBody, VERSION},
    ids::{JobId, StageName, TenantId},
    outcome::{End, Failure, Outcome},
    policy::{Backoff, Policy},
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

/// How soon to run a job again whose settlement failed, first and at most.
const UNSETTLED: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
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
            let job = Envelope { not_before: Some(not_before), ..envelope.again() };
            Plan::new("waiting", Then::Delete).back(&job, until(facts.now, not_before), facts)
        }
        Ran::Suspect => {
            let wait = SUSPECT_WAIT.mul_f64(0.5 + 0.5 * facts.jitter);
            Plan::new("suspect", Then::Delete).back(&envelope.again(), wait, facts)
        }
        Ran::Drained => Plan::new("drained", Then::Delete).back(&envelope.again(), Duration::ZERO, facts),
        // What it came to is known: no attempt is counted, and no age ends it otherwise. Its end may be written down already,
        // so that is looked up before it runs, as after a crash.
        Ran::Unsettled => {
            let (crashes, deferrals) = (envelope.crashes.max(1), envelope.deferrals.saturating_add(1));
            let job = Envelope { crashes, deferrals, ..envelope.again() };
            Plan::new("unsettled", Then::Delete).back(&job, UNSETTLED.delay(deferrals, facts.jitter), facts)
        }
        Ran::NoRoom => {
            Plan::new("no_room", Then::Delete).back(&envelope.again(), SUSPECT_WAIT.mul_f64(facts.jitter), facts)
        }
        Ran::Ended(record) if record.end == DEAD_LETTERED => dead_again(*record, envelope, facts),
        Ran::Ended(_) => Ok(Plan::new("repeat", Then::Delete)),
        // A release adds to the receives: it must not make a job that was received before look like a killer.
        Ran::NotStarted if envelope.crashes == 0 => Ok(Plan::new("released", Then::Release)),
        Ran::NotStarted => Plan::new("released", Then::Delete).back(&envelope.again(), Duration::ZERO, facts),
        Ran::LeaseLost => Ok(Plan::new("lease_lost", Then::Nothing)),
    }
}

impl Plan {
    fn new(label: &'static str, then: Then) -> Self {
        Self { records: vec![], sends: vec![], then, events: vec![], label, class: "", reason: String::new() }
    }

    /// Adds a send. A job that fits no message is stored first, with the records.
    fn send(mut self, to: Target, envelope: &Envelope, delay: Duration) -> Result<Self, serde_json::Error> {
        let (body, stored) = packed(envelope)?;
        self.records.extend(stored);
        let message = Outgoing { body, delay, group: envelope.tenant.as_str().to_owned() };
        self.sends.push(Send { to, message });
        Ok(self)
    }

    /// Adds a send to the stage itself. Waits longer than the queue's longest delay hop: the job comes back and is sent
    /// on.
    fn back(self, envelope: &Envelope, wait: Duration, facts: &Facts<'_>) -> Result<Self, serde_json::Error> {
        self.send(Target::Work(facts.stage), envelope, wait.min(MAX_DELAY))
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
        if hop.job.get().len() > MAX_JOB {
            return dead("job_too_large", "the next stage's job is longer than any that is stored", &envelope, facts);
        }
        let next = envelope.next(hop.to, &hop.branch, hop.job, facts.now);
        plan = plan.send(Target::Work(hop.to), &next, Duration::ZERO)?;
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
    let plan = Plan { class, reason: reason.to_owned(), ..Plan::new("retried", Then::Delete) };
    wait_for(plan, next, later(facts.now, wait), facts)
}

fn defer(
    class: &'static str,
    reason: &str,
    until: Timestamp,
    envelope: &Envelope,
    facts: &Facts<'_>,
) -> Result<Plan, serde_json::Error> {
    let expires = later(envelope.stage_since, facts.policy.max_age);
    if expires <= facts.now {
        return dead("expired", reason, envelope, facts);
    }
    // Whatever it waits for, it is looked at when its time is up.
    let until = until.min(expires);
    let deferrals = envelope.deferrals.saturating_add(1);
    let mut next = Envelope { crashes: 0, deferrals, ..envelope.again() };
    // Forty deferrals for the same reason are one line of history, the latest.
    next.history.pop_if(|last| last.class == class && last.stage == facts.stage.0);
    next.remember(attempt(class, reason, facts));
    let plan = Plan { class, reason: reason.to_owned(), ..Plan::new("deferred", Then::Delete) };
    wait_for(plan, next, until, facts)
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
    let plan = Plan { records, class, reason: reason.to_owned(), ..Plan::new("dead_lettered", Then::Delete) };
    plan.send(Target::Dead(facts.stage), &letter, Duration::ZERO)
}

/// The letter once more, since nothing tells whether it was sent after its record was written. Both have one id.
fn dead_again(record: EndRecord, envelope: &Envelope, facts: &Facts<'_>) -> Result<Plan, serde_json::Error> {
    let EndRecord { at, class, reason, .. } = record;
    let (class, reason) = (class.unwrap_or_default(), reason.unwrap_or_default());
    let mut letter = envelope.again();
    letter.remember(Attempt { at, stage: facts.stage.0.to_owned(), class: class.clone(), reason: reason.clone() });
    letter.dead = Some(Dead { at, stage: facts.stage.0.to_owned(), class, reason });
    Plan::new("repeat", Then::Delete).send(Target::Dead(facts.stage), &letter, Duration::ZERO)
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
        plan.records.push(Object { key, body: body.as_bytes().to_vec(), condition: Condition::Always });
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
    let plan = Plan::new(if jobs.is_empty() { "ignored" } else { "split" }, Then::Delete);
    jobs.iter().try_fold(plan, |plan, job| plan.back(job, Duration::ZERO, facts))
}

fn wait_for(
    plan: Plan,
    mut envelope: Envelope,
    not_before: Timestamp,
    facts: &Facts<'_>,
) -> Result<Plan, serde_json::Error> {
    envelope.not_before = Some(not_before);
    plan.back(&envelope, until(facts.now, not_before), facts)
}

fn object(key: String, record: &impl Serialize) -> Result<Object, serde_json::Error> {
    Ok(Object { key, body: serde_json::to_vec(record)?, condition: Condition::Always })
}

fn attempt(class: &str, reason: &str, facts: &Facts<'_>) -> Attempt {
    Attempt { at: facts.now, stage: facts.stage.0.to_owned(), class: class.to_owned(), reason: reason.to_owned() }
}

fn note_down(envelope: &mut Envelope, note: &Note, facts: &Facts<'_>) {
    facts.key.append(&mut envelope.audit, &envelope.work, facts.now, facts.stage.0, note);
}
