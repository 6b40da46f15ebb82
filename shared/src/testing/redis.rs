//! A real redis-server of a test's own, without persistence.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use deadpool_redis::redis::{Client, RedisError, cmd};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const PROGRAM: &str = "redis-server";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// A free port can be taken by someone else before the server binds it.
const START_ATTEMPTS: usize = 5;

/// Why a server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum TestRedisError {
    /// It is not installed.
    #[error(
        "redis-server is not installed; on Debian or Ubuntu: apt-get install -y --no-install-recommends redis-server"
    )]
    Missing,
    /// It ended or did not answer in time; with what it printed.
    #[error("redis-server did not start: {0}")]
    Start(String),
    /// Its files could not be written or its process not be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running redis-server; dropping it ends it.
#[derive(Debug)]
pub struct TestRedis {
    dir: TempDir,
    settings: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl TestRedis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`TestRedisError`]; its text says what to do.
    pub async fn start() -> Result<Self, TestRedisError> {
        Self::start_with(&[]).await
    }

    /// Starts a server with more arguments, such as `--requirepass` and a word. It still listens on its plain port.
    ///
    /// # Errors
    /// [`TestRedisError`]; its text says what to do.
    pub async fn start_with(settings: &[&str]) -> Result<Self, TestRedisError> {
        let dir = tempfile::Builder::new().prefix("redis-").tempdir()?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { dir, settings, port: 0, child: None };
        let mut last = TestRedisError::Missing;
        for _ in 0..START_ATTEMPTS {
            server.port = free_port()?;
            match server.restart().await {
                Ok(()) => return Ok(server),
                Err(error @ TestRedisError::Start(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Its URL, without a password; the same after a restart.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its plain port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once, as `kill -9`: it forgets everything.
    ///
    /// # Errors
    /// If its process cannot be ended or waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Ends it if it runs, and starts it on the same port, empty.
    ///
    /// # Errors
    /// As [`TestRedis::start`].
    pub async fn restart(&mut self) -> Result<(), TestRedisError> {
        self.kill()?;
        let log = self.dir.path().join("redis.log");
        self.child = Some(self.spawn(&log)?);
        self.answered().await.map_err(|error| match error {
            TestRedisError::Start(why) => {
                let printed = fs::read(&log).unwrap_or_default();
                TestRedisError::Start(format!("{why}\n{}", String::from_utf8_lossy(&printed)))
            }
            other => other,
        })
    }

    fn spawn(&self, log: &std::path::Path) -> Result<Child, TestRedisError> {
        let log = File::create(log)?;
        let mut command = Command::new(PROGRAM);
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]).arg("--dir").arg(self.dir.path());
        command.args(&self.settings).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TestRedisError::Missing,
            _ => error.into(),
        })
    }

    /// Waits until it answers, were it only that a password is needed.
    async fn answered(&mut self) -> Result<(), TestRedisError> {
        let end = Instant::now() + START_TIMEOUT;
        while let Err(error) = self.ping().await {
            if error.code() == Some("NOAUTH") {
                break;
            }
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                return Err(TestRedisError::Start(format!("it ended with {status}")));
            }
            if Instant::now() > end {
                return Err(TestRedisError::Start(error.to_string()));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), RedisError> {
        let mut connection = Client::open(self.url())?.get_multiplexed_async_connection().await?;
        cmd("PING").query_async(&mut connection).await
    }
}

/// A port of 127.0.0.1 on which nobody listened a moment ago.
///
/// # Errors
/// If the system has none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // A process that is gone already is what is wanted.
        self.kill().ok();
    }
}
