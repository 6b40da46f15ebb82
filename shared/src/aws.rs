//! How this fleet talks to AWS: timeouts, retries and stalled streams, in one place.
//!
//! Invariant: no call can hang. Every attempt ends within a timeout, and a body that stands still ends with an error.

use std::time::Duration;

use aws_config::{
    SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};

/// To open a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One attempt of an S3 call, up to the first byte of its answer's body. Puts get more, by their length.
pub const S3_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may stand still, either way. The SDK's own 5 s ends healthy transfers (aws-sdk-rust#1287).
pub const STALL_GRACE: Duration = Duration::from_secs(20);

const S3_ATTEMPTS: u32 = 4;
const S3_FIRST_BACKOFF: Duration = Duration::from_millis(300);

/// An S3 client with this fleet's timeouts and retries.
///
/// There is no read timeout on purpose: the SDK counts the upload of the request's body in it, and a large mail over a
/// slow line would never arrive. The attempt timeout and the stalled-stream protection end what a read timeout would.
#[must_use]
pub fn s3_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config(config).build())
}

/// What [`s3_client`] is made of.
pub(crate) fn s3_config(config: &SdkConfig) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(config)
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(S3_ATTEMPT_TIMEOUT)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(S3_ATTEMPTS).with_initial_backoff(S3_FIRST_BACKOFF))
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build())
        // An endpoint of one's own (an emulator, a gateway) rarely has a host name for each bucket.
        .force_path_style(config.endpoint_url().is_some())
}
