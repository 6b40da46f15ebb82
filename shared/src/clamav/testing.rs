//! A real clamd of a test's own, with its own signatures, sockets and folder.
//!
//! It runs with the `clamd.conf` that we ship, but for where things are. It listens on a Unix socket and on a free port
//! of 127.0.0.1, finds the EICAR test file and nothing else unless told, and ends with its owner.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::{
    clamd::{Clamd, Deadlines},
    endpoint::Endpoint,
    selftest::eicar,
};

pub use super::probes::encrypted_zip;

/// The configuration that we ship.
pub const SHIPPED: &str = include_str!("../../../k8s/clamav/clamd.conf");

/// The name of the EICAR signature, as clamd reports it.
pub const EICAR_NAME: &str = "Eicar-Test.UNOFFICIAL";

/// A signature of something else.
const OTHER: &str = "Other:0:0:00112233445566778899\n";

const PROGRAMS: [&str; 3] = ["clamd", "/usr/sbin/clamd", "/usr/local/sbin/clamd"];
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// A free port can be taken by someone else before clamd binds it.
const START_ATTEMPTS: usize = 5;

/// A zip with these stored members: small ones.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    super::zip::zip(members)
}

/// How to run a clamd.
#[derive(Debug, Clone)]
pub struct Options {
    /// Lines for the configuration, such as `MaxThreads 4`, in place of those that we ship.
    pub settings: Vec<String>,
    /// More signature files: name (such as `more.ndb`) and content.
    pub signatures: Vec<(String, String)>,
    /// The signature database's version, and when it was built; without them it has neither.
    pub database: Option<(u32, Timestamp)>,
}

impl Default for Options {
    /// A database of today.
    fn default() -> Self {
        Self { settings: Vec::new(), signatures: Vec::new(), database: Some((27_500, Timestamp::now())) }
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

    /// Stops it where it is, as `kill -STOP`: it takes connections and does not answer.
    ///
    /// # Errors
    /// If its process is not there.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If its process is not there.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Ok(kill_process(pid.ok_or(io::ErrorKind::NotFound)?, signal)?)
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
        let deadlines = Deadlines { connect: START_TIMEOUT, ..Deadlines::default() };
        for endpoint in [self.endpoint_unix(), self.endpoint_tcp()] {
            let clamd = Clamd::new(endpoint, deadlines);
            while let Err(error) = clamd.ping().await {
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
        let mut own = vec![
            format!("DatabaseDirectory {dir}/db"),
            format!("TemporaryDirectory {dir}"),
            format!("LocalSocket {dir}/clamd.sock"),
            "TCPAddr 127.0.0.1".to_owned(),
            format!("TCPSocket {}", self.port),
        ];
        own.extend(self.options.settings.iter().cloned());
        let shipped = SHIPPED.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        let named = shipped.chain(own).filter_map(|line| Some((line.split_once(' ')?.0.to_owned(), line)));
        let last: BTreeMap<String, String> = named.collect();
        last.into_values().collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Takes EICAR out of its signatures, which the next start goes by.
    ///
    /// # Errors
    /// When its files refuse.
    pub fn forget_eicar(&self) -> io::Result<()> {
        let db = self.database();
        for entry in fs::read_dir(&db)? {
            fs::remove_file(entry?.path())?;
        }
        fs::write(db.join("other.ndb"), OTHER)
    }

    /// Adds signature files, name and content, which the next [`TestClamd::update`] writes.
    pub fn learn(&mut self, files: impl Iterator<Item = (String, String)>) {
        self.options.signatures.extend(files);
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    /// Replaces its database by one of that version, which is not loaded yet.
    ///
    /// # Errors
    /// When its files refuse.
    pub fn fetch(&mut self, version: u32, built: Timestamp) -> io::Result<()> {
        self.options.database = Some((version, built));
        write_signatures(&self.database(), &self.options)
    }

    /// Replaces its database by one of that version without EICAR, which is not loaded yet.
    ///
    /// # Errors
    /// When its files refuse.
    pub fn fetch_blind(&self, version: u32, built: Timestamp) -> io::Result<()> {
        let blind = database(version, built, &[("daily.ndb", OTHER)]);
        fs::write(self.database().join("daily.cud"), blind)
    }

    /// Replaces its database by one of that version, and has it loaded.
    ///
    /// # Errors
    /// When its files or its socket refuse.
    pub async fn update(&mut self, version: u32, built: Timestamp) -> Result<(), TestClamdError> {
        self.fetch(version, built)?;
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.write_all(b"zRELOAD\0").await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        if answer == b"RELOADING\0" { Ok(()) } else { Err(TestClamdError::Start("it does not reload".to_owned())) }
    }

    /// Changes its configuration, which the next start goes by.
    pub fn set(&mut self, line: &str) {
        self.options.settings.push(line.to_owned());
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
    let by_hash = format!("{}:{}:Eicar-Test\n", hex(&Sha256::digest(&eicar)), eicar.len());
    let by_bytes = format!("Eicar-Test:0:0:{}\n", hex(&eicar));
    fs::create_dir_all(db)?;
    match options.database {
        Some((version, built)) => {
            let files = [("daily.hsb", by_hash.as_str()), ("daily.ndb", by_bytes.as_str())];
            fs::write(db.join("daily.cud"), database(version, built, &files))?;
        }
        None => {
            fs::write(db.join("test.hsb"), by_hash)?;
            fs::write(db.join("test.ndb"), by_bytes)?;
        }
    }
    options.signatures.iter().try_for_each(|(name, content)| fs::write(db.join(name), content))
}

/// An unsigned database container with a version and a date (`.cud`): a header of 512 bytes, then a tar that is known for
/// uncompressed by its first member.
fn database(version: u32, built: Timestamp, files: &[(&str, &str)]) -> Vec<u8> {
    let header = format!("ClamAV-VDB:-:{version}:2:90:X:X:test:{}", built.as_second());
    let listed = files.iter().map(|(name, content)| {
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name}:{}:{sha256}\n", content.len())
    });
    let info = format!("{header}\n{}", listed.collect::<String>());
    let all = [("COPYING", "-\n"), ("daily.info", info.as_str())];
    let members = all.iter().chain(files).flat_map(|(name, content)| tar_member(name, content));
    let mut database = header.into_bytes();
    database.resize(512, b' ');
    database.extend(members);
    database.extend([0; 1024]);
    database
}

/// A file in a tar (POSIX.1-1988 ustar).
fn tar_member(name: &str, content: &str) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content.as_bytes());
    header.resize(header.len().div_ceil(512) * 512, 0);
    header
}
