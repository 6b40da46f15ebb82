//! Limits: who may pass now, who waits for a turn of their own, and what becomes of those whose turn does not come.
//!
//! A job that is over a limit is deferred to a turn that is reserved for it, so that no attempt is burned, nothing is
//! lost and a thousand such jobs drain in order at the declared rate; when its stage's `max_age` has passed without one,
//! the limit's declared end follows. What has charged a job travels with it ([`shared::stage::Turns`]): a deferral, a
//! retry and a drain charge nothing twice; a turn that was missed is charged anew. A worker that dies between a charge and the settlement forgets it, and the
//! repeat is charged again: to remember that as well would cost a key a mail, and the error is on the safe side.
//!
//! All limits of one tenant are asked in one round trip, all or nothing; a limit across tenants (client IP, destination)
//! has a place of its own on a Redis Cluster and is a call of its own, made first. Keys hold an HMAC of the subject, never
//! the subject.
//!
//! A limit that many share is charged by a job whose turn is near, and by no flood beforehand: who has to wait for long
//! under a narrower limit of the same request reserves a turn under that one alone, and asks the others when it has come.
//! Under a limit across tenants each tenant's line is such a narrower limit, of the same rate.

mod declared;
mod slots;
mod subjects;
#[cfg(test)]
mod tests;
mod weigh;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    allowance,
    clock::{Clock, until},
    limit::{
        Answer, Holder, LimitError, Limiter, Request, Turn,
        guarded::{Guarded, Source},
    },
    outcome::{End, Event, Failure, Outcome},
    stage::Context,
    telemetry::metric,
};

pub use self::{
    declared::{Bounds, Cost, Exception, Expired, Kind, Limit, Place, Scope},
    subjects::{SubjectKey, Subjects, spelled},
};
use self::{
    slots::Held,
    weigh::{Group, line},
};
use crate::{
    mail::model::ParsedMail,
    plane::{Plane, PlaneError},
    settings::Settings,
};

/// How long to wait for a limiter that does not answer, where that is what the limit says.
const OUTAGE: Duration = Duration::from_secs(5);
/// How soon to look again for a free slot, first and at most.
const FULL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How soon to look again for a turn where none can be had before the job is too old, first and at most.
const HOPELESS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// So far ahead a turn is reserved under a limit that many share, by those who wait longer under one of their own.
const AHEAD: Duration = Duration::from_secs(10);
/// So long before its time is up a job ends as declared, so that the settlement never finds it too old to be deferred.
const MARGIN: Duration = Duration::from_secs(2);

/// The declared limits and what keeps them.
#[derive(Debug)]
pub struct Limiting {
    limits: Vec<Limit>,
    guarded: Arc<Guarded>,
    key: SubjectKey,
    clock: Clock,
}

/// One run's way past the limits: whom it is counted for, and the slots that it holds while it lasts.
#[derive(Debug, Default)]
pub struct Pass {
    subjects: Subjects,
    /// The limits that this run has asked.
    asked: BTreeSet<String>,
    held: Vec<Held>,
}

impl Pass {
    /// For a mail that is counted for these.
    #[must_use]
    pub fn of(subjects: Subjects) -> Self {
        Self { subjects, ..Self::default() }
    }

    /// Adds what only the mail itself tells.
    pub fn learn(&mut self, mail: &ParsedMail) {
        self.subjects = std::mem::take(&mut self.subjects).and_of_mail(mail);
    }
}

/// What is to be made of a job that may not pass.
pub type Stopped = Result<Outcome, Failure>;

/// Whether a mail may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingress {
    /// Now.
    Now,
    /// At that time, which is reserved.
    At(Timestamp),
    /// Not within the longest wait; not before that time.
    Later {
        /// The limit that says so.
        limit: String,
        /// When to ask again.
        at: Timestamp,
    },
}

/// What a limit says of a subject.
#[derive(Debug)]
pub struct Look<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// Its answer to one mail; `None` where it does not limit the subject.
    pub answer: Option<Answer>,
}

impl Limiting {
    /// Limits that `limiter` keeps.
    #[must_use]
    pub fn new(limits: Vec<Limit>, limiter: Arc<dyn Limiter>, key: SubjectKey, clock: Clock) -> Self {
        let guarded = Arc::new(Guarded::new(limiter, clock.clone(), OUTAGE));
        Self { limits, guarded, key, clock }
    }

    /// The limits of the configuration, kept on the plane.
    ///
    /// # Errors
    /// When there is no key to hide subjects with.
    pub fn open(settings: &Settings, plane: &Plane) -> Result<Self, PlaneError> {
        let key = SubjectKey::new(plane.audit_key(settings.audit.key.as_ref())?.derive("limits"));
        Ok(Self::new(settings.declared_limits.clone(), Arc::clone(&plane.limiter), key, plane.clock.clone()))
    }

    /// What is declared.
    #[must_use]
    pub fn declared(&self) -> &[Limit] {
        &self.limits
    }

    /// Asks the limits of a place that have not charged the job and whose subjects are known. `None`: it may go on, and
    /// `pass` holds its slots.
    pub async fn stop(&self, place: Place, pass: &mut Pass, ctx: &Context) -> Option<Stopped> {
        if let Some(limit) = self.crowded(place, &pass.subjects) {
            return Some(ended(limit, format!("limit {}: more recipients than are counted", limit.name), ctx));
        }
        let now = ctx.clock.now();
        let open = |limit: &&Limit| {
            limit.scope.place() == place && !ctx.turns.holds(&limit.name, now) && !pass.asked.contains(&limit.name)
        };
        let lined = |limit: &Limit| ctx.turns.holds(&line(limit), now);
        for group in self.groups(open, lined, ctx.tenant.as_str(), &pass.subjects) {
            let asked = self.ask_ahead(group, until(ctx.clock.now(), last_call(ctx)), pass);
            let (group, turn, answer, source) = ctx.opaque(OUTAGE, asked).await;
            let hold = |turn| group.turns().for_each(|name| ctx.turns.hold(&name, turn));
            match turn {
                Turn::Now => hold(None),
                Turn::At(at) => {
                    hold(Some(at));
                    let reason = format!("limit {}: its turn comes later", group.slowest(&answer).name);
                    return Some(Err(Failure::defer("over_limit", reason, at)));
                }
                Turn::TooLate(_) if source == Source::Fallback && answer.waits.iter().all(Duration::is_zero) => {
                    return Some(unanswered(group.waiting(), ctx));
                }
                Turn::TooLate(_) => return Some(over(group.slowest(&answer), HOPELESS, ctx)),
                Turn::Full => return Some(over(group.fullest(&answer), FULL, ctx)),
            }
        }
        None
    }

    /// The enforced limit by recipient that a mail with more recipients than are counted would get round.
    fn crowded(&self, place: Place, subjects: &Subjects) -> Option<&Limit> {
        let by_recipient = |limit: &&Limit| limit.enforce && limit.scope == Scope::Recipient;
        self.limits.iter().find(by_recipient).filter(|limit| subjects.are_crowded() && limit.scope.place() == place)
    }

    /// Asks the limits of the intake. Nothing is held.
    pub async fn admit(&self, subjects: &Subjects, tenant: &str, longest: Duration) -> Ingress {
        allowance::limited(self.admitted(subjects, tenant, longest)).await
    }

    async fn admitted(&self, subjects: &Subjects, tenant: &str, longest: Duration) -> Ingress {
        let mut pass = Pass::default();
        let mut latest = None;
        for group in self.groups(|limit| limit.scope.place() == Place::Intake, |_| true, tenant, subjects) {
            match self.ask(&group, longest, &mut pass).await {
                (Turn::Now, ..) => {}
                (Turn::At(at), ..) => latest = latest.max(Some(at)),
                (Turn::TooLate(at), answer, _) => {
                    return Ingress::Later { limit: group.slowest(&answer).name.clone(), at };
                }
                (Turn::Full, answer, _) => {
                    return Ingress::Later { limit: group.fullest(&answer).name.clone(), at: self.clock.now() };
                }
            }
        }
        latest.map_or(Ingress::Now, Ingress::At)
    }

    /// What each limit of a scope would say to one mail of a subject's now. Nothing is charged.
    ///
    /// # Errors
    /// When the limiter does not answer: what the fallbacks of other processes would say is not known here.
    pub async fn look(
        &self,
        scope: Scope,
        tenant: &str,
        subject: &str,
        bytes: u64,
    ) -> Result<Vec<Look<'_>>, LimitError> {
        let subjects = Subjects::one(scope, subject).sized(bytes);
        let mut looks = Vec::new();
        for limit in self.limits.iter().filter(|limit| limit.scope == scope) {
            let groups = self.groups(|other| other.name == limit.name, |_| false, tenant, &subjects);
            let Some(group) = groups.into_iter().next() else {
                looks.push(Look { limit, answer: None });
                continue;
            };
            let holder = slots::holder();
            let request = Request { trial: true, ..group.request(&holder, Duration::MAX) };
            looks.push(Look { limit, answer: Some(self.guarded.primary().ask(&request).await?) });
        }
        Ok(looks)
    }

    /// Forgets what every limit of a scope knows of a subject; says how many limits that are.
    ///
    /// # Errors
    /// When the limiter does not answer.
    pub async fn forget(&self, scope: Scope, tenant: &str, subject: &str) -> Result<usize, LimitError> {
        let keys: Vec<String> = (self.limits.iter().filter(|limit| limit.scope == scope))
            .map(|limit| self.key_of(limit, tenant, subject))
            .collect();
        let count = keys.len();
        let shared = self.limits.iter().filter(|limit| limit.scope == scope && scope.is_shared());
        let lines = shared.map(|limit| self.line_of(limit, tenant, subject));
        self.guarded.primary().forget(&keys.into_iter().chain(lines).collect::<Vec<_>>()).await?;
        Ok(count)
    }

    /// Asks for a turn, and for a far one only under what is not shared by many; says which group has answered.
    async fn ask_ahead<'a>(
        &self,
        group: Group<'a>,
        longest: Duration,
        pass: &mut Pass,
    ) -> (Group<'a>, Turn, Answer, Source) {
        let narrow = group.narrowed().filter(|_| longest > AHEAD);
        let Some(narrow) = narrow else {
            let (turn, answer, source) = self.ask(&group, longest, pass).await;
            return (group, turn, answer, source);
        };
        let near = self.weigh(&group, AHEAD).await;
        if !matches!(near.answer.turn, Turn::TooLate(_)) || near.answer.waits.iter().all(Duration::is_zero) {
            let (turn, answer, source) = self.noted(&group, near, pass);
            return (group, turn, answer, source);
        }
        let group = if group.narrow_wait(&near.answer) > AHEAD { narrow } else { group };
        let (turn, answer, source) = self.ask(&group, longest, pass).await;
        // Should it have drained meanwhile, the others are still to be asked.
        let turn = if turn == Turn::Now && group.is_narrow() { Turn::At(self.clock.now()) } else { turn };
        (group, turn, answer, source)
    }

    async fn ask(&self, group: &Group<'_>, longest: Duration, pass: &mut Pass) -> (Turn, Answer, Source) {
        let weighed = self.weigh(group, longest).await;
        self.noted(group, weighed, pass)
    }

    async fn weigh(&self, group: &Group<'_>, longest: Duration) -> Weighed {
        let holder = slots::holder();
        let request = group.request(&holder, longest);
        let (answer, source) = self.guarded.ask(&request).await;
        metric::limiter_answers(source == Source::Limiter);
        Weighed { answer, source, holder }
    }

    /// Counts an answer, and keeps the slots that it gave.
    fn noted(&self, group: &Group<'_>, weighed: Weighed, pass: &mut Pass) -> (Turn, Answer, Source) {
        let Weighed { answer, source, holder } = weighed;
        pass.asked.extend(group.limits().map(|limit| limit.name.clone()));
        group.count(&answer, source);
        let taken = group.taken(&answer);
        if !taken.is_empty() {
            pass.held.push(Held::keep(&self.guarded, source, taken, holder));
        }
        (answer.turn, answer, source)
    }
}

/// What the limiter said to a request.
struct Weighed {
    answer: Answer,
    source: Source,
    holder: Holder,
}

/// The latest time for which a job may wait.
fn last_call(ctx: &Context) -> Timestamp {
    ctx.expires.checked_sub(MARGIN).unwrap_or(ctx.expires)
}

/// A job that found no turn: it looks again, or its time is up and the declared end follows.
fn over(limit: &Limit, again: (Duration, Duration), ctx: &Context) -> Stopped {
    let waiting = format!("limit {}: there is no turn yet", limit.name);
    match look_again(again, ctx) {
        Some(at) => Err(Failure::defer("over_limit", waiting, at)),
        None => ended(limit, format!("limit {}: no turn came in time", limit.name), ctx),
    }
}

/// The same while the limiter does not answer.
fn unanswered(limit: &Limit, ctx: &Context) -> Stopped {
    match look_again((OUTAGE, OUTAGE * 12), ctx) {
        Some(at) => Err(Failure::defer("limiter_unavailable", "the limiter does not answer", at)),
        None => ended(limit, format!("limit {}: the limiter did not answer in time", limit.name), ctx),
    }
}

/// When to look again, if there is time left.
fn look_again((first, longest): (Duration, Duration), ctx: &Context) -> Option<Timestamp> {
    let last = last_call(ctx);
    (ctx.clock.now() < last).then(|| ctx.look_again(first, longest).min(last))
}

/// The end that a limit declares.
fn ended(limit: &Limit, reason: String, ctx: &Context) -> Stopped {
    let event = |name| Event { name, detail: [("limit", limit.name.clone())].into() };
    let (end, name) = match limit.expired {
        Expired::Quarantine => (End::Quarantined { reason: reason.into() }, "mail.quarantined"),
        Expired::Reject => (End::Rejected { reason: reason.into() }, "mail.rejected"),
        Expired::Drop => (End::Dropped { reason: reason.into() }, "mail.dropped"),
        Expired::DeadLetter if ctx.clock.now() < last_call(ctx) => {
            return Err(Failure::permanent("over_limit", reason));
        }
        // A deferral past its age is a dead letter.
        Expired::DeadLetter => return Err(Failure::defer("over_limit", reason, ctx.clock.now())),
    };
    Ok(Outcome::end(end).with_event(event(name)))
}
