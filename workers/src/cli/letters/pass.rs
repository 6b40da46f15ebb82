//! One pass over the dead-letter queues: everything is received, shown to a visitor, and either deleted or made visible
//! again at the end.
//!
//! It holds a lock, so that two passes do not hide letters from each other. Lock and receives end at the same time,
//! and the pass before: whoever gets the lock after a pass that was killed finds every letter visible.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use shared::{
    ids::StageName,
    queue::{MAX_BATCH, QueueError, Receipt, Received, batch::Batcher},
    state::State,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Letter, Summary,
    index::{self, Index},
    lock::Lock,
};
use crate::{
    cli::{error::CommandError, output},
    plane::{Plane, Queues},
};

/// How long an empty queue is asked: a long poll, since a short one asks only some of SQS's servers.
const POLL: Duration = Duration::from_secs(1);
/// Concurrent receives a queue, and flushes of deletes.
const LANES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// What a pass goes by.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Terms<'a> {
    pub(in crate::cli) plane: &'a Plane,
    pub(in crate::cli) stages: &'a [StageName],
    /// How long the lock and the receives hold. The pass takes four fifths of it at most.
    pub(in crate::cli) hold: Duration,
    /// Ends the pass early, and cleanly.
    pub(in crate::cli) stop: &'a CancellationToken,
}

/// What becomes of a letter that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Fate {
    /// It stays in its queue.
    Stays,
    /// It is deleted: it has been sent on, or is to go.
    Goes,
    /// Its turn comes too late for this pass, which ends; the next may begin then.
    Waits(Timestamp),
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Over {
    /// Every letter was shown.
    Complete,
    /// Its time was over before.
    OutOfTime,
    /// A letter waits for its turn.
    NotBefore(Timestamp),
    /// It was asked to end.
    Interrupted,
}

/// What a pass did.
#[derive(Debug)]
pub(in crate::cli) struct Round {
    pub(in crate::cli) over: Over,
    /// How many letters went.
    pub(in crate::cli) gone: usize,
    /// The letters that stayed, as far as it came.
    pub(in crate::cli) left: Option<Index>,
}

/// Is cancelled by an interrupt or a termination signal.
pub(in crate::cli) fn interrupts() -> Result<CancellationToken, CommandError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::failed)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        stopped.cancel();
    });
    Ok(stop)
}

/// Shows every dead letter of the stages to `visit`, several at a time. `None`: another pass is under way.
///
/// # Errors
/// The first of the visitor's or the queues'; letters that were under way have come to their end all the same.
pub(in crate::cli) async fn pass(
    terms: Terms<'_>,
    visit: impl AsyncFn(&Letter) -> Result<Fate, CommandError>,
) -> Result<Option<Round>, CommandError> {
    let (state, began, at) = (&*terms.plane.state, Instant::now(), terms.plane.clock.now());
    let Some(lock) = Lock::take(state, terms.hold).await else { return Ok(None) };
    let run = Run::new(terms, began, visit);
    let done = run.every_queue().await;
    let over = run.over();
    let gone = run.gone.get();
    let parts: Vec<_> = run.release().await.into_iter().map(|(stage, left)| (stage, Index::new(at, left))).collect();
    if lock != Lock::Stateless {
        keep(state, &parts, done.is_ok() && over == Over::Complete, gone > 0).await;
    }
    lock.free(state, terms.hold).await;
    let left = Index::merge(parts.into_iter().map(|(_, part)| part));
    done.map(|()| Some(Round { over, gone, left }))
}

struct Run<'a, V> {
    terms: Terms<'a>,
    visit: V,
    until: Instant,
    held_until: Instant,
    halt: CancellationToken,
    held: RefCell<Vec<(Batcher, Receipt)>>,
    left: RefCell<BTreeMap<StageName, Vec<Summary>>>,
    gone: Cell<usize>,
    ended: Cell<Option<Over>>,
}

impl<'a, V: AsyncFn(&Letter) -> Result<Fate, CommandError>> Run<'a, V> {
    fn new(terms: Terms<'a>, began: Instant, visit: V) -> Self {
        Self {
            visit,
            until: began + terms.hold.mul_f64(0.8),
            held_until: began + terms.hold,
            halt: terms.stop.child_token(),
            held: RefCell::default(),
            left: RefCell::new(terms.stages.iter().map(|stage| (*stage, Vec::new())).collect()),
            gone: Cell::new(0),
            ended: Cell::new(None),
            terms,
        }
    }

    /// A lane that fails stops the others, which finish what they have in hand: a receive that is dropped strands
    /// letters, and a letter between its send and its delete would stay as a copy.
    async fn every_queue(&self) -> Result<(), CommandError> {
        let stages = self.terms.stages.iter().filter_map(|stage| Some((*stage, self.terms.plane.queues.get(stage)?)));
        let lanes = stages.flat_map(|(stage, queues)| {
            let dead = Batcher::with_flushes(Arc::clone(&queues.dead), LANES);
            (0..LANES.get()).map(move |_| self.lane(stage, queues, dead.clone()))
        });
        join_all(lanes).await.into_iter().collect()
    }

    async fn lane(&self, stage: StageName, queues: &Queues, dead: Batcher) -> Result<(), CommandError> {
        let done = self.letters(stage, queues, &dead).await;
        if done.is_err() {
            self.halt.cancel();
        }
        done
    }

    async fn letters(&self, stage: StageName, queues: &Queues, dead: &Batcher) -> Result<(), CommandError> {
        while !self.halt.is_cancelled() {
            let now = Instant::now();
            if now >= self.until {
                self.ended.set(self.ended.get().or(Some(Over::OutOfTime)));
                break;
            }
            let received = queues.dead.receive(MAX_BATCH, POLL, self.held_until - now, &self.halt).await;
            let received = received.map_err(|error| unreadable(stage, &error))?;
            if received.is_empty() {
                break;
            }
            let shown = received.into_iter().map(|message| self.one(stage, dead, message));
            join_all(shown).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    async fn one(&self, stage: StageName, dead: &Batcher, message: Received) -> Result<(), CommandError> {
        let letter = Letter::open(stage, &message.body, &*self.terms.plane.blobs).await;
        let fate = (self.visit)(&letter).await;
        if let Ok(Fate::Goes) = fate {
            dead.delete(message.receipt, self.held_until).await.map_err(|error| unreadable(stage, &error))?;
            self.gone.set(self.gone.get() + 1);
            return Ok(());
        }
        self.held.borrow_mut().push((dead.clone(), message.receipt));
        if let Ok(Fate::Waits(at)) = fate {
            self.ended.set(Some(Over::NotBefore(at)));
            self.halt.cancel();
        }
        self.left.borrow_mut().entry(stage).or_default().push(letter.summary);
        fate.map(drop)
    }

    fn over(&self) -> Over {
        if self.terms.stop.is_cancelled() { Over::Interrupted } else { self.ended.get().unwrap_or(Over::Complete) }
    }

    /// Makes visible again what stays, and says what that is.
    async fn release(self) -> BTreeMap<StageName, Vec<Summary>> {
        let until = self.held_until;
        let held = self.held.into_inner().into_iter();
        let freed =
            held.map(|(dead, receipt)| async move { dead.change_visibility(receipt, Duration::ZERO, until).await });
        let stuck = join_all(freed).await.into_iter().filter(Result::is_err).count();
        if stuck > 0 {
            output::note(format_args!("{stuck} dead letters stay hidden for up to {} s", self.terms.hold.as_secs()));
        }
        self.left.into_inner()
    }
}

/// Writes the index after a complete pass, and takes it back after one that changed something and is not.
async fn keep(state: &dyn State, parts: &[(StageName, Index)], complete: bool, changed: bool) {
    for (stage, part) in parts {
        let kept = match (complete, changed) {
            (true, _) => index::write(state, *stage, part).await,
            (false, true) => index::forget(state, *stage).await,
            (false, false) => Ok(()),
        };
        if let Err(error) = kept {
            output::note(format_args!("the index of the dead letters is not kept: {error}"));
        }
    }
}

fn unreadable(stage: StageName, error: &QueueError) -> CommandError {
    CommandError::failed(format!("the dead letters of {stage}: {error}"))
}
