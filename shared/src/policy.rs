//! How a stage is run: checked when compiled for the built-in table, and by the same function at start for
//! what the configuration overrides.

use std::time::Duration;

use crate::queue::MAX_VISIBILITY;

/// How often a queue may hand out one message before it moves it to the dead-letter queue by itself: the backstop
/// for messages that kill their worker before it can count. Well above what [`Policy::check`] lets the runner use.
pub const MAX_RECEIVES: u32 = 20;

/// How long to wait before another attempt: doubling from `first` up to `longest`, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failed` failed attempts (1 or more), between half of and the whole doubled time;
    /// `jitter` in 0..1 places it.
    pub fn delay(&self, failed: u32, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.longest);
        doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

/// Lets a stage choose its visibility from how long its runs take: see [`crate::visibility`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoVisibility {
    /// Never shorter than this.
    pub least: Duration,
    /// Never longer than this.
    pub most: Duration,
}

/// How a stage is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a received job stays invisible to other workers without a heartbeat; with `visibility_auto`, as long as
    /// too few runs are known.
    pub visibility: Duration,
    /// The bounds within which the runner chooses the visibility itself.
    pub visibility_auto: Option<AutoVisibility>,
    /// How often the lease is extended while the job makes progress: at least this often, as a chosen visibility is also
    /// extended after a third of it.
    pub heartbeat: Duration,
    /// How long a job may be silent before its lease is no longer extended.
    pub progress: Duration,
    /// How long one run may take.
    pub deadline: Duration,
    /// Jobs that run at once in one process.
    pub concurrency: usize,
    /// Runs that may fail before the job is dead-lettered.
    pub max_attempts: u32,
    /// Times a job may take its worker down with it before it is dead-lettered as `worker_died`.
    pub max_crashes: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long a job may wait at this stage, deferrals included, before it is dead-lettered as `expired`.
    pub max_age: Duration,
}

/// A policy that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {rule}")]
pub struct PolicyError {
    /// The field.
    pub key: &'static str,
    /// What would be right.
    pub rule: &'static str,
}

impl Policy {
    /// Checks the policy.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub const fn check(&self) -> Result<(), PolicyError> {
        let AutoVisibility { least, most } = match self.visibility_auto {
            Some(bounds) => bounds,
            None => AutoVisibility { least: self.visibility, most: self.visibility },
        };
        let rules = [
            (1 <= self.concurrency && self.concurrency <= 1000, "concurrency", "must be from 1 to 1000"),
            (self.visibility.as_millis() >= 1000, "visibility", "must be at least 1s"),
            (self.visibility.as_millis() <= MAX_VISIBILITY.as_millis() / 2, "visibility", "must be at most 6h"),
            (least.as_millis() >= 1000, "visibility_least", "must be at least 1s"),
            (
                least.as_millis() <= self.visibility.as_millis(),
                "visibility_least",
                "must be at most the visibility that holds without data",
            ),
            (
                self.visibility.as_millis() <= most.as_millis(),
                "visibility_most",
                "must be at least the visibility that holds without data",
            ),
            (most.as_millis() <= MAX_VISIBILITY.as_millis() / 2, "visibility_most", "must be at most 6h"),
            (self.heartbeat.as_millis() >= 100, "heartbeat", "must be at least 100ms"),
            (
                self.heartbeat.as_millis() * 2 <= self.visibility.as_millis(),
                "heartbeat",
                "must be at most half the visibility, so that a lost heartbeat does not lose the lease",
            ),
            (self.progress.as_millis() >= self.heartbeat.as_millis(), "progress", "must be at least the heartbeat"),
            (self.deadline.as_millis() >= 100, "deadline", "must be at least 100ms"),
            (
                self.deadline.as_millis() + most.as_millis() <= MAX_VISIBILITY.as_millis(),
                "deadline",
                "must be, together with the longest visibility, at most 12h (the queue's limit)",
            ),
            (1 <= self.max_attempts && self.max_attempts <= 100, "max_attempts", "must be from 1 to 100"),
            (
                1 <= self.max_crashes && self.max_crashes <= MAX_RECEIVES / 2,
                "max_crashes",
                "must be from 1 to 10 (half of what the queue itself allows)",
            ),
            (
                self.backoff.first.as_millis() <= self.backoff.longest.as_millis(),
                "backoff_first",
                "must be at most backoff_longest",
            ),
            (self.max_age.as_millis() >= self.deadline.as_millis(), "max_age", "must be at least the deadline"),
        ];
        let mut i = 0;
        while i < rules.len() {
            if !rules[i].0 {
                return Err(PolicyError { key: rules[i].1, rule: rules[i].2 });
            }
            i += 1;
        }
        Ok(())
    }

    /// The policy itself, for `const` tables: one that breaks a rule does not compile.
    ///
    /// ```compile_fail
    /// use std::time::Duration;
    /// use shared::policy::{Backoff, Policy};
    ///
    /// const S: Duration = Duration::from_secs(1);
    /// const LONG_HEARTBEAT: Policy = Policy {
    ///     visibility: S, visibility_auto: None, heartbeat: S, progress: S, deadline: S, concurrency: 1, max_attempts: 1,
    ///     max_crashes: 1, backoff: Backoff { first: S, longest: S }, max_age: S,
    /// }
    /// .checked();
    /// println!("{LONG_HEARTBEAT:?}");
    /// ```
    ///
    /// # Panics
    /// When it breaks a rule; in a `const`, that is a compile error.
    #[must_use]
    #[expect(clippy::panic, reason = "evaluated by the compiler")]
    pub const fn checked(self) -> Self {
        match self.check() {
            Ok(()) => self,
            Err(error) => panic!("{}", error.rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn good() -> Policy {
        Policy {
            visibility: 30 * S,
            visibility_auto: None,
            heartbeat: 10 * S,
            progress: 20 * S,
            deadline: 60 * S,
            concurrency: 8,
            max_attempts: 5,
            max_crashes: 5,
            backoff: Backoff { first: S, longest: 60 * S },
            max_age: 3600 * S,
        }
    }

    #[test]
    fn each_rule_names_its_key() {
        assert_eq!(good().check(), Ok(()));
        let auto = |least, most| Some(AutoVisibility { least, most });
        assert_eq!(Policy { visibility_auto: auto(S, 3600 * S), ..good() }.check(), Ok(()));
        let cases: [(&str, Policy); 13] = [
            ("concurrency", Policy { concurrency: 0, ..good() }),
            ("visibility", Policy { visibility: 7 * 3600 * S, ..good() }),
            ("visibility_least", Policy { visibility_auto: auto(S / 2, 60 * S), ..good() }),
            ("visibility_least", Policy { visibility_auto: auto(31 * S, 60 * S), ..good() }),
            ("visibility_most", Policy { visibility_auto: auto(S, 29 * S), ..good() }),
            ("visibility_most", Policy { visibility_auto: auto(S, 7 * 3600 * S), ..good() }),
            ("heartbeat", Policy { heartbeat: 16 * S, ..good() }),
            ("progress", Policy { progress: 9 * S, ..good() }),
            ("deadline", Policy { deadline: 12 * 3600 * S, ..good() }),
            ("deadline", Policy { deadline: 7 * 3600 * S, visibility_auto: auto(S, 6 * 3600 * S), ..good() }),
            ("max_crashes", Policy { max_crashes: MAX_RECEIVES, ..good() }),
            ("backoff_first", Policy { backoff: Backoff { first: 61 * S, longest: 60 * S }, ..good() }),
            ("max_age", Policy { max_age: 59 * S, ..good() }),
        ];
        for (key, policy) in cases {
            assert_eq!(policy.check().map_err(|e| e.key), Err(key));
        }
    }

    #[test]
    fn backoff_doubles_up_to_the_longest_and_jitters_in_the_upper_half() {
        let backoff = good().backoff;
        assert_eq!(backoff.delay(1, 1.0), S);
        assert_eq!(backoff.delay(3, 1.0), 4 * S);
        assert_eq!(backoff.delay(3, 0.0), 2 * S);
        assert_eq!(backoff.delay(60, 1.0), 60 * S);
    }
}
