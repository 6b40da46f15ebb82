//! Limits: who may pass now, who waits for a turn of their own, and what becomes of those whose turn does not come.
//!
//! A job that is over a limit is deferred to a turn that is reserved for it, so that no attempt is burned, nothing is
//! lost and a thousand such jobs drain in order at the declared rate; when its stage's `max_age` has passed without one,
//! the limit's declared end follows. What has charged a job travels with it ([`shared::stage::Turns`]): a deferral, a
//! retry and a drain charge nothing twice. A worker that dies between a charge and the settlement forgets it, and the
//! repeat is charged again: to remember that as well would cost a key a mail, and the error is on the safe side.
//!
//! All limits of one tenant are asked in one round trip, all or nothing; a limit across tenants (client IP, destination)
//! has a place of its own on a Redis Cluster and is a call of its own, made first. Keys hold an HMAC of the subject, never
//! the subject.

mod declared;
mod slots;
mod subjects;
#[cfg(test)]
mod tests;
mod weigh;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    clock::{Clock, until},
    limit::{
        Answer, LimitError, Limiter, Request, Turn,
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
use self::{slots::Held, weigh::Group};
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
    /// The limiter did not answer this run: it is not waited for again.
    unanswered: bool,
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
        let open = |limit: &&Limit| {
            limit.scope.place() == place && !ctx.turns.holds(&limit.name) && !pass.asked.contains(&limit.name)
        };
        let groups = self.groups(open, ctx.tenant.as_str(), &pass.subjects);
        for group in groups {
            let asked = self.ask(&group, until(ctx.clock.now(), last_call(ctx)), pass);
            let (turn, answer, source) = ctx.opaque(OUTAGE, asked).await;
            if matches!(turn, Turn::Now | Turn::At(_)) {
                group.rates().for_each(|limit| ctx.turns.hold(&limit.name));
            }
            match turn {
                Turn::Now => {}
                Turn::At(at) => {
                    let reason = format!("limit {}: its turn comes later", group.slowest(&answer).name);
                    return Some(Err(Failure::defer("over_limit", reason, at)));
                }
                Turn::TooLate(_) if source == Source::Fallback && answer.waits.iter().all(Duration::is_zero) => {
                    let at = ctx.look_again(OUTAGE, OUTAGE * 12);
                    return Some(Err(Failure::defer("limiter_unavailable", "the limiter does not answer", at)));
                }
                Turn::TooLate(_) => return Some(over(group.slowest(&answer), HOPELESS, ctx)),
                Turn::Full => return Some(over(group.fullest(&answer), FULL, ctx)),
            }
        }
        None
    }

    /// Asks the limits of the intake. Nothing is held.
    pub async fn admit(&self, subjects: &Subjects, tenant: &str, longest: Duration) -> Ingress {
        let mut pass = Pass::default();
        let mut latest = None;
        for group in self.groups(|limit| limit.scope.place() == Place::Intake, tenant, subjects) {
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
            let groups = self.groups(|other| other.name == limit.name, tenant, &subjects);
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
        self.guarded.primary().forget(&keys).await?;
        Ok(keys.len())
    }

    async fn ask(&self, group: &Group<'_>, longest: Duration, pass: &mut Pass) -> (Turn, Answer, Source) {
        let holder = slots::holder();
        let request = group.request(&holder, longest);
        let (answer, source) = if pass.unanswered {
            (self.guarded.fall_back(&request).await, Source::Fallback)
        } else {
            self.guarded.ask(&request).await
        };
        pass.unanswered = source == Source::Fallback;
        pass.asked.extend(group.limits().map(|limit| limit.name.clone()));
        metric::limiter_answers(source == Source::Limiter);
        group.count(&answer, source);
        let taken = group.taken(&answer);
        if !taken.is_empty() {
            pass.held.push(Held::keep(&self.guarded, source, taken, holder));
        }
        (answer.turn, answer, source)
    }
}

/// The latest time for which a job may wait.
fn last_call(ctx: &Context) -> Timestamp {
    ctx.expires.checked_sub(MARGIN).unwrap_or(ctx.expires)
}

/// A job that found no turn: it looks again, or its time is up and the declared end follows.
fn over(limit: &Limit, again: (Duration, Duration), ctx: &Context) -> Stopped {
    let reason = format!("limit {}: no turn came in time", limit.name);
    let waiting = || format!("limit {}: there is no turn yet", limit.name);
    let last = last_call(ctx);
    if ctx.clock.now() < last {
        return Err(Failure::defer("over_limit", waiting(), ctx.look_again(again.0, again.1).min(last)));
    }
    let event = |name| Event { name, detail: [("limit", limit.name.clone())].into() };
    let (end, name) = match limit.expired {
        Expired::Quarantine => (End::Quarantined { reason: reason.into() }, "mail.quarantined"),
        Expired::Reject => (End::Rejected { reason: reason.into() }, "mail.rejected"),
        Expired::Drop => (End::Dropped { reason: reason.into() }, "mail.dropped"),
        // A deferral past its age is a dead letter.
        Expired::DeadLetter => return Err(Failure::defer("over_limit", reason, ctx.clock.now())),
    };
    Ok(Outcome::end(end).with_event(event(name)))
}
