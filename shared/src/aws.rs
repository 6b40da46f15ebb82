//! How the process reaches AWS: a region, an endpoint, and who it is.
//!
//! Credentials come from the SDK's own chain (environment, profile, web identity, Pod Identity, instance), never
//! from the configuration.

use aws_config::{BehaviorVersion, Region, SdkConfig};

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
