//! What the tests start from: sandboxes of this binary, mails, and what came of them.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mailtri::mail::model::ParsedMail;
use mailtri::mail::parse::Refusal;
use mailtri::sandbox::{Death, Sandbox, SandboxConfig, SandboxError};
use shared::pii::Pii;
use tempfile::TempDir;

/// A child called by this name is the one that the program has.
pub(crate) const REAL: &str = "real-child";
/// A child whose name holds this finds no Landlock in the kernel.
pub(crate) const WITHOUT_LANDLOCK: &str = "without-landlock";
/// A child whose name holds this finds no system call filter in the kernel.
pub(crate) const WITHOUT_SECCOMP: &str = "without-seccomp";

pub(crate) type Answer = Result<ParsedMail, Refusal>;

/// Two children of this binary, which do what mails tell them.
pub(crate) fn config() -> SandboxConfig {
    let mut config = SandboxConfig::new(std::env::current_exe().unwrap());
    config.processes = NonZeroUsize::new(2).unwrap();
    config
}

pub(crate) async fn sandbox() -> Sandbox {
    Sandbox::start(config()).await.unwrap()
}

/// A folder with this binary under another name, which says what kind of child it is.
pub(crate) struct Named(TempDir, PathBuf);

impl Named {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &path).unwrap();
        Self(folder, path)
    }

    pub(crate) fn config(&self) -> SandboxConfig {
        SandboxConfig { program: self.1.clone(), ..config() }
    }

    pub(crate) async fn sandbox(&self) -> Sandbox {
        Sandbox::start(self.config()).await.unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// A mail that is told by its first line what its child is to do.
pub(crate) fn mail(first: &str) -> Bytes {
    let rest = "From: Ann <ann@a.example>\nSubject: Hi\n\nhello\n";
    Bytes::from(if first.is_empty() { rest.to_owned() } else { format!("{first}\n{rest}") })
}

pub(crate) async fn send(sandbox: &Sandbox, raw: Bytes) -> Result<Answer, SandboxError> {
    sandbox.parse(raw, vec![Pii::new("task+x@b.example".to_owned())]).await
}

pub(crate) async fn assert_passes(sandbox: &Sandbox) {
    let answer = send(sandbox, mail("")).await.unwrap();
    assert!(matches!(answer, Ok(mail) if mail.text.as_ref().unwrap().expose() == "hello\n"));
}

/// How both attempts at a mail end.
pub(crate) async fn deaths(sandbox: &Sandbox, first: &str) -> (Death, Death) {
    match send(sandbox, mail(first)).await {
        Err(SandboxError::Poisoned { first, second }) => (first, second),
        other => panic!("{other:?}"),
    }
}

/// What a child that does as it is told has to say about it.
pub(crate) async fn told(sandbox: &Sandbox, first: &str) -> String {
    send(sandbox, mail(first)).await.unwrap().unwrap().subject.unwrap().into_inner()
}
