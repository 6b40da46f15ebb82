//! `[plane]`, `[aws]` and `[redis]`: where the fleet keeps its mail.

use std::{collections::BTreeSet, fs};

use secrecy::ExposeSecret;
use shared::{
    aws::AwsConfig,
    blobs::s3::S3Options,
    config::Reader,
    redis::{self, address::Address},
};

/// Which plane.
#[derive(Debug, Clone)]
pub enum PlaneSettings {
    /// One directory on one machine.
    Embedded,
    /// SQS, S3 and Redis.
    Aws(Box<AwsSettings>),
}

/// The production plane.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// Region and endpoint.
    pub config: AwsConfig,
    /// The bucket of the fleet's own objects, from which mails are taken as well.
    pub bucket: String,
    /// More buckets that mails are taken from.
    pub sources: BTreeSet<String>,
    /// What every call to S3 carries.
    pub options: S3Options,
    /// The queues' URLs without the stage's name: `https://sqs.eu-central-1.amazonaws.com/111122223333/mailtri-`.
    pub queue_prefix: String,
    /// What may vanish.
    pub redis: redis::Settings,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Embedded,
    Aws,
}

/// Reads the three sections. `audit` has to name a key where several machines write records.
pub(super) fn read(root: &Reader<'_>) -> PlaneSettings {
    let kinds = [("embedded", Kind::Embedded), ("aws", Kind::Aws)];
    let kind = root.section("plane").one_of_or_first("kind", kinds);
    let (aws, redis) = (root.section("aws"), root.section("redis"));
    let read = AwsSettings::read(&aws, &redis, kind == Kind::Aws);
    if kind == Kind::Embedded {
        return PlaneSettings::Embedded;
    }
    let audit = root.section("audit");
    if !audit.is_set("key_env") && !audit.is_set("key_file") {
        audit.missing(
            "key_env",
            "the name of a variable that holds the key (or key_file): every process needs the same",
        );
    }
    read.map_or(PlaneSettings::Embedded, |settings| PlaneSettings::Aws(Box::new(settings)))
}

impl AwsSettings {
    fn read(aws: &Reader<'_>, redis: &Reader<'_>, needed: bool) -> Option<Self> {
        let text = |key: &str, expected: &str| {
            let value = aws.parsed(key, expected, |text| (!text.is_empty()).then(|| text.to_owned()));
            if needed && !aws.is_set(key) {
                aws.missing(key, expected);
            }
            value
        };
        let region = text("region", "a region, such as \"eu-central-1\"");
        let bucket = text("bucket", "the mail bucket's name");
        let queue_prefix = text("queue_prefix", "the queues' URLs without the stage's name");
        let url = |text: &str| text.starts_with("http").then(|| text.to_owned());
        let endpoint_url = aws.parsed("endpoint", "a URL", url);
        let digits =
            |text: &str| (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_owned());
        let expected_owner = aws.parsed("expected_owner", "an account's id of 12 digits", digits);
        let kms_key = aws.get::<String>("kms_key");
        let sources = aws.list("sources", &[], "a bucket's name", |text| (!text.is_empty()).then(|| text.to_owned()));
        let redis = redis_settings(redis, needed);
        Some(Self {
            config: AwsConfig { region: region?, endpoint_url },
            bucket: bucket?,
            sources: sources.into_iter().collect(),
            options: S3Options { expected_owner, kms_key },
            queue_prefix: queue_prefix?,
            redis: redis?,
        })
    }
}

fn redis_settings(section: &Reader<'_>, needed: bool) -> Option<redis::Settings> {
    let url = if needed { section.required_secret("url") } else { section.secret("url") };
    let authority = section.readable_file("ca_file").map(fs::read);
    let authority = match authority.transpose() {
        Ok(authority) => authority,
        Err(error) => {
            section.reject("ca_file", &format!("expected a file that can be read: {error}"));
            None
        }
    };
    if !needed {
        return None;
    }
    match Address::parse(url?.expose_secret(), authority.as_deref()) {
        Ok(address) => Some(redis::Settings::new(address)),
        Err(error) => {
            let key = if section.is_set("url_file") { "url_file" } else { "url_env" };
            section.reject_hidden(key, None, &error.to_string());
            None
        }
    }
}
