//! The production plane on an emulator that enforces IAM: the deployed template's roles, and nobody may do anything else.
//!
//! For a few mails only: it is slow, and hands one message to two consumers that ask at the same time.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use shared::{
    aws,
    blobs::s3::{S3Blobs, S3Options},
    queue::sqs::SqsQueue,
    testing::{ministack::sdk_config_as, redis::TestRedis},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{interval, timeout},
};

use crate::{
    aws::{deploy, environment, output, python, root, sections},
    config::Config,
};

/// Its account.
pub const ACCOUNT: &str = "123456789012";
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A moto server with the template deployed, and a Redis; they end with it.
pub struct Moto {
    _server: Child,
    dir: TempDir,
    port: u16,
    redis: TestRedis,
    outputs: Value,
    roles: BTreeMap<String, [String; 3]>,
}

impl Moto {
    /// Starts the server, deploys the template, assumes every role and has IAM enforced from then on.
    ///
    /// # Panics
    /// When moto or Redis is not installed, or the template is refused.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("moto-").tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let log = File::create(dir.path().join("log")).unwrap();
        let server = Command::new(root().join(".venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("moto is not installed: make servers");
        let answers = async {
            let mut looks = interval(LOOK);
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                looks.tick().await;
            }
        };
        timeout(START, answers).await.expect("moto does not start");
        let redis = TestRedis::start().await.unwrap_or_else(|error| panic!("{error}"));
        let endpoint = format!("http://127.0.0.1:{port}");
        let outputs = deploy(&endpoint).await;
        let roles = python("roles.py", &["--endpoint", &endpoint, "assume"]).await;
        let roles = serde_json::from_value(roles).unwrap();
        Self { _server: server, dir, port, redis, outputs, roles }
    }

    /// The server's address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The mail bucket's name.
    #[must_use]
    pub fn bucket_name(&self) -> String {
        output(&self.outputs, "MailBucket")
    }

    /// That configuration on this plane. Whose it is, [`Self::keys`] say.
    #[must_use]
    pub fn config(&self, mut config: Config) -> Config {
        config.embedded = false;
        config.env.extend(environment("nobody", "nobody", &self.redis));
        let sections = sections(&self.bucket_name(), &self.queue_prefix(), ACCOUNT, &self.endpoint());
        sections.into_iter().fold(config, |config, (name, body)| config.section(name, &body))
    }

    /// The environment of a process under a role.
    ///
    /// # Panics
    /// When there is no such role.
    #[must_use]
    pub fn keys(&self, role: &str) -> [(&'static str, &str); 3] {
        let [key, secret, token] = &self.roles[role];
        [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", token)]
    }

    /// The mail bucket, as a role.
    ///
    /// # Panics
    /// When there is no such role.
    #[must_use]
    pub fn bucket(&self, role: &str) -> S3Blobs {
        let options = S3Options { expected_owner: Some(ACCOUNT.to_owned()), ..S3Options::default() };
        let [key, secret, token] = &self.roles[role];
        let client = aws::s3_client(&sdk_config_as(&self.endpoint(), key, secret, Some(token)));
        S3Blobs::new(client, self.bucket_name(), options)
    }

    /// A queue by the end of its name, as a role.
    ///
    /// # Panics
    /// When there is no such role.
    #[must_use]
    pub fn queue(&self, role: &str, name: &str) -> SqsQueue {
        let [key, secret, token] = &self.roles[role];
        let client = aws::sqs_client(&sdk_config_as(&self.endpoint(), key, secret, Some(token)));
        SqsQueue::new(client, format!("{}{name}", self.queue_prefix()), name)
    }

    /// Makes every call of the table in `tests/aws/roles.py` as every role: by role and call, the error's code, which is
    /// empty for a call that was answered.
    ///
    /// # Panics
    /// When the program fails.
    pub async fn try_everything(&self, prefixes: &[&str]) -> BTreeMap<String, BTreeMap<String, String>> {
        let file = self.dir.path().join("roles.json");
        fs::write(&file, serde_json::to_vec(&self.roles).unwrap()).unwrap();
        let (endpoint, file) = (self.endpoint(), file.display().to_string());
        let common = ["--endpoint", &endpoint, "try", &file, "--owner", ACCOUNT, "--prefixes"];
        serde_json::from_value(python("roles.py", &[&common, prefixes].concat()).await).unwrap()
    }

    fn queue_prefix(&self) -> String {
        format!("{}/{ACCOUNT}/mailtri-", self.endpoint())
    }
}
