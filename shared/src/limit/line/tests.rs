use std::collections::BTreeSet;

use super::*;

const FOUR: NonZeroU32 = NonZeroU32::new(4).unwrap();
const MILLI: u64 = 1000;
/// What an ask takes, and by how much its time is missed.
const ASK: u64 = 4 * MILLI;

/// One after the other, from a small generator that is the same each time.
struct Numbers(u64);

impl Numbers {
    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        least + (self.0 >> 33) % (most - least + 1)
    }
}

/// What became of jobs that came at once.
struct Drained {
    /// The time until the last slot was given back, over that in which the slots could have done it all.
    times: f64,
    /// Places that were given, over the jobs.
    places: f64,
}

/// Lets `jobs` come together and each hold one of four slots for as long as `hold` says at that time.
fn drain(jobs: u64, mut hold: impl FnMut(&mut Numbers, u64) -> u64) -> Drained {
    let (mut numbers, mut line, mut places, mut work) = (Numbers(7), Line::default(), 0_u32, 0);
    let begin = 1_000 * SECOND;
    let mut due: BTreeSet<(u64, u64)> = (0..jobs).map(|job| (begin + job * ASK, job)).collect();
    // Until when, by whom, and since when.
    let mut held: BTreeSet<(u64, u64, u64)> = BTreeSet::new();
    let mut last = begin;
    while let Some((now, job)) = due.pop_first() {
        while let Some((until, _, since)) = held.first().copied().filter(|(until, ..)| *until <= now) {
            held.pop_first();
            line.given_back(Duration::from_micros(until - since), until);
        }
        if held.len() < 4 {
            let lasts = hold(&mut numbers, now - begin);
            work += lasts;
            last = last.max(now + lasts);
            held.insert((now + lasts, job, now));
            line.taken(now);
        } else {
            places += 1;
            due.insert((now + line.place(FOUR, now) + numbers.between(0, 2 * ASK), job));
        }
    }
    let ideal = work as f64 / 4.0;
    Drained { times: (last - begin) as f64 / ideal, places: f64::from(places) / jobs as f64 }
}

fn short(numbers: &mut Numbers) -> u64 {
    numbers.between(50 * MILLI, 200 * MILLI)
}

#[track_caller]
fn assert_within(drained: &Drained, times: f64, places: f64) {
    assert!(drained.times <= times && drained.places <= places, "{} times, {} places", drained.times, drained.places);
}

#[test]
fn a_burst_drains_about_as_fast_as_the_slots_allow_at_two_or_three_places_a_job() {
    assert_within(&drain(300, |numbers, _| short(numbers)), 1.25, 3.0);
    // As many as lie further ahead than a line is long.
    assert_within(&drain(3000, |numbers, _| short(numbers)), 1.15, 6.0);
}

#[test]
fn it_follows_when_slots_are_held_longer_or_shorter_than_they_were() {
    let seconds = |numbers: &mut Numbers| numbers.between(2 * SECOND, 4 * SECOND);
    let longer = drain(150, |numbers, at| if at < 3 * SECOND { short(numbers) } else { seconds(numbers) });
    assert_within(&longer, 1.25, 6.0);
    let shorter = drain(300, |numbers, at| if at < 20 * SECOND { seconds(numbers) } else { short(numbers) });
    assert_within(&shorter, 1.4, 6.0);
    // All slots hang for a minute.
    let stalled =
        drain(
            300,
            |numbers, at| {
                if (5 * SECOND..11 * SECOND / 2).contains(&at) { 65 * SECOND - at } else { short(numbers) }
            },
        );
    assert_within(&stalled, 1.4, 9.0);
}

#[test]
fn one_who_waits_for_long_asks_seldom() {
    let (mut line, begin) = (Line::default(), 1_000 * SECOND);
    let (mut now, mut places) = (begin, 0);
    while now < begin + 600 * SECOND {
        let wait = line.place(NonZeroU32::MIN, now);
        assert!((TERMS.least..=TERMS.farthest.1).contains(&wait), "{wait}");
        now += wait;
        places += 1;
    }
    assert!(places < 100, "{places}");
}

#[test]
fn any_numbers_are_survived() {
    let max = u64::MAX;
    for (tail, hold, moved, now) in [(max, max, max, max), (max, max, 0, 0), (max, 0, max, 1), (0, max, 0, max)] {
        for slots in [NonZeroU32::MIN, NonZeroU32::MAX] {
            let mut line = Line { tail, hold, moved };
            assert!(line.place(slots, now) <= TERMS.farthest.1);
            line.given_back(Duration::MAX, now);
            line.taken(now);
            line.forgotten_at();
        }
    }
    // A clock that was set back by hours does not keep anyone for as long.
    let mut line = Line { tail: 9_000 * SECOND, hold: SECOND, moved: 9_000 * SECOND };
    assert!(line.place(FOUR, 5 * SECOND) <= TERMS.farthest.0);
}
