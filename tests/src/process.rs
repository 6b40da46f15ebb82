//! A process of the real binary: its log in a file, its end awaited, its cost read from `/proc`.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use notify::{RecursiveMode, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

/// How long a process may take to be ready: generous, since it may share two cores with a whole test suite.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The binary under test, built beside this executable.
///
/// # Panics
/// When it was not built, with the command that builds it.
#[must_use]
pub fn binary() -> PathBuf {
    let this = env::current_exe().unwrap();
    let folder = this.ancestors().find(|f| f.join(".fingerprint").is_dir()).expect("runs from a Cargo target folder");
    let binary = folder.join("mailtri");
    assert!(binary.is_file(), "{} is missing: run `make build`, or `cargo build --workspace`", binary.display());
    binary
}

/// A running `mailtri local` or `mailtri worker`; killed when dropped.
pub struct Process {
    child: Child,
    pid: Pid,
    log: PathBuf,
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// How long it took after it was told.
    pub took: Duration,
}

/// What a process has cost so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// CPU time, user and system, in seconds.
    pub cpu: f64,
}

impl Process {
    /// Starts a process whose log goes to `log`, and waits for its `ready` line.
    ///
    /// # Panics
    /// When it ends before or is not ready in time; the end of its log is shown.
    pub async fn start(command: &mut Command, log: &Path) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(READY_WITHIN, stdout.next_line()).await;
        let ready = matches!(&line, Ok(Ok(Some(line))) if line == "ready");
        assert!(ready, "not ready: {line:?}\n{}", tail(log, 40));
        Self { child, pid, log: log.to_owned(), _stdout: stdout }
    }

    /// Kills it with SIGKILL and waits for its end.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub async fn kill9(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When the process is already gone.
    pub fn terminate(&self) {
        kill_process(self.pid, Signal::TERM).unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub async fn stop(mut self, limit: Duration) -> Exit {
        let started = Instant::now();
        self.terminate();
        let status = self.exited(limit).await;
        Exit { status, took: started.elapsed() }
    }

    /// Waits for an end of its own.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub async fn exited(&mut self, limit: Duration) -> ExitStatus {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("still running after {limit:?}\n{}", tail(&self.log, 40)),
        }
    }

    /// Waits until its log holds `text`.
    ///
    /// # Panics
    /// When `limit` passes first.
    pub async fn wait_log(&self, text: &str, limit: Duration) {
        let (changed, mut changes) = watch::channel(());
        let mut watcher = notify::recommended_watcher(move |_| {
            changed.send_replace(());
        })
        .unwrap();
        watcher.watch(&self.log, RecursiveMode::NonRecursive).unwrap();
        let found = async {
            while !String::from_utf8_lossy(&fs::read(&self.log).unwrap()).contains(text) {
                changes.changed().await.unwrap();
            }
        };
        let found = timeout(limit, found).await;
        assert!(found.is_ok(), "{text:?} is not in the log within {limit:?}\n{}", tail(&self.log, 40));
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The file that its log is written to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it and its children cost now.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn usage(&self) -> Usage {
        usage(self.pid())
    }

    /// The process ids of its children (the sandbox).
    #[must_use]
    pub fn children(&self) -> Vec<i32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>()).collect()
    }
}

/// What the process `pid` costs now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn usage(pid: i32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    Usage { rss_kib: rss.trim().trim_end_matches(" kB").parse().unwrap(), cpu: times(pid, 14) }
}

/// What those children of `pid` have cost that it has waited for, in seconds of CPU time.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn reaped(pid: i32) -> f64 {
    times(pid, 16)
}

/// Two of the times of `/proc/PID/stat`, user and system, in seconds. The second field is the name in parentheses, which may
/// hold anything; utime, stime, cutime and cstime are the 14th to 17th (proc(5)).
fn times(pid: i32, first: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u32 = fields[first - 3..first - 1].iter().map(|t| t.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap())
}

/// The last lines of a file.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
