//! A fleet on one plane: its configuration, its processes, and what they are asked.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{
    config::Config,
    mails::Mail,
    process::{Process, binary},
};

/// A folder with the fleet's configuration and logs, and its data where the plane is a directory. Left in place when the
/// test that owns it fails.
pub struct Fleet {
    root: PathBuf,
    temp: Option<TempDir>,
    embedded: bool,
    env: BTreeMap<String, String>,
    runs: AtomicUsize,
}

/// A command that ran to its end.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said about it.
    pub stderr: String,
}

/// How a mail ended, as `submit --wait --json` says it.
#[derive(Debug, Clone, Deserialize)]
pub struct Ended {
    /// The mail id.
    pub mail: String,
    /// The name that it was submitted under.
    pub name: String,
    /// The ends of its branches.
    pub ends: Vec<End>,
}

/// The end of a branch.
#[derive(Debug, Clone, Deserialize)]
pub struct End {
    /// `delivered`, `quarantined`, `rejected`, `dropped`, `dead_lettered`.
    pub end: String,
    /// The destination, if it came that far.
    #[serde(default)]
    pub branch: String,
    /// The kind of failure.
    #[serde(default)]
    pub class: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// The stage that ended it.
    pub stage: String,
    /// Runs at that stage.
    pub attempts: u32,
    /// When the mail was first seen.
    pub first_seen: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// The trail that led there.
    #[serde(default)]
    pub audit: Vec<Step>,
}

/// A record of the trail.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// The stage that wrote it.
    pub stage: String,
    /// What it did.
    pub what: String,
}

impl Ended {
    /// The names of the ends, sorted: `["delivered"]`.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.ends.iter().map(|e| e.end.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Fleet {
    /// A fleet in a temporary folder.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let temp = tempfile::Builder::new().prefix("mailtri-").tempdir().unwrap();
        Self::build(temp.path().to_owned(), Some(temp), config)
    }

    /// A fleet in a folder that stays.
    #[must_use]
    pub fn at(root: &Path, config: &Config) -> Self {
        Self::build(root.to_owned(), None, config)
    }

    fn build(root: PathBuf, temp: Option<TempDir>, config: &Config) -> Self {
        fs::create_dir_all(root.join("mails")).unwrap();
        fs::create_dir_all(root.join("logs")).unwrap();
        let (embedded, env) = (config.embedded, config.env.clone());
        let fleet = Self { root, temp, embedded, env, runs: AtomicUsize::new(0) };
        fs::write(fleet.config(), config.text()).unwrap();
        fleet
    }

    /// Sets an environment variable for every process that is started from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env.insert(key.into(), value.into());
    }

    /// Takes an environment variable back.
    pub fn unset(&mut self, key: &str) {
        self.env.remove(key);
    }

    /// What a shell reads so that commands typed in it find this fleet: its environment and its configuration.
    #[must_use]
    pub fn exports(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let config = format!("export MAILTRI_CONFIG={}\n", quoted(&self.config().display().to_string()));
        let set = self.env.iter().map(|(key, value)| format!("export {key}={}\n", quoted(value)));
        set.chain([config]).collect()
    }

    /// The data directory of an embedded plane.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("mailtri.toml")
    }

    /// Where the processes write their logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Starts `mailtri local`.
    pub async fn local(&self) -> Process {
        self.start(&["local"]).await
    }

    /// Starts `mailtri worker` for some stages.
    pub async fn worker(&self, stages: &[&str]) -> Process {
        self.start(&[&["worker"], stages].concat()).await
    }

    /// Starts so many processes that each run every stage.
    pub async fn workers(&self, count: usize) -> Vec<Process> {
        let mut workers = Vec::new();
        for _ in 0..count {
            workers.push(self.worker(&["parse", "scan", "route", "deliver"]).await);
        }
        workers
    }

    async fn start(&self, args: &[&str]) -> Process {
        let name = format!("{}-{}.log", self.runs.fetch_add(1, Ordering::Relaxed), args.join("-"));
        Process::start(&mut self.on_plane(args), &self.logs().join(name)).await
    }

    /// A command of the binary with the fleet's environment and configuration.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = mailtri();
        command.args(args).arg("--config").arg(self.config()).envs(&self.env).kill_on_drop(true);
        command
    }

    /// A command that works on the plane.
    #[must_use]
    pub fn on_plane(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        if self.embedded {
            command.arg("--data").arg(self.data());
        }
        command
    }

    /// Runs a command on the plane to its end.
    ///
    /// # Panics
    /// When it does not end within five minutes.
    pub async fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.on_plane(args), b"").await
    }

    /// Writes mails where they can be submitted from.
    ///
    /// # Panics
    /// When the disk refuses.
    #[must_use]
    pub fn write(&self, mails: &[Mail]) -> Vec<PathBuf> {
        let path = |mail: &Mail| self.root.join("mails").join(format!("{}.eml", mail.name));
        mails.iter().for_each(|mail| fs::write(path(mail), &mail.raw).unwrap());
        mails.iter().map(path).collect()
    }

    /// Submits mails, and returns their ids in the same order.
    ///
    /// # Panics
    /// When the command fails.
    pub async fn submit(&self, mails: &[Mail]) -> Vec<String> {
        let paths = self.write(mails);
        let ran = run(self.on_plane(&["submit"]).args(paths), b"").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ids: Vec<String> =
            ran.stdout.lines().filter_map(|l| l.split_whitespace().next().map(str::to_owned)).collect();
        assert_eq!(ids.len(), mails.len(), "{ran:?}");
        ids
    }

    /// Submits mails and waits until each has ended, in the order of `mails`.
    ///
    /// # Panics
    /// When the command fails, or a mail has not ended within `limit`.
    pub async fn submit_and_wait(&self, mails: &[Mail], limit: Duration) -> Vec<Ended> {
        let paths = self.write(mails);
        let mut command = self.on_plane(&["submit", "--json", &format!("--wait={}", limit.as_secs())]);
        let ran = run(command.args(paths), b"").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ended: Vec<Ended> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let find = |mail: &Mail| ended.iter().find(|e| stem(&e.name) == mail.name).cloned();
        mails.iter().map(|m| find(m).unwrap_or_else(|| panic!("{} has not ended: {ended:?}", m.name))).collect()
    }
}

/// The binary, without the settings that this process's own environment may hold for it.
#[must_use]
pub fn mailtri() -> Command {
    let mut command = Command::new(binary());
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"MAILTRI_")) {
        command.env_remove(key);
    }
    command
}

fn stem(name: &str) -> &str {
    Path::new(name).file_stem().and_then(OsStr::to_str).unwrap_or(name)
}

/// Runs a command to its end, with `input` on its standard input.
///
/// # Panics
/// When it does not end within five minutes.
pub async fn run(command: &mut Command, input: &[u8]) -> Ran {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // A command that refuses its input may close it early.
        let _ = stdin.write_all(input).await;
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1.unwrap() };
    let output = timeout(Duration::from_secs(300), both).await.expect("a command that hangs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(temp) = self.temp.take()
        {
            eprintln!("the failed fleet's data and logs are kept in {}", temp.keep().display());
        }
    }
}
