//! What a child takes from itself before the first byte of a mail: network, files, new processes.
//!
//! Two locks that do not rely on each other: the system call filter (`seccomp`) ends a child that as much as
//! tries, and Landlock (`landlock`) refuses in the kernel what the filter might have missed. What could not be
//! put in force is reported to the parent, which decides ([`Require`]); nothing is assumed. Limits of memory and
//! CPU time are set and kept by the parent (`usage`).

mod landlock;
mod seccomp;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// How much stack the child may use, in bytes, whatever it inherited.
const STACK: u64 = 8 * 1024 * 1024;

/// What is in force in a child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockdown {
    /// The system call filter.
    pub seccomp: bool,
    /// The version of Landlock's interface; 0 where there is none.
    pub landlock: u8,
    /// No open files beyond those that it has, no new processes, no written files, no core dumps, a bounded stack.
    pub rlimits: bool,
    /// Other processes of the same user can neither trace it nor read its memory.
    pub undumpable: bool,
}

/// One of the restrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    /// Its name, as in logs and as a metric label.
    pub name: &'static str,
    /// Whether it is in force.
    pub is_on: bool,
}

/// What has to be in force before a child gets a mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Require {
    /// The system call filter: it denies network, files and processes by itself, and Linux has had it since 3.17.
    #[default]
    Seccomp,
    /// Everything: needs Linux 6.12 for Landlock's latest parts.
    All,
    /// Whatever there is.
    BestEffort,
}

impl Lockdown {
    /// Locks the process down, as far as the kernel lets it. Needs to be called before any thread is started.
    #[must_use]
    pub fn apply() -> Self {
        // Where the kernel keeps its clocks is found out by a call that the filter forbids, the first time that one is read.
        let _ = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let undumpable = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
        // It needs a file descriptor for a moment; the limits leave none.
        let landlock = landlock::apply();
        let rlimits = limit_resources().is_ok();
        // Last: it forbids all of the above.
        Self { seccomp: seccomp::apply().is_ok(), landlock, rlimits, undumpable }
    }

    /// Every restriction. Landlock's parts by the version that brought them: files with 1, TCP with 4, signals and
    /// abstract sockets with 6 (landlock(7)).
    #[must_use]
    pub fn restrictions(&self) -> [Restriction; 6] {
        let on = |name, is_on| Restriction { name, is_on };
        [
            on("seccomp", self.seccomp),
            on("landlock_files", self.landlock >= 1),
            on("landlock_network", self.landlock >= 4),
            on("landlock_scopes", self.landlock >= 6),
            on("rlimits", self.rlimits),
            on("undumpable", self.undumpable),
        ]
    }

    /// The names of what is not in force, separated by commas; empty where all is.
    #[must_use]
    pub fn missing(&self) -> String {
        let missing = self.restrictions().into_iter().filter(|restriction| !restriction.is_on);
        missing.map(|restriction| restriction.name).collect::<Vec<_>>().join(", ")
    }
}

impl Require {
    /// Whether a child that is locked down like this may get a mail.
    #[must_use]
    pub fn is_met_by(self, lockdown: &Lockdown) -> bool {
        match self {
            Self::Seccomp => lockdown.seccomp,
            Self::All => lockdown.restrictions().iter().all(|restriction| restriction.is_on),
            Self::BestEffort => true,
        }
    }
}

fn limit_resources() -> rustix::io::Result<()> {
    for resource in [Resource::Nofile, Resource::Nproc, Resource::Fsize, Resource::Core] {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    setrlimit(Resource::Stack, at_most(Resource::Stack, STACK))
}

/// A limit for this process or its child, which is never above the one that is there.
pub(super) fn at_most(resource: Resource, value: u64) -> Rlimit {
    let value = getrlimit(resource).maximum.map_or(value, |there| there.min(value));
    Rlimit { current: Some(value), maximum: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Lockdown = Lockdown { seccomp: true, landlock: 6, rlimits: true, undumpable: true };

    #[test]
    fn what_is_missing_is_named_and_what_is_required_decides() {
        let met = |lockdown: &Lockdown| {
            [Require::Seccomp, Require::All, Require::BestEffort].map(|require| require.is_met_by(lockdown))
        };
        assert_eq!((met(&FULL), &*FULL.missing()), ([true, true, true], ""));
        let old = Lockdown { landlock: 3, ..FULL };
        assert_eq!((met(&old), &*old.missing()), ([true, false, true], "landlock_network, landlock_scopes"));
        let unfiltered = Lockdown { seccomp: false, ..FULL };
        assert_eq!((met(&unfiltered), &*unfiltered.missing()), ([false, false, true], "seccomp"));
        let none = Lockdown::default();
        assert_eq!(met(&none), [false, false, true]);
        assert_eq!(none.missing().split(", ").count(), none.restrictions().len());
    }
}
