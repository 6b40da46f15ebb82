mod many;

use std::{num::NonZeroU32, sync::Mutex};

use async_trait::async_trait;
use shared::{
    ids::TenantId,
    limit::{OnError, Rate, Share, local::LocalLimiter},
};

use super::*;
use crate::{names::ClientName, rules::Glob};

const HOUR: Duration = Duration::from_secs(3600);

/// A limiter that notes what it is asked, and may be dead.
#[derive(Debug)]
struct Watched {
    inner: LocalLimiter,
    dead: bool,
    /// The keys of each request.
    asked: Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl Limiter for Watched {
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LimitError> {
        let keys = request.charges.iter().map(|charge| &charge.key).chain(request.slots.iter().map(|slot| &slot.key));
        self.asked.lock().unwrap().push(keys.cloned().collect());
        if self.dead { Err(LimitError("dead".into())) } else { self.inner.ask(request).await }
    }

    async fn renew(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        self.inner.renew(slots, holder).await
    }

    async fn release(&self, slots: &[String], holder: &Holder) -> Result<(), LimitError> {
        self.inner.release(slots, holder).await
    }

    async fn forget(&self, keys: &[String]) -> Result<(), LimitError> {
        self.inner.forget(keys).await
    }
}

struct Bench {
    limiting: Limiting,
    limiter: Arc<Watched>,
    clock: Clock,
}

impl Bench {
    fn new(limits: Vec<Limit>) -> Self {
        Self::over(limits, false)
    }

    fn over(limits: Vec<Limit>, dead: bool) -> Self {
        let clock = Clock::starting_at(Timestamp::from_second(1_790_000_000).unwrap());
        let limiter = Watched { inner: LocalLimiter::new(clock.clone()), dead, asked: Mutex::default() };
        let limiter = Arc::new(limiter);
        let key = SubjectKey::new(vec![1; 32]);
        Self { limiting: Limiting::new(limits, limiter.clone(), key, clock.clone()), limiter, clock }
    }

    fn job(&self, tenant: &str) -> Context {
        let expires = shared::clock::later(self.clock.now(), HOUR);
        Context::for_tests(TenantId::new(tenant).unwrap(), self.clock.clone(), expires)
    }

    async fn stop(&self, pass: &mut Pass, job: &Context) -> Option<Stopped> {
        self.limiting.stop(Place::Parse, pass, job).await
    }

    /// The reserved turn of a job, in milliseconds from now; `None` if it passes.
    async fn turn(&self, subjects: &Subjects, job: &Context) -> Option<i64> {
        match self.stop(&mut Pass::of(subjects.clone()), job).await {
            None => None,
            Some(Err(Failure::Defer { class: "over_limit", until, .. })) => {
                Some(until.as_millisecond() - self.clock.now().as_millisecond())
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    fn asked(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.limiter.asked.lock().unwrap())
    }
}

fn rate(name: &str, scope: Scope, rate: &str) -> Limit {
    let bounds = Bounds { base: Some(rate.parse().unwrap()), exceptions: vec![] };
    Limit {
        name: name.to_owned(),
        scope,
        kind: Kind::Rate { bounds, cost: Cost::Message },
        enforce: true,
        on_error: OnError::Local(Share::WHOLE),
        expired: Expired::Quarantine,
    }
}

fn slots(name: &str, count: u32) -> Limit {
    let bounds = Bounds { base: NonZeroU32::new(count), exceptions: vec![] };
    Limit { kind: Kind::Slots(bounds), ..rate(name, Scope::Tenant, "1/sec") }
}

fn from(sender: &str) -> Subjects {
    let envelope = crate::jobs::SmtpEnvelope {
        from: Some(sender.to_owned().into()),
        to: vec!["box@here.example".to_owned().into()],
    };
    Subjects::of_envelope(&envelope, "acme", Some(3000))
}

#[tokio::test(start_paused = true)]
async fn the_excess_drains_in_order_at_the_rate_and_is_charged_once() {
    let bench = Bench::new(vec![rate("senders", Scope::Sender, "10/sec burst 5")]);
    let subjects = from("a@x.example");
    let jobs: Vec<Context> = (0..100).map(|_| bench.job("acme")).collect();
    for (n, job) in (0..).zip(&jobs) {
        let due = (n >= 5).then(|| (n - 4) * 100);
        assert_eq!(bench.turn(&subjects, job).await, due, "{n}");
    }
    bench.asked();
    tokio::time::advance(Duration::from_secs(10)).await;
    for job in &jobs {
        assert_eq!(bench.turn(&subjects, job).await, None, "its turn was reserved");
    }
    assert_eq!(bench.asked().len(), 0, "and is not asked for again");
    assert_eq!(bench.turn(&from("b@x.example"), &bench.job("acme")).await, None, "another sender's is another");
}

#[tokio::test(start_paused = true)]
async fn more_recipients_than_are_counted_end_as_the_limit_declares() {
    let mail = |count: usize| {
        let to = (0..count).map(|n| format!("{n}@here.example").into()).collect();
        Subjects::of_envelope(&crate::jobs::SmtpEnvelope { from: None, to }, "acme", None)
    };
    let limit = rate("recipients", Scope::Recipient, "1/hour burst 1");
    let bench = Bench::new(vec![limit.clone()]);
    assert_eq!(bench.turn(&mail(1000), &bench.job("acme")).await, None);
    assert_eq!(bench.asked().concat().len(), 1000, "all are counted");
    let stopped = bench.stop(&mut Pass::of(mail(1001)), &bench.job("acme")).await.unwrap();
    let text = format!("{stopped:?}");
    assert!(stopped.is_ok() && text.contains("Quarantined") && text.contains("more recipients"), "{text}");
    assert_eq!(bench.asked().len(), 0);
    let shadow = Bench::new(vec![Limit { enforce: false, ..limit }, rate("tenants", Scope::Tenant, "1/sec")]);
    assert_eq!(shadow.turn(&mail(1001), &shadow.job("acme")).await, None);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_dead_limiter_in_vain_ends_as_declared() {
    let waits = |name| Limit { on_error: OnError::Defer, ..rate(name, Scope::Sender, "9/sec") };
    let shadow = Limit { enforce: false, ..waits("shadow") };
    let local = rate("local", Scope::Sender, "9/sec");
    for (expired, end) in [(Expired::Quarantine, "Quarantined"), (Expired::Reject, "Rejected")] {
        let bench = Bench::over(vec![shadow.clone(), local.clone(), Limit { expired, ..waits("strict") }], true);
        let (subjects, job) = (from("a@x.example"), bench.job("acme"));
        tokio::time::advance(HOUR - MARGIN - Duration::from_secs(1)).await;
        let stopped = bench.stop(&mut Pass::of(subjects.clone()), &job).await.unwrap();
        let Err(Failure::Defer { class: "limiter_unavailable", until, .. }) = stopped else { panic!("{stopped:?}") };
        assert!(until <= last_call(&job), "never so late that it would be a dead letter: {until}");
        tokio::time::advance(Duration::from_secs(1)).await;
        let stopped = bench.stop(&mut Pass::of(subjects), &job).await.unwrap();
        let text = format!("{stopped:?}");
        assert!(stopped.is_ok() && text.contains(end) && text.contains("limit strict"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_tenants_limits_are_one_request_and_those_across_tenants_come_first() {
    let bench = Bench::new(vec![
        rate("senders", Scope::Sender, "9/sec"),
        rate("domains", Scope::SenderDomain, "9/sec"),
        rate("recipients", Scope::Recipient, "9/sec"),
        slots("jobs", 2),
        rate("clients", Scope::ClientIp, "1/sec burst 1"),
    ]);
    let subjects = from("a@mail.x.example").with_client("192.0.2.1".parse().unwrap());
    assert_eq!(bench.turn(&subjects, &bench.job("acme")).await, None);
    let asked = bench.asked();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4], "the tenant's line beside the limit");
    assert!(asked[0].iter().all(|key| key.starts_with("{client-ip.") && key.contains("}:clients:")), "{asked:?}");
    assert!(asked[1].iter().all(|key| key.starts_with("{acme}:")), "{asked:?}");
    for part in ["192.0.2.1", "x.example", "here.example", "@"] {
        assert!(!format!("{asked:?}").contains(part), "{part} in {asked:?}");
    }
    let waiting = bench.job("else");
    assert_eq!(bench.turn(&subjects, &waiting).await, Some(1000), "the client is the same for every tenant");
    assert_eq!(bench.asked().len(), 1, "the tenant is charged when the client's turn has come");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(bench.turn(&subjects, &waiting).await, None);
    assert_eq!(bench.asked().len(), 1, "and the client is not charged again");
}

#[tokio::test(start_paused = true)]
async fn what_only_the_mail_tells_is_asked_after_the_parse() {
    let bench = Bench::new(vec![
        rate("senders", Scope::Sender, "1/hour burst 1"),
        rate("tenants", Scope::Tenant, "9/sec"),
        slots("jobs", 1),
    ]);
    let (job, mut pass) = (bench.job("acme"), Pass::of(Subjects::one(Scope::Tenant, "acme")));
    assert!(bench.stop(&mut pass, &job).await.is_none());
    pass.subjects = pass.subjects.with(Scope::Sender, ["a@x.example".to_owned()]);
    assert!(bench.stop(&mut pass, &job).await.is_none());
    let sizes: Vec<usize> = bench.asked().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1], "nothing twice");
    assert!(bench.stop(&mut pass, &job).await.is_none());
    assert_eq!(bench.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_turn_looks_again_until_the_declared_end() {
    for (expired, end) in [
        (Expired::Quarantine, Some("quarantined")),
        (Expired::Reject, Some("rejected")),
        (Expired::Drop, Some("dropped")),
        (Expired::DeadLetter, None),
    ] {
        let limit = Limit { expired, ..rate("senders", Scope::Sender, "1/day burst 1") };
        let bench = Bench::new(vec![limit]);
        let (subjects, job) = (from("a@x.example"), bench.job("acme"));
        assert_eq!(bench.turn(&subjects, &bench.job("acme")).await, None);
        let again = bench.turn(&subjects, &job).await.unwrap();
        assert!((15_000..=30_000).contains(&again), "{again}");
        assert!(!job.turns.holds("senders", job.clock.now()));
        // Before the settlement would find it too old.
        tokio::time::advance(HOUR - MARGIN).await;
        let stopped = bench.stop(&mut Pass::of(subjects), &job).await.unwrap();
        match (&stopped, end) {
            (Ok(outcome), Some(end)) => {
                let text = format!("{outcome:?}").to_lowercase();
                assert!(text.contains(end) && text.contains("limit senders"), "{text}");
            }
            // Which the runner ends as a dead letter, since the job is too old.
            (Err(Failure::Defer { class: "over_limit", .. }), None) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn slots_are_held_while_the_run_lasts_and_renewed() {
    let bench = Bench::new(vec![slots("jobs", 1), rate("tenants", Scope::Tenant, "100/sec")]);
    let subjects = Subjects::one(Scope::Tenant, "acme");
    let (first, second) = (bench.job("acme"), bench.job("acme"));
    let mut held = Pass::of(subjects.clone());
    assert!(bench.stop(&mut held, &first).await.is_none());
    for _ in 0..10 {
        // Longer than a lease in all.
        tokio::time::sleep(slots::LEASE / 4).await;
        assert!(bench.turn(&subjects, &second).await.is_some_and(|again| again <= 30_000));
        assert!(!second.turns.holds("tenants", bench.clock.now()), "nothing is charged by a job that finds no slot");
    }
    assert_eq!(
        bench.turn(&Subjects::one(Scope::Tenant, "else"), &bench.job("else")).await,
        None,
        "not another tenant's"
    );
    drop(held);
    tokio::task::yield_now().await;
    assert_eq!(bench.turn(&subjects, &second).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_enforced_stops_nobody() {
    let shadow = Limit { enforce: false, ..rate("senders", Scope::Sender, "1/day burst 1") };
    let bench = Bench::new(vec![shadow, Limit { enforce: false, ..slots("jobs", 1) }]);
    let mut passes = Vec::new();
    for _ in 0..3 {
        let mut pass = Pass::of(from("a@x.example"));
        assert!(bench.stop(&mut pass, &bench.job("acme")).await.is_none());
        passes.push(pass);
    }
}

#[tokio::test(start_paused = true)]
async fn each_limit_falls_back_as_declared_while_the_limiter_is_dead() {
    let local = rate("senders", Scope::Sender, "2/hour burst 1");
    let clients = Limit { on_error: OnError::Allow, ..rate("clients", Scope::ClientIp, "1/hour burst 1") };
    let bench = Bench::over(vec![local.clone(), clients], true);
    let subjects = from("a@x.example").with_client("192.0.2.1".parse().unwrap());
    assert_eq!(bench.turn(&subjects, &bench.job("acme")).await, None);
    assert_eq!(bench.turn(&subjects, &bench.job("acme")).await, Some(1_800_000), "kept in this process");

    let bench = Bench::over(vec![Limit { on_error: OnError::Defer, ..local }], true);
    let stopped = bench.stop(&mut Pass::of(subjects), &bench.job("acme")).await;
    assert!(matches!(stopped, Some(Err(Failure::Defer { class: "limiter_unavailable", .. }))), "{stopped:?}");
}

#[tokio::test(start_paused = true)]
async fn bytes_cost_what_they_are_and_exceptions_count() {
    let partner = Exception { tenant: Some("acme".to_owned()), pattern: Glob::parse("*@x.example"), bound: None };
    let bounds = Bounds { base: Rate::of_bytes("1KiB/sec burst 4KiB").ok(), exceptions: vec![partner] };
    let kind = Kind::Rate { bounds, cost: Cost::Bytes };
    let bench = Bench::new(vec![Limit { kind, ..rate("bytes", Scope::Sender, "1/sec") }]);
    let (small, large) = (from("a@y.example"), from("a@y.example").sized(4096));
    assert_eq!(bench.turn(&small, &bench.job("acme")).await, None, "3 KiB of 4");
    assert_eq!(bench.turn(&large, &bench.job("acme")).await, Some(3000), "4 KiB need 3 more");
    for _ in 0..9 {
        assert_eq!(bench.turn(&from("a@x.example"), &bench.job("acme")).await, None, "the partner");
    }
    assert_eq!(bench.turn(&from("a@x.example"), &bench.job("else")).await, None);
    assert_eq!(bench.turn(&from("a@x.example"), &bench.job("else")).await, Some(2000), "is no partner of others");
}

#[tokio::test(start_paused = true)]
async fn a_door_gives_turns_and_says_when_there_are_none() {
    let bench = Bench::new(vec![rate("doors", Scope::Ingress, "1/sec burst 1")]);
    let subjects = Subjects::of_intake("submit", None, 9);
    let admit = |tenant: &'static str, longest| bench.limiting.admit(&subjects, tenant, Duration::from_secs(longest));
    assert_eq!(admit("acme", 1).await, Ingress::Now);
    assert!(
        matches!(admit("acme", 1).await, Ingress::At(at) if at == shared::clock::later(bench.clock.now(), Duration::from_secs(1)))
    );
    assert!(matches!(admit("acme", 1).await, Ingress::Later { limit, .. } if limit == "doors"));
    assert_eq!(admit("else", 1).await, Ingress::Now);
}

#[tokio::test(start_paused = true)]
async fn clients_are_counted_apart_with_their_door_or_not_at_all() {
    let partner = Exception { tenant: None, pattern: Glob::parse("crm-*"), bound: None };
    let mut clients = rate("clients", Scope::ApiClient, "1/sec burst 1");
    let Kind::Rate { bounds, .. } = &mut clients.kind else { unreachable!() };
    bounds.exceptions.push(partner);
    let bench = Bench::new(vec![clients, rate("doors", Scope::Ingress, "1/min burst 6")]);
    let admit = async |client: &str| {
        let subjects = Subjects::of_intake("submit", ClientName::parse(client).as_ref(), 9);
        bench.limiting.admit(&subjects, "acme", Duration::from_secs(1)).await
    };
    let later = |seconds| shared::clock::later(bench.clock.now(), Duration::from_secs(seconds));
    assert_eq!(admit("erp").await, Ingress::Now);
    assert_eq!(admit("erp").await, Ingress::At(later(1)), "over its limit");
    let asked = bench.asked();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2], "both limits in one request");
    assert!(!format!("{asked:?}").contains("erp"), "{asked:?}");
    for _ in 0..9 {
        assert!(matches!(admit("erp").await, Ingress::Later { limit, .. } if limit == "clients"));
    }
    for client in ["shop", "crm-1", "crm-1", ""] {
        assert_eq!(admit(client).await, Ingress::Now, "{client:?}: what was not let in has not used the door up");
    }
    assert_eq!(bench.asked().last().map(Vec::len), Some(1), "without a name the door alone counts");
    assert!(matches!(admit("new").await, Ingress::Later { limit, .. } if limit == "doors"));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(admit("new").await, Ingress::Now, "what the door did not let in has not been counted for the client");
}

#[tokio::test(start_paused = true)]
async fn a_look_changes_nothing_and_what_is_forgotten_passes() {
    let bench = Bench::new(vec![
        rate("domains", Scope::SenderDomain, "1/hour burst 1"),
        rate("slow", Scope::SenderDomain, "1/day burst 3"),
        rate("senders", Scope::Sender, "1/hour"),
    ]);
    let turns = async || {
        let looks = bench.limiting.look(Scope::SenderDomain, "acme", "x.example", 1).await.unwrap();
        looks
            .into_iter()
            .map(|look| (look.limit.name.clone(), look.answer.unwrap().turn == Turn::Now))
            .collect::<Vec<_>>()
    };
    let said = |first| vec![("domains".to_owned(), first), ("slow".to_owned(), true)];
    assert_eq!((turns().await, turns().await), (said(true), said(true)));
    assert_eq!(bench.turn(&from("a@x.example"), &bench.job("acme")).await, None);
    assert_eq!(turns().await, said(false));
    assert_eq!(bench.limiting.forget(Scope::SenderDomain, "acme", "x.example").await, Ok(2));
    assert_eq!(turns().await, said(true));
}
