//! One kind of operation: entries wait in line, a bounded number of flushes take them in batches. At most one of them
//! waits for a batch to fill.

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    super::{MAX_BATCH, MAX_BODY, Outgoing, Queue, QueueError, Receipt},
    Pace,
};

/// The longest that a flush may take: longer than any queue's own timeouts.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);

/// What can be batched.
#[async_trait]
pub(super) trait Entry: Sized + Send + Sync + 'static {
    /// Its share of [`MAX_BODY`], in bytes.
    fn weight(&self) -> usize {
        0
    }

    /// Carries out a batch; one result an entry.
    async fn flush(queue: &dyn Queue, batch: &[Self]) -> Vec<Result<(), QueueError>>;
}

#[async_trait]
impl Entry for Outgoing {
    fn weight(&self) -> usize {
        self.body.len()
    }

    async fn flush(queue: &dyn Queue, batch: &[Self]) -> Vec<Result<(), QueueError>> {
        queue.send(batch).await
    }
}

#[async_trait]
impl Entry for Receipt {
    async fn flush(queue: &dyn Queue, batch: &[Self]) -> Vec<Result<(), QueueError>> {
        queue.delete(batch).await
    }
}

#[async_trait]
impl Entry for (Receipt, Duration) {
    async fn flush(queue: &dyn Queue, batch: &[Self]) -> Vec<Result<(), QueueError>> {
        queue.change_visibility(batch).await
    }
}

/// Why an entry failed, and the entry, unless it was lost with its flush.
pub(super) type Failed<E> = (QueueError, Option<E>);

struct Waiting<E> {
    entry: E,
    answer: oneshot::Sender<Result<(), Failed<E>>>,
    /// When it waits for company no longer.
    due: Instant,
}

struct Line<E> {
    waiting: VecDeque<Waiting<E>>,
    flushes: usize,
    /// Whether one of the flushes waits for its batch to fill.
    gathering: bool,
}

impl<E: Entry> Line<E> {
    /// When a batch is to be flushed: now if it is full, else when the first of those in line is due.
    fn ripe(&self, now: Instant) -> Instant {
        let weight: usize = self.waiting.iter().map(|waiting| waiting.entry.weight()).sum();
        let full = self.waiting.len() >= MAX_BATCH || weight >= MAX_BODY;
        let due = self.waiting.iter().map(|waiting| waiting.due).min();
        if full { now } else { due.unwrap_or(now) }
    }

    /// The next batch of entries whose callers still wait; empty when there are none.
    fn next_batch(&mut self) -> Vec<Waiting<E>> {
        let (mut batch, mut weight) = (Vec::new(), 0);
        while batch.len() < MAX_BATCH
            && let Some(next) = self.waiting.pop_front()
        {
            if next.answer.is_closed() {
                continue;
            }
            weight += next.entry.weight();
            if weight > MAX_BODY && !batch.is_empty() {
                self.waiting.push_front(next);
                break;
            }
            // One that is too heavy by itself goes alone, for the queue to refuse.
            batch.push(next);
        }
        batch
    }
}

struct Inner<E> {
    queue: Arc<dyn Queue>,
    most: NonZeroUsize,
    line: Mutex<Line<E>>,
    /// Wakes the flush that gathers.
    ripened: Notify,
}

impl<E> Inner<E> {
    fn line(&self) -> MutexGuard<'_, Line<E>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line of one kind of operation on one queue.
pub(super) struct Lane<E> {
    inner: Arc<Inner<E>>,
}

impl<E> Clone for Lane<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<E> fmt::Debug for Lane<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("queue", &self.inner.queue).finish_non_exhaustive()
    }
}

impl<E: Entry> Lane<E> {
    pub(super) fn new(queue: Arc<dyn Queue>, most: NonZeroUsize) -> Self {
        let line = Mutex::new(Line { waiting: VecDeque::new(), flushes: 0, gathering: false });
        Self { inner: Arc::new(Inner { queue, most, line, ripened: Notify::new() }) }
    }

    /// Waits in line and answers what the queue said.
    pub(super) async fn submit(&self, entry: E, pace: Pace) -> Result<(), Failed<E>> {
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let due = if pace == Pace::Gather { now + self.inner.queue.gather() } else { now };
        self.enqueue(Waiting { entry, answer, due }, now);
        answered.await.unwrap_or_else(|_| Err((QueueError::Unavailable("the flush was abandoned".into()), None)))
    }

    fn enqueue(&self, waiting: Waiting<E>, now: Instant) {
        let mut line = self.inner.line();
        line.waiting.push_back(waiting);
        if line.gathering {
            if line.ripe(now) <= now {
                self.inner.ripened.notify_one();
            }
        } else if line.flushes < self.inner.most.get() {
            line.flushes += 1;
            let flusher = Flusher { inner: Arc::clone(&self.inner), gathers: false, finished: false };
            tokio::spawn(flusher.run());
        }
    }
}

/// Flushes batches until none waits. Its own task, so that a caller that leaves does not stop the others' batch.
struct Flusher<E> {
    inner: Arc<Inner<E>>,
    /// Whether it is the one that gathers.
    gathers: bool,
    finished: bool,
}

/// What a flusher does next.
enum Next<E> {
    Flush(Vec<Waiting<E>>),
    Gather(Instant),
    End,
}

impl<E: Entry> Flusher<E> {
    async fn run(mut self) {
        loop {
            match self.next() {
                Next::Flush(batch) => flush(&*self.inner.queue, batch).await,
                // Whether the time is over or the batch is full, the line says what comes next.
                Next::Gather(until) => drop(timeout_at(until, self.inner.ripened.notified()).await),
                Next::End => return,
            }
        }
    }

    fn next(&mut self) -> Next<E> {
        let (mut line, now) = (self.inner.line(), Instant::now());
        let ripe = line.ripe(now);
        // Only one gathers: another that finds nothing ripe leaves what waits to it.
        let mine = std::mem::take(&mut self.gathers);
        if ripe > now && (mine || !line.gathering) {
            (line.gathering, self.gathers) = (true, true);
            return Next::Gather(ripe);
        }
        if mine {
            line.gathering = false;
        }
        let batch = if ripe > now { Vec::new() } else { line.next_batch() };
        if batch.is_empty() {
            line.flushes -= 1;
            self.finished = true;
            return Next::End;
        }
        Next::Flush(batch)
    }
}

impl<E> Drop for Flusher<E> {
    /// If the queue panicked or the runtime ends, gives the place back.
    fn drop(&mut self) {
        if !self.finished {
            let mut line = self.inner.line();
            line.flushes -= 1;
            if self.gathers {
                line.gathering = false;
            }
        }
    }
}

async fn flush<E: Entry>(queue: &dyn Queue, batch: Vec<Waiting<E>>) {
    let (entries, answers): (Vec<E>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.entry, waiting.answer)).unzip();
    // A queue that hangs must not hold this place for ever: its callers try again, in another batch.
    let flushed = timeout(FLUSH_LIMIT, E::flush(queue, &entries)).await;
    let mut results = flushed.unwrap_or_default().into_iter();
    for (entry, answer) in entries.into_iter().zip(answers) {
        let result = results.next().unwrap_or_else(|| Err(QueueError::Unavailable("no result for this entry".into())));
        // A caller may leave while its entry is under way; nobody wants the result then.
        drop(answer.send(result.map_err(|error| (error, Some(entry)))));
    }
}
