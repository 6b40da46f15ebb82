//! When a delivery is tried again.

use std::time::Duration;

use rand::{Rng, RngExt};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Standard Webhooks 1.0, "Delivery and retries".
const DEFAULT_SECONDS: [u64; 10] =
    [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// The longest wait before each attempt; there are as many attempts as waits, and never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// A schedule without attempts was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery schedule needs at least one attempt")]
pub struct EmptySchedule;

impl Schedule {
    /// A schedule with these waits, the first of them before the first attempt.
    pub fn new(waits: Vec<Duration>) -> Result<Self, EmptySchedule> {
        if waits.is_empty() { Err(EmptySchedule) } else { Ok(Self(waits)) }
    }

    /// How many attempts there are.
    pub fn attempts(&self) -> usize {
        self.0.len()
    }

    /// The wait before the next attempt when `made` were made, or `None` when there is none left.
    ///
    /// With full jitter: uniform from zero to the scheduled wait, so that deliveries that failed together do not come
    /// back together.
    pub fn delay(&self, made: u32, rng: &mut impl Rng) -> Option<Duration> {
        let longest = *self.0.get(usize::try_from(made).ok()?)?;
        Some(rng.random_range(Duration::ZERO..=longest))
    }
}

impl Default for Schedule {
    /// At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    fn default() -> Self {
        Self(DEFAULT_SECONDS.map(Duration::from_secs).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_default_is_the_standards_ten_attempts_over_three_days() {
        let schedule = Schedule::default();
        assert_eq!(schedule.attempts(), 10);
        let total: Duration = schedule.0.iter().sum();
        assert_eq!(total, Duration::from_secs(75 * HOUR + 35 * MINUTE + 5));
    }

    #[test]
    fn waits_are_uniform_up_to_the_scheduled_one_and_end() {
        let mut rng = StdRng::seed_from_u64(7);
        let schedule = Schedule::default();
        assert_eq!(schedule.delay(0, &mut rng), Some(Duration::ZERO));
        for (made, longest) in DEFAULT_SECONDS.map(Duration::from_secs).into_iter().enumerate().skip(1) {
            let made = u32::try_from(made).unwrap();
            let waits: Vec<_> = (0..2000).map(|_| schedule.delay(made, &mut rng).unwrap()).collect();
            assert!(waits.iter().all(|w| *w <= longest));
            let below = waits.iter().filter(|w| **w < longest / 4).count();
            let above = waits.iter().filter(|w| **w > longest / 4 * 3).count();
            assert!((400..600).contains(&below) && (400..600).contains(&above), "{made}: {below} {above}");
        }
        assert_eq!(schedule.delay(10, &mut rng), None);
        assert_eq!(schedule.delay(u32::MAX, &mut rng), None);
    }

    #[test]
    fn a_schedule_has_an_attempt() {
        assert_eq!(Schedule::new(vec![]), Err(EmptySchedule));
        let once = Schedule::new(vec![Duration::ZERO]).unwrap();
        assert_eq!(once.delay(1, &mut StdRng::seed_from_u64(1)), None);
    }
}
