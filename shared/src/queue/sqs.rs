//! The queue on Amazon SQS, standard queues.
//!
//! Every call is one request with a time limit above what SQS may take, so that none hangs. A send, a delete and a
//! visibility change are tried once: [`super::batch::Batcher`] retries them entry by entry, and retries of the SDK's
//! own would multiply its. A receive is tried up to three times within its wait, each with a lease of its own.

mod answer;
mod error;
mod limit;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
        QueueAttributeName, SendMessageBatchRequestEntry,
    },
};
use rand::RngExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::{error::Receiving, limit::InFlightLimit};
use super::{
    Depth, Outgoing, Queue, QueueError, Receipt, Received,
    check::{self, Tally},
};

/// How much longer than its wait a receive may take before it counts as hung (aws-sdk-rust#1094).
const POLL_GRACE: Duration = Duration::from_secs(5);
/// For a send: 1 MiB over a slow link.
const SEND_LIMIT: Duration = Duration::from_secs(15);
/// For a delete and for the depth.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// For a visibility change, which races the lease.
const CHANGE_LIMIT: Duration = Duration::from_secs(3);
/// How long an operation waits for others to fill its request, which is billed by the piece and costs a round trip. As long
/// as a stage takes for a batch of small mails: with a fifth of it a mail cost twice the requests (`make bench-aws`).
const GATHER: Duration = Duration::from_millis(50);
/// Tries of a receive, within its wait.
const RECEIVE_TRIES: u32 = 3;
/// The wait before its second try, jittered over its upper half; twice that before the third.
const RECEIVE_BACKOFF: Duration = Duration::from_millis(100);

/// A client as [`SqsQueue`] needs it: without retries, and without the protection against stalled streams, which can
/// end a sound but slow answer (aws-sdk-rust#1287) and with it the leases of up to ten messages. The time limit of
/// each call does that protection's work.
pub fn client(config: &SdkConfig) -> Client {
    let own = Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(own.build())
}

/// One standard queue.
pub struct SqsQueue {
    client: Client,
    url: String,
    name: String,
    limit: InFlightLimit,
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SqsQueue {
    /// The queue at `url`, through a client made by [`client`]. `name` is what logs and metrics call it.
    pub fn new(client: Client, url: impl Into<String>, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { client, url: url.into(), limit: InFlightLimit::new(name.clone()), name }
    }

    async fn send_accepted(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let entries =
            batch.iter().enumerate().map(|(at, message)| send_entry(at, message)).collect::<Result<_, _>>()?;
        let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.customize().config_override(within(SEND_LIMIT)).send().await;
        let output = output.map_err(|error| error::of_call(&error))?;
        let sent = output.successful().iter().map(|entry| entry.id());
        Ok(answer::results(batch.len(), sent, output.failed(), error::of_sent))
    }

    async fn delete_accepted(&self, batch: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let entries =
            batch.iter().enumerate().map(|(at, receipt)| delete_entry(at, receipt)).collect::<Result<_, _>>()?;
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.customize().config_override(within(CALL_LIMIT)).send().await;
        let output = output.map_err(|error| error::of_call(&error))?;
        let deleted = output.successful().iter().map(|entry| entry.id());
        Ok(answer::results(batch.len(), deleted, output.failed(), error::of_receipt))
    }

    async fn change_accepted(&self, batch: &[(Receipt, Duration)]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let entries =
            batch.iter().enumerate().map(|(at, change)| change_entry(at, change)).collect::<Result<_, _>>()?;
        let request = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.customize().config_override(within(CHANGE_LIMIT)).send().await;
        let output = output.map_err(|error| error::of_call(&error))?;
        let changed = output.successful().iter().map(|entry| entry.id());
        Ok(answer::results(batch.len(), changed, output.failed(), error::of_receipt))
    }

    /// One request. The lease counts from before it: SQS does not tell when in the poll it gave the messages.
    async fn poll(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Received>, Receiving> {
        let wait = seconds(wait);
        let limit = Duration::from_secs(wait.unsigned_abs().into()) + POLL_GRACE;
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max).unwrap_or(1))
            .wait_time_seconds(wait)
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let leased_at = Instant::now();
        let output = request.customize().config_override(within(limit)).send().await?;
        let messages = output.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(|message| answer::received(message, leased_at, &self.name)).collect())
    }
}

/// Settings of one call: it ends after `limit`.
fn within(limit: Duration) -> Builder {
    Builder::new().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(limit).build())
}

/// Whole seconds, SQS's grain, rounded up: no delay or lease is shorter than asked for.
fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn send_entry(at: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let group = Some(&message.group).filter(|group| !group.is_empty()).cloned();
    SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(&message.body)
        .delay_seconds(seconds(message.delay))
        .set_message_group_id(group)
        .build()
        .map_err(error::unbuilt)
}

fn delete_entry(at: usize, receipt: &Receipt) -> Result<DeleteMessageBatchRequestEntry, QueueError> {
    let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(&receipt.0);
    entry.build().map_err(error::unbuilt)
}

fn change_entry(
    at: usize,
    (receipt, visibility): &(Receipt, Duration),
) -> Result<ChangeMessageVisibilityBatchRequestEntry, QueueError> {
    ChangeMessageVisibilityBatchRequestEntry::builder()
        .id(at.to_string())
        .receipt_handle(&receipt.0)
        .visibility_timeout(seconds(*visibility))
        .build()
        .map_err(error::unbuilt)
}

#[async_trait]
impl Queue for SqsQueue {
    fn name(&self) -> &str {
        &self.name
    }

    /// The group becomes the `MessageGroupId`, by which a standard queue shares its deliveries out fairly.
    async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        let Tally { accepted, verdicts } = check::outgoing(batch);
        if accepted.is_empty() {
            return verdicts;
        }
        check::merge(verdicts, self.send_accepted(&accepted).await)
    }

    /// `stop` is ignored: SQS may hand out messages at any moment of a poll, so one that was dropped half way would
    /// strand them until their leases end.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
        _stop: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        check::receive(max, wait, visibility)?;
        let end = Instant::now() + wait;
        let mut tries = 0;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let error = match self.poll(max, left, visibility).await {
                Ok(messages) => {
                    self.limit.received(messages.len());
                    return Ok(messages);
                }
                Err(error) => error,
            };
            tries += 1;
            let pause = RECEIVE_BACKOFF.mul_f64(f64::from(tries) * rand::rng().random_range(0.5..1.0));
            if error.is_at_limit() {
                self.limit.reached();
            }
            if tries == RECEIVE_TRIES || Instant::now() + pause >= end || !error.may_pass() {
                return Err(error.into());
            }
            sleep(pause).await;
        }
    }

    async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>> {
        let Tally { accepted, verdicts } = check::receipts(batch);
        if accepted.is_empty() {
            return verdicts;
        }
        check::merge(verdicts, self.delete_accepted(&accepted).await)
    }

    async fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        let Tally { accepted, verdicts } = check::changes(batch);
        if accepted.is_empty() {
            return verdicts;
        }
        check::merge(verdicts, self.change_accepted(&accepted).await)
    }

    fn gather(&self) -> Duration {
        GATHER
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let output = request.customize().config_override(within(CALL_LIMIT)).send().await;
        let output = output.map_err(|error| error::of_call(&error))?;
        let [visible, in_flight, delayed] = names.map(|name| answer::count(output.attributes(), &name));
        let depth = Depth { visible: visible?, in_flight: in_flight?, delayed: delayed? };
        self.limit.in_flight(depth.in_flight);
        Ok(depth)
    }
}
