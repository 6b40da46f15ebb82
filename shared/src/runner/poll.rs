//! The pollers of a stage: one that always is, and more of them for as long as the queue gives full batches.
//!
//! A poll holds a slot for each message that it may bring. It is driven to its end whatever happens: the process stops
//! receiving by starting no other, and what the last ones bring is given back.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::TaskTracker;

use super::Runner;
use crate::{
    queue::{MAX_BATCH, MAX_WAIT, Received},
    stage::Stage,
    telemetry::metric,
};

/// Most pollers of one stage in a process. More would outrun any stage: each brings ten messages a round trip.
const MAX_POLLERS: usize = 4;

/// What the pollers of a stage share.
pub(super) struct Pollers {
    slots: Arc<Semaphore>,
    /// Pollers that may join the first.
    spare: Arc<Semaphore>,
    /// Most messages of one poll.
    batch: usize,
    /// Held by the one that takes slots, so that two polls do not share out what makes one full batch.
    turn: Mutex<()>,
    /// How long a poll waits for more slots, so that it brings more messages.
    gather: Duration,
}

impl Pollers {
    /// One poller for every ten slots, at least one and at most [`MAX_POLLERS`].
    pub(super) fn new(concurrency: usize, gather: Duration) -> Self {
        let most = (concurrency / MAX_BATCH).clamp(1, MAX_POLLERS);
        Self {
            slots: Arc::new(Semaphore::new(concurrency)),
            spare: Arc::new(Semaphore::new(most - 1)),
            batch: MAX_BATCH.min(concurrency),
            turn: Mutex::default(),
            gather,
        }
    }

    /// Polls until the process drains and every poll has ended; what was received runs in `jobs`.
    pub(super) async fn start<S: Stage>(self, runner: &Arc<Runner<S>>, jobs: &TaskTracker) {
        let polls = TaskTracker::new();
        let poll =
            Poll { pollers: Arc::new(self), runner: Arc::clone(runner), jobs: jobs.clone(), polls: polls.clone() };
        poll.run(None).await;
        polls.close();
        polls.wait().await;
    }

    /// Waits for a free slot and takes more of them, up to a batch. Slots come free together when jobs are settled
    /// together.
    async fn slots(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let _turn = self.turn.lock().await;
        let mut taken = vec![Arc::clone(&self.slots).acquire_owned().await.ok()?];
        let until = Instant::now() + self.gather;
        while taken.len() < self.batch {
            let slot = match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(slot) => slot,
                Err(_) if self.gather.is_zero() => break,
                Err(_) => match timeout_at(until, Arc::clone(&self.slots).acquire_owned()).await {
                    Ok(slot) => slot.ok()?,
                    Err(_) => break,
                },
            };
            taken.push(slot);
        }
        Some(taken)
    }
}

/// A poller. The first has no `place` and stays; one that joined it has one, and leaves when the queue gives little.
struct Poll<S> {
    pollers: Arc<Pollers>,
    runner: Arc<Runner<S>>,
    jobs: TaskTracker,
    polls: TaskTracker,
}

impl<S> Clone for Poll<S> {
    fn clone(&self) -> Self {
        let Self { pollers, runner, jobs, polls } = self;
        Self { pollers: Arc::clone(pollers), runner: Arc::clone(runner), jobs: jobs.clone(), polls: polls.clone() }
    }
}

impl<S: Stage> Poll<S> {
    async fn run(self, place: Option<OwnedSemaphorePermit>) {
        let draining = &self.runner.fleet.shutdown.draining;
        while let Some(Some(slots)) = draining.run_until_cancelled(self.pollers.slots()).await {
            let asked = slots.len();
            let visibility = self.runner.visibility.choose();
            let messages = self.runner.receive(asked, visibility).await;
            let brought = messages.len();
            self.hand_out(messages, slots, visibility).await;
            if brought == self.pollers.batch {
                self.call_another();
            } else if place.is_some() && brought < asked.div_ceil(2) {
                return;
            }
        }
    }

    /// Lets another poller join while the queue gives all that is asked for.
    fn call_another(&self) {
        if let Ok(place) = Arc::clone(&self.pollers.spare).try_acquire_owned() {
            self.polls.spawn(Box::pin(self.clone().run(Some(place))));
        }
    }

    async fn hand_out(&self, messages: Vec<Received>, mut slots: Vec<OwnedSemaphorePermit>, visibility: Duration) {
        // All of them are counted before the first can end.
        let messages: Vec<_> = messages.into_iter().map(|message| (message, self.runner.company.join())).collect();
        for (message, member) in messages {
            let Some(slot) = slots.pop() else { break };
            let waiting = Arc::clone(&self.runner.fleet.suspects.room).read_owned().await;
            let runner = Arc::clone(&self.runner);
            self.jobs.spawn(async move {
                runner.handle(message, visibility, waiting, member).await;
                drop(slot);
            });
        }
    }
}

impl<S: Stage> Runner<S> {
    async fn receive(&self, max: usize, visibility: Duration) -> Vec<Received> {
        metric::visibility_chosen(self.stage.name(), visibility);
        let draining = &self.fleet.shutdown.draining;
        // A queue may count leases from the start of the receive: a long poll must not use up too much of one.
        let wait = MAX_WAIT.min(visibility / 2);
        match self.queue.receive(max, wait, visibility, draining).await {
            Ok(messages) => {
                metric::received(self.stage.name(), messages.len());
                messages
            }
            Err(error) => {
                tracing::warn!(stage = %self.stage.name(), %error, "receive failed");
                metric::receive_failed(self.stage.name());
                draining.run_until_cancelled(sleep(jittered(Duration::from_secs(1)))).await;
                Vec::new()
            }
        }
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..1.0))
}
