//! The table of DESIGN's results and actions, row by row.

use std::time::Duration;

use jiff::Timestamp;

use super::{EndRecord, Facts, Plan, QuarantineRecord, Ran, Target, Then, adopted, decide, undecodable};
use crate::{
    audit::{AuditKey, Note},
    blobs::{BlobError, Blobs, Condition},
    claim::ClaimError,
    clock::later,
    envelope::{Carried, DeadLetter, DecodeError, Envelope, MAX_HISTORY, MAX_JOB, Origin, UndecodableBody},
    ids::{StageName, TenantId, WorkId},
    outcome::{End, Failure, Hop, Outcome},
    policy::{Backoff, Policy},
    queue::{MAX_BODY, MAX_DELAY},
};

const HERE: StageName = StageName("here");
const THERE: StageName = StageName("there");
const S: Duration = Duration::from_secs(1);

const POLICY: Policy = Policy {
    visibility: Duration::from_secs(30),
    visibility_auto: None,
    heartbeat: Duration::from_secs(10),
    progress: Duration::from_secs(20),
    deadline: Duration::from_secs(60),
    concurrency: 8,
    max_attempts: 3,
    max_crashes: 5,
    backoff: Backoff { first: S, longest: Duration::from_secs(60) },
    max_age: Duration::from_secs(3600),
}
.checked();

struct Bench {
    now: Timestamp,
    key: AuditKey,
}

impl Bench {
    fn new() -> Self {
        Self { now: Timestamp::from_second(1_800_000_000).unwrap(), key: AuditKey::new(vec![1; 32]) }
    }

    fn facts(&self) -> Facts<'_> {
        Facts { stage: HERE, policy: &POLICY, now: self.now, jitter: 1.0, key: &self.key }
    }

    fn job(&self) -> Envelope {
        let work = WorkId::new("w1").unwrap();
        let origin = Origin { work, tenant: TenantId::new("acme").unwrap(), first_seen: self.now };
        Envelope { attempt: 1, crashes: 1, generation: 4, ..Envelope::first(origin, HERE, raw("{}")) }
    }

    fn decide(&self, ran: Ran, job: &Envelope) -> Plan {
        decide(ran, job, &self.facts()).unwrap()
    }
}

fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}

fn hop(branch: &str) -> Hop {
    Hop { to: THERE, branch: branch.to_owned(), job: raw("{\"n\":1}") }
}

/// The one message of a plan, decoded.
fn only(plan: &Plan) -> (Target, Envelope, Duration) {
    let [send] = plan.sends.as_slice() else { panic!("{plan:?}") };
    assert_eq!(send.message.group, "acme");
    (send.to, Envelope::decode(&send.message.body).unwrap(), send.message.delay)
}

/// The dead letter of a plan that gives a job up.
fn letter(plan: &Plan) -> Envelope {
    assert_eq!((plan.label, plan.then), ("dead_lettered", Then::Delete));
    let (to, letter, _) = only(plan);
    assert_eq!(to, Target::Dead(HERE));
    let record: EndRecord = serde_json::from_slice(&plan.records[0].body).unwrap();
    assert_eq!((record.end.as_str(), record.class.as_deref()), ("dead_lettered", Some(plan.class)));
    letter
}

#[test]
fn hops_are_sent_before_the_delete_and_a_branch_has_a_job_of_its_own() {
    let bench = Bench::new();
    let outcome = Outcome::hop(hop("a")).and_hop(hop("b")).with_note(Note::new("routed"));
    let plan = bench.decide(Ran::Finished(outcome.clone()), &bench.job());
    assert_eq!((plan.label, plan.then, plan.records.len(), plan.sends.len()), ("passed", Then::Delete, 0, 2));
    let next: Vec<Envelope> = plan.sends.iter().map(|s| Envelope::decode(&s.message.body).unwrap()).collect();
    assert_ne!(next[0].id, next[1].id);
    for (next, branch) in next.iter().zip(["a", "b"]) {
        assert_eq!((next.branch.as_str(), next.attempt, next.crashes, next.generation), (branch, 0, 0, 0));
        assert_eq!(bench.key.verify(&next.audit, &next.work), Ok(()));
        assert_eq!(next.audit[0].what, "routed");
    }
    let again = bench.decide(Ran::Finished(outcome), &bench.job());
    assert_eq!(Envelope::decode(&again.sends[0].message.body).unwrap().id, next[0].id, "a repeat makes the same job");
}

#[test]
fn an_end_is_recorded_before_the_delete_and_a_quarantine_keeps_the_job() {
    let bench = Bench::new();
    let job = bench.job();
    let end = End::Quarantined { reason: "ambiguous".into() };
    let plan = bench.decide(Ran::Finished(Outcome::end(end)), &job);
    assert_eq!((plan.label, plan.then, plan.sends.len()), ("quarantined", Then::Delete, 0));
    let keys: Vec<&str> = plan.records.iter().map(|r| r.key.as_str()).collect();
    assert_eq!(keys, ["quarantine/w1", "ends/w1/here"]);
    let kept: QuarantineRecord = serde_json::from_slice(&plan.records[0].body).unwrap();
    assert_eq!((kept.job.id, kept.reason.as_str()), (job.id.clone(), "ambiguous"));
    let record: EndRecord = serde_json::from_slice(&plan.records[1].body).unwrap();
    assert_eq!((record.end.as_str(), record.attempts), ("quarantined", 2));
    assert_eq!(bench.key.verify(&record.audit, &record.work), Ok(()));

    let branch = Envelope { branch: "erp".to_owned(), ..job };
    let plan = bench.decide(Ran::Finished(Outcome::end(End::Delivered { destination: "erp".to_owned() })), &branch);
    assert_eq!((plan.label, plan.records[0].key.as_str()), ("delivered", "ends/w1/here.erp"));
    for (end, label) in
        [(End::Rejected { reason: "r".into() }, "rejected"), (End::Dropped { reason: "d".into() }, "dropped")]
    {
        let plan = bench.decide(Ran::Finished(Outcome::end(end)), &bench.job());
        assert_eq!((plan.label, plan.records.len(), plan.then), (label, 1, Then::Delete));
    }
}

#[test]
fn retry_deadline_and_panic_count_an_attempt_and_back_off() {
    let bench = Bench::new();
    let failed = Ran::Failed(Failure::retry("store_unavailable", "no answer"));
    for (ran, class) in [(failed, "store_unavailable"), (Ran::Deadline, "deadline"), (Ran::Panicked, "panic")] {
        let plan = bench.decide(ran, &bench.job());
        assert_eq!((plan.label, plan.class, plan.then, plan.records.len()), ("retried", class, Then::Delete, 0));
        let (to, next, delay) = only(&plan);
        assert_eq!((to, next.attempt, next.crashes, next.generation, delay), (Target::Work(HERE), 2, 0, 5, 2 * S));
        assert_eq!(next.not_before, Some(later(bench.now, 2 * S)));
        assert_eq!((next.history.len(), next.history[0].class.as_str()), (1, class));
    }
}

#[test]
fn the_last_attempt_and_a_permanent_failure_are_dead_letters_with_their_history() {
    let bench = Bench::new();
    let last = Envelope { attempt: 2, ..bench.job() };
    for (ran, job, class) in [
        (Ran::Deadline, &last, "deadline"),
        (Ran::Panicked, &last, "panic"),
        (Ran::Failed(Failure::permanent("object_missing", "no such object")), &bench.job(), "object_missing"),
        (Ran::Crashed, &bench.job(), "worker_died"),
    ] {
        let plan = bench.decide(ran, job);
        let letter = letter(&plan);
        assert_eq!(letter.dead.as_ref().map(|d| d.class.as_str()), Some(class));
        assert_eq!(letter.history.last().map(|a| a.class.as_str()), Some(class));
        assert!(matches!(DeadLetter::decode(&plan.sends[0].message.body), DeadLetter::Job(_)));
    }
}

#[test]
fn a_stage_s_own_wait_is_kept_and_long_waits_hop() {
    let bench = Bench::new();
    let after = Some(Duration::from_secs(7200));
    let plan =
        bench.decide(Ran::Failed(Failure::Retry { class: "refused", reason: "500".into(), after }), &bench.job());
    let (_, next, delay) = only(&plan);
    assert_eq!((delay, next.not_before), (MAX_DELAY, Some(later(bench.now, Duration::from_secs(7200)))));

    let back = Bench { now: later(bench.now, MAX_DELAY), ..Bench::new() };
    let plan = back.decide(Ran::Early, &next);
    let (_, hopped, delay) = only(&plan);
    assert_eq!((plan.label, plan.then, delay), ("waiting", Then::Delete, MAX_DELAY));
    assert_eq!((hopped.not_before, hopped.attempt, hopped.history.len()), (next.not_before, next.attempt, 1));
}

#[test]
fn forty_deferrals_burn_no_attempt_and_are_one_line_of_history() {
    let mut bench = Bench::new();
    let mut job = bench.job();
    for _ in 0..40 {
        let until = later(bench.now, 30 * S);
        let plan = bench.decide(Ran::Failed(Failure::defer("rate_limited", "its turn", until)), &job);
        assert_eq!((plan.label, plan.class, plan.then), ("deferred", "rate_limited", Then::Delete));
        let (to, next, delay) = only(&plan);
        assert_eq!((to, next.not_before, delay), (Target::Work(HERE), Some(until), 30 * S));
        job = next;
        bench.now = until;
    }
    assert_eq!((job.attempt, job.generation, job.history.len(), job.crashes), (1, 44, 1, 0));
    assert_eq!(job.deferrals, 40);
}

#[test]
fn a_deferral_past_its_age_is_a_dead_letter() {
    let bench = Bench::new();
    let job = bench.job();
    let far = later(bench.now, POLICY.max_age * 24);
    let plan = bench.decide(Ran::Failed(Failure::defer("throttled", "Retry-After", far)), &job);
    assert_eq!(
        only(&plan).1.not_before,
        Some(later(bench.now, POLICY.max_age)),
        "it ends when it says, not a day later"
    );

    let late = Bench { now: later(bench.now, POLICY.max_age), ..Bench::new() };
    let plan = late.decide(Ran::Failed(Failure::defer("rate_limited", "its turn", late.now)), &job);
    assert_eq!(letter(&plan).dead.map(|d| d.class), Some("expired".to_owned()));
}

#[test]
fn turns_are_kept_with_every_resend_and_gone_at_the_next_stage() {
    let bench = Bench::new();
    let job = Envelope { turns: [("senders".to_owned(), Some(bench.now))].into(), ..bench.job() };
    let failures = [Failure::defer("over_limit", "its turn", bench.now), Failure::retry("refused", "500")];
    for ran in failures.map(Ran::Failed).into_iter().chain([Ran::Drained, Ran::Early, Ran::Panicked, Ran::NoRoom]) {
        let plan = bench.decide(ran, &job);
        assert_eq!(only(&plan).1.turns, job.turns, "{}", plan.label);
    }
    let plan = bench.decide(Ran::Finished(Outcome::hop(hop(""))), &job);
    assert!(only(&plan).1.turns.is_empty());
}

#[test]
fn a_drained_job_gets_its_attempt_back_a_waiting_one_is_released_and_a_lost_one_is_left_alone() {
    let bench = Bench::new();
    let plan = bench.decide(Ran::Drained, &bench.job());
    let (to, next, delay) = only(&plan);
    assert_eq!((plan.label, to, next.attempt, delay), ("drained", Target::Work(HERE), 1, Duration::ZERO));
    let fresh = Envelope { crashes: 0, ..bench.job() };
    let plan = bench.decide(Ran::NotStarted, &bench.job());
    assert_eq!((plan.label, only(&plan).1.crashes, plan.then), ("released", 1, Then::Delete));
    let plan = bench.decide(Ran::NoRoom, &bench.job());
    assert_eq!((plan.label, only(&plan).1.attempt, plan.then), ("no_room", 1, Then::Delete));
    let delivered =
        EndRecord { end: "delivered".to_owned(), ..EndRecord::of_dead(&bench.job(), HERE, "", "", bench.now) };
    let endings = [
        (Ran::NotStarted, Then::Release),
        (Ran::LeaseLost, Then::Nothing),
        (Ran::Ended(Box::new(delivered)), Then::Delete),
    ];
    for (ran, then) in endings {
        let plan = bench.decide(ran, &fresh);
        assert_eq!((plan.records.len(), plan.sends.len(), plan.then), (0, 0, then));
    }
}

#[test]
fn what_could_not_be_settled_runs_again_later_with_nothing_counted() {
    let bench = Bench::new();
    let job = Envelope { crashes: 3, deferrals: 9, ..bench.job() };
    // Also past its age: it has an end, which is not written down yet.
    let late = Bench { now: later(bench.now, POLICY.max_age), ..Bench::new() };
    let plan = late.decide(Ran::Unsettled, &job);
    let (to, next, delay) = only(&plan);
    assert_eq!((plan.label, plan.then, plan.records.len(), to), ("unsettled", Then::Delete, 0, Target::Work(HERE)));
    assert_eq!((next.attempt, next.crashes, next.deferrals, next.generation), (1, 3, 10, 5));
    assert_eq!(delay, 60 * S);
    let fresh = late.decide(Ran::Unsettled, &Envelope { crashes: 0, ..bench.job() });
    assert_eq!(only(&fresh).1.crashes, 1, "its end is looked up");
}

#[test]
fn a_suspect_waits_its_turn_with_its_crashes_kept() {
    let bench = Bench::new();
    let job = Envelope { crashes: 3, ..bench.job() };
    let plan = bench.decide(Ran::Suspect, &job);
    let (_, next, delay) = only(&plan);
    assert_eq!((plan.label, plan.then, next.crashes, next.attempt), ("suspect", Then::Delete, 3, 1));
    assert!(delay > Duration::ZERO);
}

#[test]
fn what_does_not_decode_is_a_dead_letter_with_its_reason_and_a_large_one_is_stored() {
    let bench = Bench::new();
    let error = Envelope::decode("{\"canary\":1}").unwrap_err();
    let plan = undecodable("{\"canary\":1}", &error.to_string(), &bench.facts()).unwrap();
    let DeadLetter::Undecodable(wrapped) = DeadLetter::decode(&plan.sends[0].message.body) else { panic!("{plan:?}") };
    assert_eq!(wrapped.body, UndecodableBody::Inline("{\"canary\":1}".to_owned().into()));
    assert!(!wrapped.dead.reason.contains("canary") && wrapped.dead.reason.contains("column"));

    let body = "x".repeat(MAX_BODY - 10);
    let plan = undecodable(&body, "too new", &bench.facts()).unwrap();
    let DeadLetter::Undecodable(wrapped) = DeadLetter::decode(&plan.sends[0].message.body) else { panic!() };
    assert_eq!(wrapped.body, UndecodableBody::Stored(plan.records[0].key.clone()));
    assert_eq!(plan.records[0].body, body.as_bytes());
}

#[test]
fn what_announces_several_jobs_is_split_and_what_announces_none_is_ignored() {
    let bench = Bench::new();
    let plan = adopted(&[bench.job(), bench.job()], &bench.facts()).unwrap();
    assert_eq!((plan.label, plan.sends.len(), plan.then), ("split", 2, Then::Delete));
    let plan = adopted(&[], &bench.facts()).unwrap();
    assert_eq!((plan.label, plan.sends.len(), plan.then), ("ignored", 0, Then::Delete));
}

#[test]
fn a_run_may_say_which_work_it_was() {
    let bench = Bench::new();
    let known = WorkId::new("known").unwrap();
    let outcome = Outcome::hop(hop("")).with_note(Note::new("parsed")).identified_as(known.clone());
    let (_, next, _) = {
        let plan = bench.decide(Ran::Finished(outcome), &bench.job());
        only(&plan)
    };
    assert_eq!((&next.work, bench.key.verify(&next.audit, &known)), (&known, Ok(())));
    let end = Outcome::end(End::Quarantined { reason: "r".into() }).identified_as(known);
    let plan = bench.decide(Ran::Finished(end), &bench.job());
    assert_eq!(plan.records[1].key, "ends/known/here");
}

/// A job that fits no message by itself, and what a store does with a plan's records.
fn large() -> Hop {
    Hop { job: raw(&format!("\"{}\"", "x".repeat(MAX_BODY))), ..hop("") }
}

#[tokio::test]
async fn a_job_that_fits_no_message_goes_by_a_stored_claim_through_every_plan() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = crate::blobs::dir::DirBlobs::open(dir.path()).unwrap();
    let bench = Bench::new();
    let mut plan = bench.decide(Ran::Finished(Outcome::hop(large())), &bench.job());
    let after = [
        Ran::Failed(Failure::retry("again", "once more")),
        Ran::Failed(Failure::defer("rate_limited", "its turn", bench.now)),
        Ran::Drained,
        Ran::Early,
        Ran::Crashed,
        Ran::Failed(Failure::permanent("object_missing", "no such object")),
    ];
    let mut after = after.into_iter();
    loop {
        let [claim] = plan.records.iter().filter(|r| r.key.starts_with("claims/")).collect::<Vec<_>>()[..] else {
            panic!("{plan:?}")
        };
        assert_eq!((claim.body.len(), claim.condition), (MAX_BODY + 2, Condition::IfAbsent));
        blobs.put(&claim.key, claim.body.clone().into(), claim.condition).await.unwrap();
        let (_, mut job, _) = only(&plan);
        assert!(plan.sends[0].message.body.len() < 2000);
        assert_eq!(job.job::<String>(), Err(DecodeError::Apart));
        job.load(&blobs).await.unwrap();
        assert_eq!(job.job::<String>().unwrap().len(), MAX_BODY);
        let Some(next) = after.next() else { break };
        plan = bench.decide(next, &job);
    }
    assert_eq!(blobs.list("claims/", None, 10).await.unwrap().keys.len(), 1, "every copy refers to the same object");
}

#[tokio::test]
async fn a_stored_job_that_is_not_what_was_stored_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = crate::blobs::dir::DirBlobs::open(dir.path()).unwrap();
    let bench = Bench::new();
    let plan = bench.decide(Ran::Finished(Outcome::hop(large())), &bench.job());
    let (_, mut job, _) = only(&plan);
    assert_eq!(job.load(&blobs).await, Err(ClaimError::Store(BlobError::NotFound)));
    let mut other = plan.records[0].body.clone();
    other[7] = b'y';
    for wrong in [other, plan.records[0].body[..100].to_vec(), [&plan.records[0].body[..], b" "].concat()] {
        blobs.put(&plan.records[0].key, wrong.into(), Condition::Always).await.unwrap();
        assert_eq!(job.load(&blobs).await, Err(ClaimError::Mismatch));
    }
    let still = bench.decide(Ran::Failed(Failure::permanent("job_damaged", "not what was claimed")), &job);
    assert!(matches!(letter(&still).job, Carried::Stored(_)), "the letter goes on referring to it");
    assert!(still.records.iter().all(|record| !record.key.starts_with("claims/")));
}

#[test]
fn a_job_that_fits_no_object_either_is_a_dead_letter_not_a_loop() {
    let bench = Bench::new();
    let big = Hop { job: raw(&format!("\"{}\"", "x".repeat(MAX_JOB))), ..hop("") };
    let plan = bench.decide(Ran::Finished(Outcome::hop(big)), &bench.job());
    assert_eq!(letter(&plan).dead.map(|d| d.class), Some("job_too_large".to_owned()));
}

#[test]
fn history_is_bounded_to_the_latest() {
    let bench = Bench::new();
    let mut job = bench.job();
    for i in 0..50 {
        job = Envelope { attempt: 0, ..job };
        let class = if i % 2 == 0 { "even" } else { "odd" };
        job = only(&bench.decide(Ran::Failed(Failure::retry(class, i.to_string())), &job)).1;
    }
    assert_eq!(job.history.len(), MAX_HISTORY);
    assert_eq!(job.history.last().map(|a| a.reason.as_str()), Some("49"));
}
