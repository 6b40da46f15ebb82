//! The server's time told on the caller's clock.
//!
//! A worker waits by its own clock, so a turn is dated by it, whatever it shows: how far it is ahead of the server's is
//! learned from every call, which began before the server read its clock and ended after. What was learned is kept
//! as long as no call contradicts it, so that turns keep their distances exactly.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::clock::Clock;

/// A [`Clock`] tells whole milliseconds, rounded down.
const CLOCK_STEP: i64 = 999;
const MICROS_PER_MILLI: i64 = 1000;

#[derive(Debug)]
pub(super) struct Dating {
    pub(super) clock: Clock,
    /// Microseconds by which the clock is ahead of the server's, once a call was made.
    ahead: Mutex<Option<i64>>,
}

impl Dating {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, ahead: Mutex::default() }
    }

    /// When it is `wait` after the server's `now`, which it read after the clock said `asked`. Microseconds; the
    /// answer to the millisecond, rounded up.
    pub(super) fn date(&self, asked: Timestamp, now: i64, wait: i64) -> Timestamp {
        let ahead = self.learn(asked.as_microsecond() - now, self.clock.now().as_microsecond() + CLOCK_STEP - now);
        let micros = now.saturating_add(wait).saturating_add(ahead);
        let millis = micros.div_euclid(MICROS_PER_MILLI) + i64::from(micros.rem_euclid(MICROS_PER_MILLI) > 0);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// Brings what is known between `least` and `most`.
    fn learn(&self, least: i64, most: i64) -> i64 {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // Should the clock have been set back meanwhile, `most` is below `least` and the newer reading counts.
        let learned = ahead.map_or_else(|| least.midpoint(most), |known| known.max(least).min(most));
        *ahead = Some(learned);
        learned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_a_call_contradicts_it() {
        let dating = Dating::new(Clock::system());
        assert_eq!(dating.learn(0, 10_000), 5000, "the middle at first");
        assert_eq!(dating.learn(-90_000, 90_000), 5000, "a slow call teaches nothing");
        assert_eq!(dating.learn(4900, 5100), 5000);
        assert_eq!(dating.learn(5200, 5400), 5200);
        assert_eq!(dating.learn(4000, 5000), 5000);
        assert_eq!(dating.learn(3_600_000_000, 3_600_001_000), 3_600_000_000, "a clock that was set is followed");
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_told_on_the_callers_clock() {
        let start = Timestamp::from_second(1_000_000_000).unwrap();
        let dating = Dating::new(Clock::starting_at(start));
        // The server's clock shows something else altogether.
        let server = 1_700_000_000_000_000;
        let first = dating.date(start, server, 1_000_000);
        let second = dating.date(start, server + 100, 1_500_000);
        let off = first.as_millisecond() - start.as_millisecond();
        assert!((1000..=1001).contains(&off), "{off}");
        assert_eq!(second.as_millisecond() - first.as_millisecond(), 500);
    }
}
