//! `[sandbox]`: the children that look at untrusted bytes.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    thread::available_parallelism,
    time::Duration,
};

use shared::config::Reader;

use super::sections::{bytes, positive};
use crate::{
    auth::evidence::Trust,
    mail::limits::Limits as ParseLimits,
    sandbox::{Budget, Require, SandboxConfig},
};

/// What a child needs beside the mail itself and what is made of it, in bytes.
const BASE: u64 = 96 << 20;
/// How often the mail is in a child's memory at worst: read, decoded, answered.
const COPIES: u64 = 4;

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// How many children there are at most.
    pub processes: NonZeroUsize,
    /// What a child may use for one mail.
    pub budget: Budget,
    /// How much memory a child may map, in bytes.
    pub memory: u64,
    /// After how many mails a child is replaced.
    pub mails_per_child: NonZeroU32,
    /// What the kernel has to give.
    pub require: Require,
}

impl Sandbox {
    /// Reads the section; mails are up to `max_mail` bytes.
    pub(super) fn read(section: &Reader<'_>, max_mail: u64) -> Self {
        let requirements = [("seccomp", Require::Seccomp), ("all", Require::All), ("best_effort", Require::BestEffort)];
        let sandbox = Self {
            processes: section.get_or("processes", available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            budget: Budget {
                wall: positive(section, "wall", Duration::from_secs(10)),
                cpu: positive(section, "cpu", Duration::from_secs(5)),
            },
            memory: bytes(section, "memory", 512 << 20),
            mails_per_child: section.get_or("mails_per_child", NonZeroU32::MIN.saturating_add(999)),
            require: section.one_of_or_first("require", requirements),
        };
        if sandbox.budget.cpu < Duration::from_secs(1) {
            section.reject("cpu", "a child's CPU time is looked at ten times a second; expected at least 1s");
        }
        let least = max_mail.saturating_mul(COPIES).saturating_add(BASE);
        if sandbox.memory < least {
            section.reject("memory", &format!("a mail of limits.max_mail would not fit; expected at least {least}B"));
        }
        sandbox
    }

    /// How the children of `program` are run.
    #[must_use]
    pub fn config(&self, program: PathBuf, limits: ParseLimits) -> SandboxConfig {
        SandboxConfig {
            program,
            processes: self.processes,
            budget: self.budget,
            memory: self.memory,
            recycle_after: self.mails_per_child,
            require: self.require,
            limits,
            trust: Trust::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::config::{Document, Environment};

    use super::*;

    fn read(toml: &str, max_mail: u64) -> Result<Sandbox, String> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let environment = Environment::new("MAILTRI_", &[], std::iter::empty());
        let document = Document::load(Some(file.path()), environment).unwrap();
        let sandbox = Sandbox::read(&document.root().section("sandbox"), max_mail);
        document.finish().map(|_| sandbox).map_err(|errors| errors.to_string())
    }

    #[test]
    fn limits_that_no_child_could_work_under_are_refused_with_what_would_do() {
        let usual = read("", 40_000_000).unwrap();
        assert_eq!((usual.require, usual.memory, usual.mails_per_child.get()), (Require::Seccomp, 512 << 20, 1_000));
        for (key, said) in [
            ("memory = \"128MiB\"", "expected at least 260663296B"),
            ("cpu = \"100ms\"", "expected at least 1s"),
            ("wall = \"0s\"", "expected more than nothing"),
            ("require = \"landlock\"", "expected one of \"seccomp\", \"all\", \"best_effort\""),
            ("mails_per_child = 0", "sandbox.mails_per_child = 0"),
            ("processes = 0", "sandbox.processes = 0"),
        ] {
            let error = read(&format!("[sandbox]\n{key}\n"), 40_000_000).unwrap_err();
            assert!(error.contains(said), "{key}: {error}");
        }
        assert!(read("[sandbox]\nmemory = \"128MiB\"\n", 1_000_000).is_ok());
    }
}
