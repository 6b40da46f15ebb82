//! What a child costs, as the kernel counts it, and the limits that the parent sets.
//!
//! The limits are set from outside (`prlimit`), so that a child has no say in them: memory, and the CPU time of its
//! whole life. The latter ends a child even when its parent is gone; the parent itself keeps the far smaller limit
//! of each attempt by looking at the child now and then.

use std::time::Duration;

use rustix::process::{Pid, Resource, prlimit};
use tokio::time::{MissedTickBehavior, interval};

use super::budget::Budget;
use super::death::Death;
use super::lockdown::at_most;

/// How often a child at work is looked at; most mails are done before the first time.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How much more CPU time than usual a task may ask for.
pub(super) const MOST_CPU: u32 = 4;

/// What a process costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time since it started.
    pub(super) cpu: Duration,
    /// Resident memory, in bytes.
    pub(super) rss: u64,
}

impl Usage {
    /// What the process costs now. `None` where it has ended or `/proc` does not tell.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::read(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads `/proc/PID/stat`: utime and stime are the 14th and 15th field in clock ticks, rss the 24th in pages
    /// (proc_pid_stat(5)). The second is a name in parentheses, which may hold anything.
    fn read(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        let cpu = Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second());
        Some(Self { cpu, rss: field(24)? * rustix::param::page_size() as u64 })
    }
}

/// How much CPU time a child gets in its whole life.
pub(super) fn life(usual: Budget) -> Duration {
    usual.cpu * MOST_CPU * 3 + Duration::from_secs(60)
}

/// Sets the limits of a child.
///
/// # Errors
/// What the kernel answers.
pub(super) fn limit(pid: u32, memory: u64, usual: Budget) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
    for (resource, value) in [(Resource::As, memory), (Resource::Cpu, life(usual).as_secs())] {
        prlimit(Some(pid), resource, at_most(resource, value))?;
    }
    Ok(())
}

/// Waits until an attempt costs more than it may.
///
/// A child has one thread, so that by the first look it cannot have used more than one tick: that much is charged.
pub(super) async fn exceeded(pid: u32, budget: Budget, memory: u64) -> Death {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut first = None;
    loop {
        ticks.tick().await;
        // A child that has ended is noticed by its pipe.
        let Some(now) = Usage::of(pid) else { continue };
        let since = now.cpu.saturating_sub(*first.get_or_insert(now.cpu));
        if since + TICK > budget.cpu {
            return Death::CpuLimit;
        }
        if now.rss > memory {
            return Death::MemoryLimit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read_whatever_the_name_is() {
        let line = "12 (a) b 7) R 1 1 1 0 -1 0 1 0 0 0 150 50 0 0 20 0 1 0 9 999 25 0";
        let per_second = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_millis(200_000 / per_second);
        assert_eq!(Usage::read(line), Some(Usage { cpu, rss: 25 * rustix::param::page_size() as u64 }));
        assert_eq!(Usage::read("12 (a) R 1 1"), None);
        assert_eq!(Usage::read(""), None);
        let this = Usage::of(std::process::id()).unwrap();
        assert!(this.rss > 1 << 20, "{this:?}");
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
