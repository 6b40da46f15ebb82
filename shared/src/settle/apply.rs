//! Carries out a plan: records, sends, then the message itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{TryStreamExt, future::try_join_all, stream};
use tokio::time::{Instant, timeout_at};

use super::{Object, Plan, Send, Target, Then};
use crate::{
    blobs::{BlobError, Blobs},
    ids::StageName,
    queue::{
        QueueError, Receipt,
        batch::{Batcher, Pace},
    },
};

/// The queues of a stage.
#[derive(Debug, Clone)]
pub struct StageQueues {
    /// Its jobs.
    pub work: Batcher,
    /// Its dead letters.
    pub dead: Batcher,
}

/// What carries out plans.
#[derive(Debug, Clone)]
pub struct Settler {
    /// The queues of every stage.
    pub queues: Arc<BTreeMap<StageName, StageQueues>>,
    /// Where durable records go.
    pub blobs: Arc<dyn Blobs>,
}

/// Why a plan was not carried out to its end. The message stays leased and comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// A record could not be written.
    #[error("a record could not be written: {0}")]
    Record(#[from] BlobError),
    /// A message could not be sent.
    #[error("a message could not be sent: {0}")]
    Send(QueueError),
    /// The message could not be deleted or released.
    #[error("the message could not be settled: {0}")]
    Settle(QueueError),
    /// The lease nears its end, and not everything is recorded and sent.
    #[error("the lease ends before everything is recorded and sent")]
    LeaseEnded,
    /// A job for a stage that has no queue here.
    #[error("stage {0} has no queue")]
    NoQueue(StageName),
}

/// The first wait after a failed write; it doubles.
const WRITE_BACKOFF: Duration = Duration::from_millis(50);

impl Settler {
    /// Carries out a plan while the lease holds, its sends at that pace. The last quarter of the lease is left to the delete,
    /// or to give the job back.
    ///
    /// # Errors
    /// When a step failed; nothing after it was done.
    pub async fn apply(
        &self,
        plan: &Plan,
        from: StageName,
        receipt: Receipt,
        until: Instant,
        pace: Pace,
    ) -> Result<(), SettleError> {
        let effects = async {
            // In their order: an end that is recorded stands, so what belongs to it has to be there before it.
            stream::iter(plan.records.iter().map(Ok)).try_for_each(|record| self.write(record)).await?;
            fail::fail_point!("settle::after_records");
            try_join_all(plan.sends.iter().map(|send| self.send(send, pace))).await?;
            fail::fail_point!("settle::after_sends");
            Ok::<_, SettleError>(())
        };
        let left = until.saturating_duration_since(Instant::now());
        timeout_at(until - left / 4, effects).await.map_err(|_| SettleError::LeaseEnded)??;
        let queue = &self.queues(from)?.work;
        match plan.then {
            Then::Delete => queue.delete(receipt, until).await,
            Then::Release => queue.change_visibility(receipt, Duration::ZERO, until).await,
            Then::Nothing => Ok(()),
        }
        .map_err(SettleError::Settle)
    }

    async fn send(&self, send: &Send, pace: Pace) -> Result<(), SettleError> {
        let queue = match send.to {
            Target::Work(stage) => &self.queues(stage)?.work,
            Target::Dead(stage) => &self.queues(stage)?.dead,
        };
        loop {
            match queue.send_at(pace, send.message.clone()).await {
                // The batcher waited between its tries; the lease says how long to go on.
                Err(error) if error.is_retryable() => {}
                done => return done.map_err(SettleError::Send),
            }
        }
    }

    async fn write(&self, record: &Object) -> Result<(), SettleError> {
        let mut wait = WRITE_BACKOFF;
        loop {
            match self.blobs.put(&record.key, record.body.clone().into(), record.condition).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_retryable() => tokio::time::sleep(wait).await,
                Err(error) => return Err(error.into()),
            }
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    fn queues(&self, stage: StageName) -> Result<&StageQueues, SettleError> {
        self.queues.get(&stage).ok_or(SettleError::NoQueue(stage))
    }
}
