//! How the process talks to AWS: a region, an endpoint, who it is, and the limits of time of its calls.
//!
//! Credentials come from the SDK's own chain (environment, profile, web identity, Pod Identity, instance), never
//! from the configuration. Invariant: no call can hang; every attempt ends within a timeout.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};

/// To open a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One attempt of an S3 call, up to the first byte of its answer's body. Puts get more, by their length.
pub const S3_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);
/// All attempts of an S3 call together, as far as that. Shorter than any stage's `progress`: a job that waits for a store
/// which does not answer has to hear so before it counts as hung and loses its lease. Puts get more, by their length.
pub const S3_CALL_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a body may stand still, either way. The SDK's own 5 s ends healthy transfers (aws-sdk-rust#1287).
pub const STALL_GRACE: Duration = Duration::from_secs(20);

const S3_ATTEMPTS: u32 = 4;
const S3_FIRST_BACKOFF: Duration = Duration::from_millis(300);

/// Where AWS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsConfig {
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// Where every service is reached instead of the region's own endpoints: a VPC endpoint or an emulator.
    pub endpoint_url: Option<String>,
}

/// What the clients of the services are made from; they share connections and credentials.
pub async fn load(config: &AwsConfig) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(config.region.clone()));
    match &config.endpoint_url {
        Some(url) => loader.endpoint_url(url).load().await,
        None => loader.load().await,
    }
}

/// A client for [`crate::queue::sqs`].
pub fn sqs_client(config: &SdkConfig) -> aws_sdk_sqs::Client {
    crate::queue::sqs::client(config)
}

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
                .operation_timeout(S3_CALL_TIMEOUT)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(S3_ATTEMPTS).with_initial_backoff(S3_FIRST_BACKOFF))
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build())
        // An endpoint of one's own (an emulator, a gateway) rarely has a host name for each bucket.
        .force_path_style(config.endpoint_url().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_region_and_an_endpoint_are_taken_over() {
        let config = AwsConfig { region: "eu-central-1".into(), endpoint_url: Some("http://127.0.0.1:1".into()) };
        let loaded = load(&config).await;
        assert_eq!(loaded.region(), Some(&Region::from_static("eu-central-1")));
        assert_eq!(loaded.endpoint_url(), Some("http://127.0.0.1:1"));
        assert!(loaded.credentials_provider().is_some(), "the SDK's own chain");
    }
}
