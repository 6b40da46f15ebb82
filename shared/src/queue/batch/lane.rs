//! One kind of operation: entries wait in line, a bounded number of flushes take them in batches.

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::super::{MAX_BATCH, MAX_BODY, Outgoing, Queue, QueueError, Receipt};

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
}

struct Line<E> {
    waiting: VecDeque<Waiting<E>>,
    flushes: usize,
}

impl<E: Entry> Line<E> {
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
        let line = Mutex::new(Line { waiting: VecDeque::new(), flushes: 0 });
        Self { inner: Arc::new(Inner { queue, most, line }) }
    }

    /// Waits in line and answers what the queue said.
    pub(super) async fn submit(&self, entry: E) -> Result<(), Failed<E>> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Waiting { entry, answer });
        answered.await.unwrap_or_else(|_| Err((QueueError::Unavailable("the flush was abandoned".into()), None)))
    }

    fn enqueue(&self, waiting: Waiting<E>) {
        let mut line = self.inner.line();
        line.waiting.push_back(waiting);
        if line.flushes < self.inner.most.get() {
            line.flushes += 1;
            let flusher = Flusher { inner: Arc::clone(&self.inner), finished: false };
            tokio::spawn(flusher.run());
        }
    }
}

/// Flushes batches until none waits. Its own task, so that a caller that leaves does not stop the others' batch.
struct Flusher<E> {
    inner: Arc<Inner<E>>,
    finished: bool,
}

impl<E: Entry> Flusher<E> {
    async fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            flush(&*self.inner.queue, batch).await;
        }
    }

    fn next_batch(&mut self) -> Option<Vec<Waiting<E>>> {
        let mut line = self.inner.line();
        let batch = line.next_batch();
        if batch.is_empty() {
            line.flushes -= 1;
            self.finished = true;
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl<E> Drop for Flusher<E> {
    /// If the queue panicked or the runtime ends, gives the place back.
    fn drop(&mut self) {
        if !self.finished {
            self.inner.line().flushes -= 1;
        }
    }
}

async fn flush<E: Entry>(queue: &dyn Queue, batch: Vec<Waiting<E>>) {
    let (entries, answers): (Vec<E>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.entry, waiting.answer)).unzip();
    let mut results = E::flush(queue, &entries).await.into_iter();
    for (entry, answer) in entries.into_iter().zip(answers) {
        let result = results.next().unwrap_or_else(|| Err(QueueError::Unavailable("no result for this entry".into())));
        // A caller may leave while its entry is under way; nobody wants the result then.
        drop(answer.send(result.map_err(|error| (error, Some(entry)))));
    }
}
