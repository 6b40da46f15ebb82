//! `deliver`: signs a mail and sends it to one destination, on that destination's own schedule and limits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rand::RngExt;
use shared::{
    audit::Note,
    blobs::Blobs,
    clock::later,
    outcome::{End, Event, Failure, Outcome},
    stage::{Context, Stage},
    state::State,
    telemetry::metric,
};
use tokio::{sync::Semaphore, time::timeout};

use super::parsed;
use crate::{
    jobs::DeliverJob,
    limiting::{Limiting, Pass, Place, Scope, Subjects},
    payload::MailProcessed,
    pipeline, settings,
    webhook::{
        Attempt, BuildError, Delivery, Event as Webhook, MAIL_PROCESSED, Schedule, SigningSecrets, WebhookClient,
        WebhookId,
    },
};

/// How long a delivery is remembered, so that a repeat is not sent: longer than any job can wait.
const REMEMBER: Duration = Duration::from_secs(14 * 86_400);
/// What is remembered of a delivery; until then it is whose turn it is.
const DELIVERED: &[u8] = b"1";
/// How long to wait for a free connection of a destination, and at most until the next look at it.
const BUSY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How soon to look again for a destination that the configuration does not have, first and at most.
const UNKNOWN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// The shortest wait that a receiver can ask for: less would be a hot loop.
const SHORTEST_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A destination, ready to be sent to.
#[derive(Debug)]
pub struct Destination {
    /// Its connections.
    pub client: WebhookClient,
    /// What signs.
    pub secrets: Arc<SigningSecrets>,
    /// When to try.
    pub schedule: Schedule,
    /// How many deliveries at once, in this process.
    pub slots: Semaphore,
    /// The longest that one attempt takes.
    pub timeout: Duration,
}

impl Destination {
    /// Makes a configured destination ready.
    ///
    /// # Errors
    /// When its client cannot be built.
    pub fn new(settings: &settings::Destination) -> Result<Self, BuildError> {
        Ok(Self {
            client: WebhookClient::new(&settings.http)?,
            secrets: Arc::clone(&settings.secrets),
            schedule: settings.schedule.clone(),
            slots: Semaphore::new(usize::try_from(settings.concurrency.get()).unwrap_or(Semaphore::MAX_PERMITS)),
            timeout: settings.http.timeout,
        })
    }
}

/// The stage.
#[derive(Debug)]
pub struct Deliver {
    /// Where the mails are.
    pub blobs: Arc<dyn Blobs>,
    /// Remembers what was delivered.
    pub state: Arc<dyn State>,
    /// The limits by destination.
    pub limiting: Arc<Limiting>,
    /// By name.
    pub destinations: BTreeMap<String, Destination>,
}

#[async_trait]
impl Stage for Deliver {
    type Job = DeliverJob;

    fn name(&self) -> pipeline::StageName {
        pipeline::DELIVER
    }

    /// The parsed mail and the body made of it.
    fn bytes(&self, job: &DeliverJob) -> u64 {
        job.mail.parsed.len() * 4
    }

    async fn run(&self, job: DeliverJob, ctx: &Context) -> Result<Outcome, Failure> {
        let Some(destination) = self.destinations.get(&job.destination) else {
            // A process with an older configuration than the one that routed it; or it was taken out since.
            let at = ctx.look_again(UNKNOWN.0, UNKNOWN.1);
            return Err(Failure::defer("unknown_destination", "the destination is not in this configuration", at));
        };
        match self.claim(&job, destination, ctx).await {
            Claimed::Ours => {}
            Claimed::Delivered => return Ok(delivered(&job, Note::new("repeat_suppressed"))),
            Claimed::Theirs => {
                let at = ctx.look_again(BUSY.0, BUSY.1);
                return Err(Failure::defer(
                    "announced_twice",
                    "another announcement of the mail is being delivered",
                    at,
                ));
            }
        }
        let Ok(Ok(_slot)) = ctx.opaque(BUSY.0, timeout(BUSY.0, destination.slots.acquire())).await else {
            let until = ctx.look_again(BUSY.0, BUSY.1);
            return Err(Failure::defer("destination_busy", "the destination has no free connection", until));
        };
        let subjects = Subjects::one(Scope::Destination, &job.destination).sized(job.mail.source.size);
        let mut pass = Pass::of(subjects);
        if let Some(stopped) = self.limiting.stop(Place::Deliver, &mut pass, ctx).await {
            return stopped;
        }
        let mail = parsed(&job.mail.parsed, &*self.blobs, ctx).await?;
        let data = MailProcessed::of(&ctx.work, &ctx.tenant, &job, &mail);
        // The time of the event, not of the attempt: the body is the same in every attempt.
        let body = Webhook { kind: MAIL_PROCESSED, timestamp: ctx.first_seen, data }
            .to_body()
            .map_err(|_| Failure::permanent("encoding", "the payload cannot be written as JSON"))?;
        let id = webhook_id(&job, ctx)?;
        // Each attempt reaches the destination, so each is charged.
        ctx.turns.spend();
        let attempt = Attempt { id: &id, timestamp: ctx.clock.now(), body, secrets: &destination.secrets };
        let sent = ctx.opaque(destination.timeout * 2, destination.client.send(&attempt)).await;
        metric::delivery(sent.name());
        match sent {
            Delivery::Delivered { status } => {
                self.remember(&job, ctx).await;
                Ok(delivered(&job, Note::new("accepted").with("status", status).with("webhook_id", id.as_str())))
            }
            other => Err(failure(other, destination, ctx)),
        }
    }
}

/// Whose a delivery is.
enum Claimed {
    /// This job sends.
    Ours,
    /// Another announcement's job is about to.
    Theirs,
    /// It has been made.
    Delivered,
}

impl Deliver {
    /// Whether this job may send. A mail that was announced several times at once has a job for each announcement; the
    /// first goes ahead for as long as an attempt may take. Its own repeats do not wait for that.
    async fn claim(&self, job: &DeliverJob, destination: &Destination, ctx: &Context) -> Claimed {
        let (key, claimant) = (marker(job, ctx), ctx.trace.trace_id().as_bytes());
        let lasts = destination.timeout * 2 + BUSY.0;
        let known = match self.state.compare_and_set(&key, None, Some(claimant), lasts).await {
            Ok(true) => Ok(None),
            Ok(false) => self.state.get(&key).await,
            Err(error) => Err(error),
        };
        match known {
            Ok(Some(known)) if known == DELIVERED => Claimed::Delivered,
            Ok(Some(known)) if known != claimant => Claimed::Theirs,
            Ok(_) => Claimed::Ours,
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether it was delivered; the receiver's idempotency decides");
                Claimed::Ours
            }
        }
    }

    async fn remember(&self, job: &DeliverJob, ctx: &Context) {
        if let Err(error) = self.state.set(&marker(job, ctx), DELIVERED, REMEMBER).await {
            tracing::warn!(%error, "a delivery could not be remembered");
        }
    }
}

/// The receiver's idempotency key: the same for every attempt and every repeat.
fn webhook_id(job: &DeliverJob, ctx: &Context) -> Result<WebhookId, Failure> {
    WebhookId::new(format!("msg_{}_{}", ctx.work, job.destination))
        .map_err(|error| Failure::permanent("encoding", error.to_string()))
}

fn marker(job: &DeliverJob, ctx: &Context) -> String {
    format!("delivered:{}:{}", ctx.work, job.destination)
}

fn delivered(job: &DeliverJob, note: Note) -> Outcome {
    let event = Event { name: "mail.delivered", detail: [("destination", job.destination.clone())].into() };
    Outcome::end(End::Delivered { destination: job.destination.clone() }).with_note(note).with_event(event)
}

/// What a failed attempt means: the receiver's own wait, the schedule's next one, or the end.
fn failure(delivery: Delivery, destination: &Destination, ctx: &Context) -> Failure {
    let (class, reason) = match delivery {
        Delivery::Throttled { status, retry_after: Some(wait) } => {
            let wait = wait.max(SHORTEST_RETRY_AFTER).mul_f64(rand::rng().random_range(1.0..1.2));
            let at = later(ctx.clock.now(), wait).max(ctx.look_again(SHORTEST_RETRY_AFTER, BUSY.1));
            return Failure::defer("throttled", format!("the destination answered {status} with Retry-After"), at);
        }
        Delivery::Gone => {
            return Failure::permanent("gone", "the destination answered 410: it wants no more deliveries");
        }
        Delivery::Throttled { status, .. } => ("throttled", format!("the destination answered {status}")),
        Delivery::Refused { status } => ("refused", format!("the destination answered {status}")),
        other => ("unreachable", format!("no answer from the destination: {}", other.name())),
    };
    match destination.schedule.delay(ctx.attempt + 1, &mut rand::rng()) {
        Some(wait) => Failure::Retry { class, reason: reason.into(), after: Some(wait) },
        None => Failure::permanent(class, format!("{reason}; that was the last attempt of the schedule")),
    }
}
