//! Kernels that lack something, played by a filter that answers as such a kernel does.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use mailtri::sandbox::{Require, Sandbox, SandboxConfig, SandboxError, StartError};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::given::{Named, REAL, WITHOUT_LANDLOCK, WITHOUT_SECCOMP, assert_passes};

/// As the first argument: run the program of the third on, on a kernel without what the second names.
pub(crate) const WITHOUT: &str = "without";
/// What a kernel before 5.13 does not know.
pub(crate) const LANDLOCK: [i64; 3] =
    [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
/// What a kernel before 3.17 does not know.
pub(crate) const SECCOMP: [i64; 1] = [libc::SYS_seccomp];

/// From here on, these calls fail as unknown ones do.
pub(crate) fn take_away(calls: &[i64]) {
    let rules: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

pub(crate) fn become_binary(arguments: &[String]) -> ExitCode {
    take_away(if arguments[0] == "seccomp" { &SECCOMP } else { &LANDLOCK });
    panic!("{}", Command::new(&arguments[1]).args(&arguments[2..]).exec());
}

async fn start(child: &Named, require: Require) -> Result<Sandbox, SandboxError> {
    Sandbox::start(SandboxConfig { require, ..child.config() }).await
}

pub(crate) async fn without_seccomp() {
    let child = Named::new(&format!("{REAL}-{WITHOUT_SECCOMP}"));
    for require in [Require::Seccomp, Require::All] {
        let refused = start(&child, require).await;
        let Err(SandboxError::Spawn(StartError::Unconfined(missing))) = refused else { panic!("{refused:?}") };
        assert!(missing.contains("seccomp"), "{missing}");
    }
    assert_passes(&start(&child, Require::BestEffort).await.unwrap()).await;
}

pub(crate) async fn without_landlock() {
    let child = Named::new(&format!("{REAL}-{WITHOUT_LANDLOCK}"));
    let refused = start(&child, Require::All).await;
    let Err(SandboxError::Spawn(StartError::Unconfined(missing))) = refused else { panic!("{refused:?}") };
    assert_eq!(missing, "landlock_files, landlock_network, landlock_scopes");
    for require in [Require::Seccomp, Require::BestEffort] {
        assert_passes(&start(&child, require).await.unwrap()).await;
    }
}

/// The real program on such kernels: what it logs, and when it does not start.
pub(crate) async fn the_binary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mailtri.toml");
    let run = |lacking: &str, require: &str| {
        std::fs::write(&file, format!("[sandbox]\nrequire = \"{require}\"\n[telemetry]\nformat = \"text\"\n")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([WITHOUT, lacking, env!("CARGO_BIN_EXE_mailtri"), "local", "--config"]).arg(&file);
        command.arg("--data").arg(folder.path().join("data")).stdin(Stdio::null());
        command
    };
    for (lacking, require, missing) in [("seccomp", "seccomp", "seccomp"), ("landlock", "all", "landlock_files")] {
        let output = run(lacking, require).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("sandbox.require") && said.contains(missing), "{said}");
    }
    let mut running = run("landlock", "seccomp").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    let ready = lines.by_ref().map(Result::unwrap).find(|line| line == "ready");
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &rest.join("\n");
    assert!(ready.is_some() && output.status.success(), "{said}");
    assert_eq!(said.matches("missing=landlock_files, landlock_network, landlock_scopes").count(), 1, "{said}");
}
