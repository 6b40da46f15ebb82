//! Reads what SQS answers. What is not there is a failure, never a success.

use std::collections::HashMap;

use aws_sdk_sqs::types::{BatchResultErrorEntry, Message, MessageSystemAttributeName, QueueAttributeName};
use tokio::time::Instant;

use super::super::{QueueError, Receipt, Received};

/// One result for each of `count` entries, whose ids are their places. An entry that is in neither list, or in both,
/// failed.
pub(super) fn results<'a>(
    count: usize,
    succeeded: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
    of: impl Fn(&BatchResultErrorEntry) -> QueueError,
) -> Vec<Result<(), QueueError>> {
    let unanswered = || Err(QueueError::Unavailable("no result for this entry".into()));
    let mut results: Vec<_> = (0..count).map(|_| unanswered()).collect();
    let answers = succeeded.map(|id| (id, Ok(()))).chain(failed.iter().map(|entry| (entry.id(), Err(of(entry)))));
    for (id, answer) in answers {
        if let Some(result) = id.parse::<usize>().ok().and_then(|place| results.get_mut(place)) {
            *result = answer;
        }
    }
    results
}

/// A message as the port has it. One without a body, a receipt or a receive count cannot be handled: it is left to
/// come again.
pub(super) fn received(message: Message, leased_at: Instant, queue: &str) -> Option<Received> {
    let id = message.message_id.unwrap_or_default();
    let counts = message.attributes.unwrap_or_default();
    let count = counts.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    let (Some(receipt), Some(body), Some(receive_count)) =
        (message.receipt_handle, message.body, count.and_then(|count| count.parse().ok()))
    else {
        tracing::error!(queue, id, "a message came without its body, receipt or receive count");
        return None;
    };
    Some(Received { id, receipt: Receipt(receipt), body, receive_count, leased_at })
}

/// A counter among a queue's attributes.
pub(super) fn count(
    attributes: Option<&HashMap<QueueAttributeName, String>>,
    name: &QueueAttributeName,
) -> Result<u64, QueueError> {
    let value = attributes.and_then(|attributes| attributes.get(name)?.parse().ok());
    value.ok_or_else(|| QueueError::Unavailable(format!("no {} in the answer", name.as_str())))
}
