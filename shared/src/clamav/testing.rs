//! A real clamd of a test's own, with its own signatures, sockets and folder.
//!
//! It listens on a Unix socket and on a free port of 127.0.0.1, finds the EICAR test file and nothing else unless told,
//! and ends with its owner.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{clamd::Clamd, endpoint::Endpoint, selftest::eicar};

/// The name of the EICAR signature, as clamd reports it.
pub const EICAR_NAME: &str = "Eicar-Test.UNOFFICIAL";

const PROGRAMS: [&str; 3] = ["clamd", "/usr/sbin/clamd", "/usr/local/sbin/clamd"];
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// A free port can be taken by someone else before clamd binds it.
const START_ATTEMPTS: usize = 5;

/// How to run a clamd.
#[derive(Debug, Clone)]
pub struct Options {
    /// `StreamMaxLength`, in bytes.
    pub stream_max_length: u64,
    /// More lines for the configuration, such as `MaxThreads 4`.
    pub settings: Vec<String>,
    /// More signature files: name (such as `more.ndb`) and content.
    pub signatures: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { stream_max_length: 100 << 20, settings: Vec::new(), signatures: Vec::new() }
    }
}

/// Why clamd could not be run.
#[derive(Debug, thiserror::Error)]
pub enum TestClamdError {
    /// It is not installed.
    #[error("clamd is not installed; on Debian or Ubuntu: apt-get install -y --no-install-recommends clamav-daemon")]
    Missing,
    /// It ended or did not answer in time; with what it printed.
    #[error("clamd did not start: {0}")]
    Start(String),
    /// Its files could not be written or its process not be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running clamd; dropping it ends it.
#[derive(Debug)]
pub struct TestClamd {
    dir: TempDir,
    options: Options,
    port: u16,
    child: Option<Child>,
}

impl TestClamd {
    /// Starts a clamd and waits until it answers on both sockets.
    ///
    /// # Errors
    /// [`TestClamdError`]; its text says what to do.
    pub async fn start(options: Options) -> Result<Self, TestClamdError> {
        let dir = tempfile::Builder::new().prefix("clamd-").tempdir()?;
        write_signatures(&dir.path().join("db"), &options)?;
        let mut clamd = Self { dir, options, port: 0, child: None };
        let mut last = TestClamdError::Missing;
        for _ in 0..START_ATTEMPTS {
            clamd.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match clamd.restart().await {
                Ok(()) => return Ok(clamd),
                Err(error @ TestClamdError::Start(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Its Unix socket.
    pub fn endpoint_unix(&self) -> Endpoint {
        Endpoint::Unix(self.dir.path().join("clamd.sock"))
    }

    /// Its TCP port on 127.0.0.1, the same after a restart.
    pub fn endpoint_tcp(&self) -> Endpoint {
        Endpoint::Tcp(format!("127.0.0.1:{}", self.port))
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once, as `kill -9`; it leaves its sockets' addresses behind.
    ///
    /// # Errors
    /// If its process cannot be ended or waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Ends it if it runs, and starts it on the same sockets.
    ///
    /// # Errors
    /// As [`TestClamd::start`].
    pub async fn restart(&mut self) -> Result<(), TestClamdError> {
        self.kill()?;
        let config = self.dir.path().join("clamd.conf");
        fs::write(&config, self.config())?;
        let log = self.dir.path().join("clamd.log");
        self.child = Some(spawn(&config, &log)?);
        let answered = self.answered().await;
        answered.map_err(|error| match error {
            TestClamdError::Start(why) => {
                let printed = fs::read(&log).unwrap_or_default();
                TestClamdError::Start(format!("{why}\n{}", String::from_utf8_lossy(&printed)))
            }
            other => other,
        })
    }

    /// Waits until it answers on both sockets.
    async fn answered(&mut self) -> Result<(), TestClamdError> {
        let end = Instant::now() + START_TIMEOUT;
        for clamd in [self.endpoint_unix(), self.endpoint_tcp()].map(Clamd::new) {
            while let Err(error) = clamd.ping(START_TIMEOUT).await {
                if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                    return Err(TestClamdError::Start(format!("it ended with {status}")));
                }
                if Instant::now() > end {
                    return Err(TestClamdError::Start(error.to_string()));
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    fn config(&self) -> String {
        let dir = self.dir.path().display();
        let mut lines = vec![
            "Foreground yes".to_owned(),
            format!("DatabaseDirectory {dir}/db"),
            format!("TemporaryDirectory {dir}"),
            format!("LocalSocket {dir}/clamd.sock"),
            "TCPAddr 127.0.0.1".to_owned(),
            format!("TCPSocket {}", self.port),
            format!("StreamMaxLength {}", self.options.stream_max_length),
            "AlertExceedsMax yes".to_owned(),
            "AlertEncrypted yes".to_owned(),
        ];
        lines.extend(self.options.settings.iter().cloned());
        lines.join("\n") + "\n"
    }
}

impl Drop for TestClamd {
    fn drop(&mut self) {
        // A process that is gone already is what is wanted.
        self.kill().ok();
    }
}

fn spawn(config: &Path, log: &Path) -> Result<Child, TestClamdError> {
    let log = File::create(log)?;
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command.arg("--config-file").arg(config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return Ok(other?),
        }
    }
    Err(TestClamdError::Missing)
}

/// The EICAR test file by its hash, and by its bytes at the beginning of a file.
fn write_signatures(db: &Path, options: &Options) -> io::Result<()> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let eicar = eicar();
    fs::create_dir(db)?;
    fs::write(db.join("test.hsb"), format!("{}:{}:Eicar-Test\n", hex(&Sha256::digest(&eicar)), eicar.len()))?;
    fs::write(db.join("test.ndb"), format!("Eicar-Test:0:0:{}\n", hex(&eicar)))?;
    options.signatures.iter().try_for_each(|(name, content)| fs::write(db.join(name), content))
}
