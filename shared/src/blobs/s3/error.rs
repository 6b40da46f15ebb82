//! From the SDK's errors to the port's. No text holds a key, a header or a body: only S3's own status and code.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::super::BlobError;

/// Longest error code that is repeated; S3's own are shorter.
const MAX_CODE: usize = 64;

/// What a failed call means where no condition of its own explains it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn translate<E: ProvideErrorMetadata>(error: SdkError<E>) -> BlobError {
    match (status(&error), code(&error)) {
        (Some(404), Some("NoSuchBucket")) => BlobError::Unavailable("there is no such bucket".to_owned()),
        (Some(404), _) => BlobError::NotFound,
        (Some(412), _) => BlobError::Changed,
        (Some(416), _) => BlobError::Range,
        (
            Some(400),
            Some("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch"),
        ) => BlobError::Damaged("the store saw another checksum"),
        (Some(400), Some("IncompleteBody")) => BlobError::Damaged("the store saw a shorter body"),
        (Some(status), code) => BlobError::Unavailable(format!("HTTP {status} {}", code.map_or("", shown))),
        (None, _) => BlobError::Unavailable(unanswered(&error).to_owned()),
    }
}

/// The HTTP status of the last answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// A code, if it looks like one.
pub(super) fn shown(code: &str) -> &str {
    let sound =
        code.len() <= MAX_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if sound { code } else { "(unreadable code)" }
}

fn unanswered<E>(error: &SdkError<E>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time",
        SdkError::DispatchFailure(failure) if failure.is_io() => "the connection failed",
        SdkError::DispatchFailure(_) => {
            "the request could not be sent: no credentials are found, or a certificate is not trusted"
        }
        SdkError::ConstructionFailure(_) => "the request could not be made",
        _ => "the answer could not be read",
    }
}
