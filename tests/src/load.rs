//! Queues and a bucket on an emulator of SQS and S3, without the template: for scenarios about many messages.
//!
//! In a soak that is fauxqs, which keeps its pace whatever lies in its queues; else ministack.

use std::{net::TcpListener, process::Stdio, sync::Arc, time::Duration};

use shared::{
    aws,
    queue::{Queue, sqs::SqsQueue},
    testing::{
        ministack::{Ministack, sdk_config},
        redis::TestRedis,
    },
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{interval, timeout},
};

use crate::{
    aws::{environment, root, sections},
    config::Config,
    soak::scale,
};

/// The account of both emulators.
const ACCOUNT: &str = "000000000000";
const BUCKET: &str = "load";
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A running emulator, and a Redis; they end with it.
pub struct Load {
    _server: Server,
    redis: TestRedis,
    endpoint: String,
    /// The queues' addresses without the stage's name.
    prefix: String,
}

enum Server {
    Ministack(#[expect(dead_code, reason = "held for its Drop")] Ministack),
    Fauxqs(#[expect(dead_code, reason = "held for its Drop")] Child),
}

impl Load {
    /// Starts both and makes the queues of every stage.
    ///
    /// # Panics
    /// When something of it is not installed.
    pub async fn start() -> Self {
        let (server, endpoint) = if scale(false, true) { fauxqs().await } else { ministack().await };
        let redis = TestRedis::start().await.unwrap_or_else(|error| panic!("{error}"));
        let config = sdk_config(&endpoint);
        let sqs = aws::sqs_client(&config);
        let mut prefix = String::new();
        for stage in ["scan", "route", "deliver", "parse"] {
            sqs.create_queue().queue_name(format!("load-{stage}-dlq")).send().await.unwrap();
            let made = sqs.create_queue().queue_name(format!("load-{stage}")).send().await.unwrap();
            // Each emulator has a form of its own for the addresses of queues.
            made.queue_url().unwrap().strip_suffix(stage).unwrap().clone_into(&mut prefix);
        }
        aws::s3_client(&config).create_bucket().bucket(BUCKET).send().await.unwrap();
        Self { _server: server, redis, endpoint, prefix }
    }

    /// That configuration on this plane.
    #[must_use]
    pub fn config(&self, mut config: Config) -> Config {
        config.embedded = false;
        config.env.extend(environment("test", "test", &self.redis));
        let sections = sections(BUCKET, &self.prefix, ACCOUNT, &self.endpoint);
        sections.into_iter().fold(config, |config, (name, body)| config.section(name, &body))
    }

    /// A queue by the end of its name.
    #[must_use]
    pub fn queue(&self, name: &str) -> Arc<dyn Queue> {
        let client = aws::sqs_client(&sdk_config(&self.endpoint));
        Arc::new(SqsQueue::new(client, format!("{}{name}", self.prefix), name))
    }
}

async fn ministack() -> (Server, String) {
    let ministack = Ministack::start().await.unwrap_or_else(|error| panic!("{error}"));
    let endpoint = ministack.endpoint();
    (Server::Ministack(ministack), endpoint)
}

async fn fauxqs() -> (Server, String) {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let child = Command::new(root().join(".venv/load/node_modules/.bin/node"))
        .arg(root().join("tests/aws/fauxqs.mjs"))
        .arg(port.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("fauxqs is not installed: tests/setup load");
    let answers = async {
        let mut looks = interval(LOOK);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            looks.tick().await;
        }
    };
    timeout(START, answers).await.expect("fauxqs does not start");
    (Server::Fauxqs(child), format!("http://127.0.0.1:{port}"))
}
