//! What SQS's errors mean to the port.
//!
//! Of an error that SQS reports only the code is kept: its message may quote the request. Whatever is not known to be
//! final counts as passing.

use std::{error::Error, fmt::Debug};

use aws_sdk_sqs::{
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::receive_message::ReceiveMessageError,
    types::BatchResultErrorEntry,
};

use super::super::QueueError;

/// Longest code that is repeated in an error.
const MAX_CODE: usize = 64;

/// What the SDK says of a failed receive.
pub(super) type ReceiveError = SdkError<ReceiveMessageError>;

/// A failed try of a receive.
#[derive(Debug)]
pub(super) struct Receiving {
    at_limit: bool,
    error: QueueError,
}

impl Receiving {
    /// Whether too many messages are in flight.
    pub(super) const fn is_at_limit(&self) -> bool {
        self.at_limit
    }

    /// Whether another try soon may succeed.
    pub(super) const fn may_pass(&self) -> bool {
        !self.at_limit && self.error.is_retryable()
    }
}

impl From<ReceiveError> for Receiving {
    fn from(error: ReceiveError) -> Self {
        let at_limit = error.as_service_error().is_some_and(ReceiveMessageError::is_over_limit);
        Self { at_limit, error: of_call(&error) }
    }
}

impl From<Receiving> for QueueError {
    fn from(failed: Receiving) -> Self {
        failed.error
    }
}

/// Of a whole call.
pub(super) fn of_call<E, R>(error: &SdkError<E, R>) -> QueueError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Debug,
{
    match error {
        SdkError::ServiceError(answer) => of_code(answer.err().code()),
        SdkError::TimeoutError(_) => unavailable("no answer in time"),
        SdkError::ResponseError(_) => unavailable("the answer could not be read"),
        // These two speak of addresses, certificates and credential sources, never of bodies.
        SdkError::DispatchFailure(_) => unavailable(&format!("no connection: {}", causes(error))),
        SdkError::ConstructionFailure(_) => unavailable(&format!("no request: {}", causes(error))),
        _ => unavailable("the call failed"),
    }
}

/// Of one entry of a send.
pub(super) fn of_sent(entry: &BatchResultErrorEntry) -> QueueError {
    match (entry.sender_fault(), bare(entry.code())) {
        (true, "InvalidMessageContents") => QueueError::Invalid("SQS refused the body's characters"),
        (true, "InvalidParameterValue" | "InvalidAttributeValue" | "MissingParameter") => {
            QueueError::Invalid("SQS refused the body, its delay or its group")
        }
        (true, "BatchRequestTooLong") => QueueError::Invalid("SQS refused the body's size"),
        _ => of_code(Some(entry.code())),
    }
}

/// Of one entry of a delete or of a visibility change. `InvalidParameterValue` is what SQS says of an expired receipt
/// ("Message does not exist or is not available for visibility timeout change") and at the end of the 12 hours.
pub(super) fn of_receipt(entry: &BatchResultErrorEntry) -> QueueError {
    match bare(entry.code()) {
        "ReceiptHandleIsInvalid" | "InvalidIdFormat" | "InvalidParameterValue" | "MessageNotInflight" => {
            QueueError::ReceiptExpired
        }
        _ => of_code(Some(entry.code())),
    }
}

/// Of an entry that the SDK would not build.
pub(super) fn unbuilt(_: BuildError) -> QueueError {
    QueueError::Invalid("an entry lacks what it must have")
}

fn of_code(code: Option<&str>) -> QueueError {
    match code.map(bare) {
        Some("BatchRequestTooLong") => QueueError::Invalid("the bodies together exceed 1 MiB"),
        Some("TooManyEntriesInBatchRequest") => QueueError::Invalid("more than 10 entries"),
        Some("InvalidMessageContents") => QueueError::Invalid("body has characters that SQS refuses"),
        Some(code) if is_plain(code) => unavailable(code),
        _ => unavailable("an error without a code"),
    }
}

/// A code without the prefix of the older protocol.
fn bare(code: &str) -> &str {
    code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code)
}

fn is_plain(code: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

fn unavailable(why: &str) -> QueueError {
    QueueError::Unavailable(why.to_owned())
}

/// What is below an error, outermost first.
fn causes(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}
