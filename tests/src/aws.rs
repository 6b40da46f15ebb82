//! The production plane on emulators: what the deployed template made, and a Redis.
//!
//! Nothing is set up by hand: buckets, queues and the notification are those of `k8s/aws/mailtri.yaml`.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use shared::{
    aws,
    blobs::{
        Blobs, Condition, Meta, Put,
        s3::{S3Blobs, S3Options},
    },
    queue::{Depth, Outgoing, Queue, sqs::SqsQueue},
    testing::{
        ministack::{ACCOUNT, Ministack, REGION},
        redis::TestRedis,
    },
};
use tokio::{process::Command, time::interval};

use crate::{clamd::Clamd, config::Config, mails::Mail, receiver::Receiver};

/// How often a queue's depth is asked: queues do not tell by themselves.
const ASK: Duration = Duration::from_millis(200);
const STAGES: [&str; 4] = ["parse", "scan", "route", "deliver"];

/// Everything that a fleet on this plane needs beside itself.
pub struct Scene {
    /// The emulators.
    pub cloud: Cloud,
    /// Where mails arrive.
    pub receiver: Receiver,
    /// The scanner.
    pub clamd: Clamd,
}

impl Scene {
    /// Starts all of it.
    pub async fn start() -> Self {
        let (cloud, receiver, clamd) = tokio::join!(Cloud::start(), Receiver::start(), Clamd::start());
        Self { cloud, receiver, clamd }
    }

    /// Everything is delivered to `/hook`; what a dead worker held comes back after `visibility`.
    #[must_use]
    pub fn config(&self, visibility: Duration, endpoint: &str) -> Config {
        Config::simple(&self.clamd, &self.receiver).short_leases(visibility, 10).on(&self.cloud, endpoint)
    }

    /// Has mails announced that have to arrive.
    pub async fn send(&self, mails: &[Mail]) {
        for mail in mails {
            self.receiver.expect("/hook", mail);
            self.cloud.put(mail).await;
        }
    }
}

/// An emulator with the template deployed, and a Redis; they end with it.
pub struct Cloud {
    ministack: Ministack,
    redis: TestRedis,
    outputs: Value,
    bucket: S3Blobs,
}

impl Cloud {
    /// Starts the emulators and deploys the template.
    ///
    /// # Panics
    /// When something of it is not installed (with the command that installs it), or the template is refused.
    pub async fn start() -> Self {
        let ministack = Ministack::start().await.unwrap_or_else(|error| panic!("{error}"));
        let redis = TestRedis::start().await.unwrap_or_else(|error| panic!("{error}"));
        let outputs = deploy(&ministack.endpoint()).await;
        let client = aws::s3_client(&ministack.sdk_config());
        let options = S3Options { expected_owner: Some(ACCOUNT.to_owned()), ..S3Options::default() };
        let bucket = S3Blobs::new(client, output(&outputs, "MailBucket"), options);
        Self { ministack, redis, outputs, bucket }
    }

    /// The emulator's address, such as for a proxy before it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.ministack.endpoint()
    }

    /// The emulator's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ministack.port()
    }

    /// An output of the stack.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn output(&self, name: &str) -> String {
        output(&self.outputs, name)
    }

    /// The queues' URLs without the stage's name.
    ///
    /// # Panics
    /// When the template names them otherwise.
    #[must_use]
    pub fn queue_prefix(&self) -> String {
        self.output("ParseQueueUrl").strip_suffix("parse").expect("a queue's name ends with its stage").to_owned()
    }

    /// What the processes find in their environment.
    pub(crate) fn environment(&self) -> [(String, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("REDIS_URL", self.redis.url()),
            ("AUDIT_KEY", "the scenario's audit key, 32 bytes".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    }

    /// The sections of `mailtri.toml` that name this plane, reached at `endpoint`.
    pub(crate) fn sections(&self, endpoint: &str) -> [(&'static str, String); 4] {
        let (bucket, prefix) = (self.output("MailBucket"), self.queue_prefix());
        [
            ("plane", "kind = \"aws\"".to_owned()),
            (
                "aws",
                format!(
                    "region = \"{REGION}\"\nbucket = \"{bucket}\"\nqueue_prefix = \"{prefix}\"\n\
                     expected_owner = \"{ACCOUNT}\"\nendpoint = \"{endpoint}\""
                ),
            ),
            ("redis", "url_env = \"REDIS_URL\"".to_owned()),
            ("audit", "key_env = \"AUDIT_KEY\"".to_owned()),
        ]
    }

    /// Puts a mail under `raw/`, as whatever receives mail does: the bucket announces it.
    ///
    /// # Panics
    /// When the emulator refuses, or the key is taken.
    pub async fn put(&self, mail: &Mail) -> Meta {
        let key = format!("raw/tests/{}", mail.name);
        match self.bucket.put(&key, mail.raw.clone().into(), Condition::IfAbsent).await.unwrap() {
            Put::Stored(meta) => meta,
            Put::Exists => panic!("{key} is there already"),
        }
    }

    /// The mail bucket, past every proxy.
    #[must_use]
    pub const fn bucket(&self) -> &S3Blobs {
        &self.bucket
    }

    /// A queue by the end of its name, such as `parse` or `scan-dlq`, past every proxy.
    #[must_use]
    pub fn queue(&self, name: &str) -> SqsQueue {
        let client = aws::sqs_client(&self.ministack.sdk_config());
        SqsQueue::new(client, format!("{}{name}", self.queue_prefix()), name)
    }

    /// The Redis, to be killed or restarted.
    pub const fn redis(&mut self) -> &mut TestRedis {
        &mut self.redis
    }

    /// Sends a body to a queue.
    ///
    /// # Panics
    /// When the emulator refuses.
    pub async fn send(&self, queue: &str, body: String) {
        let message = Outgoing { body, delay: Duration::ZERO, group: String::new() };
        self.queue(queue).send(&[message]).await.into_iter().for_each(|sent| sent.unwrap());
    }

    /// How many messages a queue holds.
    ///
    /// # Panics
    /// When the emulator does not say.
    pub async fn depth(&self, queue: &str) -> Depth {
        self.queue(queue).depth().await.unwrap()
    }

    /// Waits until no stage has a job left.
    pub async fn drained(&self) {
        let queues = STAGES.map(|stage| self.queue(stage));
        let mut ticks = interval(ASK);
        loop {
            ticks.tick().await;
            let mut left = 0;
            // From the last to the first: a job moves on, so that the other way round one could be missed.
            for queue in queues.iter().rev() {
                left += queue.depth().await.unwrap().total();
            }
            if left == 0 {
                return;
            }
        }
    }
}

fn output(outputs: &Value, name: &str) -> String {
    outputs[name].as_str().unwrap_or_else(|| panic!("the stack has no output {name}")).to_owned()
}

/// Deploys the template and answers the stack's outputs.
async fn deploy(endpoint: &str) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let templates = root.join("k8s/aws");
    let mut command = Command::new(root.join(".venv/bin/python"));
    command.arg(root.join("tests/aws/deploy.py")).args(["--endpoint", endpoint, "--region", REGION]);
    command.arg("--template").arg(templates.join("mailtri.yaml"));
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "not deployed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
