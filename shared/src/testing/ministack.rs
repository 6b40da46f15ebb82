//! A real ministack (Amazon SQS, S3, SNS … in one process) of a test's own.
//!
//! It listens on a free port of 127.0.0.1, keeps everything in memory and ends with its owner.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Its account, which owns every bucket and queue.
pub const ACCOUNT: &str = "000000000000";
/// Its region.
pub const REGION: &str = "us-east-1";

const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// A free port can be taken by someone else before ministack binds it.
const START_ATTEMPTS: usize = 5;

/// Why ministack could not be run or asked.
#[derive(Debug, thiserror::Error)]
pub enum MinistackError {
    /// It is not installed.
    #[error(
        "ministack is not installed in {0}; at the repository's root: \
         python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt"
    )]
    Missing(String),
    /// It ended or did not answer in time; with what it printed.
    #[error("ministack did not start: {0}")]
    Start(String),
    /// Its files, its process or its port could not be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running ministack; dropping it ends it.
#[derive(Debug)]
pub struct Ministack {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Ministack {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// [`MinistackError`]; its text says what to do.
    pub async fn start() -> Result<Self, MinistackError> {
        let program = program();
        if !program.exists() {
            return Err(MinistackError::Missing(program.display().to_string()));
        }
        let mut last = MinistackError::Start("no port was free".to_owned());
        for _ in 0..START_ATTEMPTS {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            let dir = tempfile::Builder::new().prefix("ministack-").tempdir()?;
            let child = spawn(&program, dir.path(), port)?;
            let mut ministack = Self { dir, port, child: Some(child) };
            match ministack.answered().await {
                Ok(()) => return Ok(ministack),
                Err(error @ MinistackError::Start(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Its address, for every service: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1, such as for a proxy.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it printed so far.
    ///
    /// # Errors
    /// If its log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        fs::read(self.dir.path().join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What an SDK needs to talk to it.
    pub fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.endpoint())
    }

    /// Forgets every bucket, queue and object.
    ///
    /// # Errors
    /// If it does not answer 200.
    pub async fn reset(&self) -> io::Result<()> {
        request(self.port, "POST /_ministack/reset").await
    }

    /// Ends it at once, as `kill -9`.
    ///
    /// # Errors
    /// If its process cannot be ended or waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    async fn answered(&mut self) -> Result<(), MinistackError> {
        let end = Instant::now() + START_TIMEOUT;
        while let Err(error) = request(self.port, "GET /_ministack/health").await {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                return Err(MinistackError::Start(format!("it ended with {status}\n{}", self.log()?)));
            }
            if Instant::now() > end {
                return Err(MinistackError::Start(format!("{error}\n{}", self.log()?)));
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // A process that is gone already is what is wanted.
        self.kill().ok();
    }
}

/// What an SDK needs to talk to an emulator at `endpoint`, such as a proxy before ministack.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    sdk_config_as(endpoint, "test", "test", None)
}

/// The same as somebody: an access key, its secret and, of a role that was assumed, the session's token.
pub fn sdk_config_as(endpoint: &str, key: &str, secret: &str, token: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new(key, secret, token.map(str::to_owned), None, "testing");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(credentials))
        .build()
}

fn program() -> PathBuf {
    // `shared/` is a member of the workspace: its parent is the root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.parent().unwrap_or(root).join(".venv/bin/ministack")
}

fn spawn(program: &Path, dir: &Path, port: u16) -> io::Result<Child> {
    let log = File::create(dir.join("log"))?;
    Command::new(program)
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("TMPDIR", dir)
        .env("S3_DATA_DIR", dir.join("s3"))
        .env("LOG_LEVEL", "WARNING")
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Whether `request` (method and path) is answered 200.
async fn request(port: u16, request: &str) -> io::Result<()> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head =
            format!("{request} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = timeout(START_TIMEOUT, ask).await??;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line {
        b"HTTP/1.1 200" | b"HTTP/1.1 200 OK" => Ok(()),
        other => Err(io::Error::other(format!("it answered {}", String::from_utf8_lossy(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn starts_answers_and_ends_with_its_owner() {
        let ministack = Ministack::start().await.unwrap();
        let s3 = aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&ministack.sdk_config()).force_path_style(true).build(),
        );
        s3.create_bucket().bucket("mail").send().await.unwrap();
        assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 1);
        ministack.reset().await.unwrap();
        assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 0);
        let port = ministack.port();
        drop(ministack);
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
}
