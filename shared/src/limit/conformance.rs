//! What every [`Limiter`] must do, whichever clock it lives by.
//!
//! Turns are compared with each other, not with a clock of the test's: an implementation may count time on
//! another machine. The cases let little time pass, so that real time serves as well as paused time.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Answer, Charge, Holder, Limiter, OnError, Request, Slot, Turn};

const HOUR: Duration = Duration::from_secs(3600);

/// A limiter under test and its time.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The limiter.
    fn limiter(&self) -> &dyn Limiter;

    /// Lets this much of the limiter's time pass.
    async fn pass(&self, by: Duration);
}

/// A charge of `cost` under `key` at the rate that `rate` spells.
pub fn charge(key: &str, rate: &str, cost: u32) -> Charge {
    Charge::new(key, rate.parse().unwrap(), cost.try_into().unwrap())
}

/// One of `limit` slots under `key`.
pub fn slot(key: &str, limit: u32) -> Slot {
    Slot { key: key.to_owned(), limit: limit.try_into().unwrap(), enforce: true, on_error: OnError::Defer }
}

/// A holder with a long lease.
pub fn holder(id: &str) -> Holder {
    Holder { id: id.to_owned(), lease: HOUR }
}

/// Runs every case.
pub async fn all(subject: &dyn Subject) {
    burst_then_rate(subject).await;
    an_idle_key_regains_its_burst_and_no_more(subject).await;
    reservations_drain_in_order_at_the_rate(subject).await;
    all_or_nothing(subject).await;
    the_latest_turn_counts(subject).await;
    one_key_named_twice_pays_twice(subject).await;
    cost_counts(subject).await;
    a_cost_above_the_burst_waits_for_an_idle_key(subject).await;
    too_late_reserves_nothing(subject).await;
    keys_are_apart(subject).await;
    no_charge_passes(subject).await;
    what_is_not_enforced_only_says_so(subject).await;
    a_trial_changes_nothing(subject).await;
    what_is_forgotten_is_idle(subject).await;
    slots_are_as_many_as_their_limit(subject).await;
    a_slot_comes_back_when_its_lease_runs_out(subject).await;
    a_holder_is_counted_once(subject).await;
    charges_and_slots_are_one_request(subject).await;
    who_finds_no_slot_is_given_a_place(subject).await;
    what_is_known_of_a_line_is_forgotten_with_its_slots(subject).await;
}

/// The keys of one call share a hash tag, for limiters that keep keys apart by it.
fn key(name: &str) -> String {
    format!("{{test}}:{name}-{}", uuid::Uuid::now_v7())
}

async fn acquire(subject: &dyn Subject, charges: &[Charge], longest: Duration) -> Turn {
    subject.limiter().acquire(charges, longest).await.unwrap()
}

async fn reserved(subject: &dyn Subject, charges: &[Charge]) -> Timestamp {
    match acquire(subject, charges, HOUR).await {
        Turn::At(at) => at,
        other => panic!("expected a reserved turn, got {other:?}"),
    }
}

#[track_caller]
fn assert_apart(earlier: Timestamp, later: Timestamp, millis: i64) {
    let apart = later.as_millisecond() - earlier.as_millisecond();
    assert!((apart - millis).abs() <= 1, "{apart} ms apart, expected {millis}");
}

async fn burst_then_rate(subject: &dyn Subject) {
    let one = [charge(&key("burst"), "1/min burst 5", 1)];
    for n in 0..5 {
        assert_eq!(acquire(subject, &one, HOUR).await, Turn::Now, "{n} of the burst");
    }
    let sixth = reserved(subject, &one).await;
    let seventh = reserved(subject, &one).await;
    assert_apart(sixth, seventh, 60_000);
}

async fn an_idle_key_regains_its_burst_and_no_more(subject: &dyn Subject) {
    let one = [charge(&key("regain"), "10/sec burst 2", 1)];
    for _ in 0..2 {
        acquire(subject, &one, HOUR).await;
        subject.pass(Duration::from_millis(450)).await;
    }
    let slow = charge(&one[0].key, "10/hour burst 2", 1);
    // Four units of time have gone by; the burst is two.
    assert_eq!(acquire(subject, &[slow.clone(), slow.clone()], HOUR).await, Turn::Now);
    assert!(matches!(acquire(subject, &[slow], HOUR).await, Turn::At(_)));
}

async fn reservations_drain_in_order_at_the_rate(subject: &dyn Subject) {
    let one = [charge(&key("drain"), "100/sec burst 1", 1)];
    // So much at once that the clock cannot catch up with the turns while they are handed out.
    acquire(subject, &[charge(&one[0].key, "100/sec burst 1", 500)], HOUR).await;
    let first = reserved(subject, &one).await;
    for n in 1..1000 {
        assert_apart(first, reserved(subject, &one).await, n * 10);
    }
}

async fn all_or_nothing(subject: &dyn Subject) {
    let (free, full) = (charge(&key("free"), "1/hour burst 1", 1), charge(&key("full"), "1/hour burst 1", 1));
    assert_eq!(acquire(subject, std::slice::from_ref(&full), Duration::ZERO).await, Turn::Now);
    for both in [[free.clone(), full.clone()], [full.clone(), free.clone()]] {
        assert!(matches!(acquire(subject, &both, Duration::ZERO).await, Turn::TooLate(_)));
    }
    assert_eq!(acquire(subject, &[free], Duration::ZERO).await, Turn::Now, "the free key was not charged");
}

async fn the_latest_turn_counts(subject: &dyn Subject) {
    let (soon, late) = (charge(&key("soon"), "1/sec burst 1", 1), charge(&key("late"), "1/min burst 1", 1));
    let both = [late.clone(), soon.clone()];
    assert_eq!(acquire(subject, &both, HOUR).await, Turn::Now);
    let second = reserved(subject, &both).await;
    let third = reserved(subject, std::slice::from_ref(&late)).await;
    assert_apart(second, third, 60_000);
    // The sooner key was charged as well, in its own time line.
    let own = reserved(subject, &[soon]).await;
    assert!(own < second, "{own} is not before {second}");
}

async fn one_key_named_twice_pays_twice(subject: &dyn Subject) {
    let one = charge(&key("twice"), "1/hour burst 2", 1);
    assert_eq!(acquire(subject, &[one.clone(), one.clone()], HOUR).await, Turn::Now);
    assert!(matches!(acquire(subject, &[one], Duration::ZERO).await, Turn::TooLate(_)));
}

async fn cost_counts(subject: &dyn Subject) {
    let name = key("cost");
    let cost = |n| [charge(&name, "1/min burst 10", n)];
    assert_eq!(acquire(subject, &cost(7), HOUR).await, Turn::Now);
    assert_eq!(acquire(subject, &cost(3), HOUR).await, Turn::Now);
    let five = reserved(subject, &cost(5)).await;
    assert_apart(five, reserved(subject, &cost(2)).await, 120_000);
}

async fn a_cost_above_the_burst_waits_for_an_idle_key(subject: &dyn Subject) {
    let name = key("large");
    let cost = |n| [charge(&name, "1/min burst 2", n)];
    assert_eq!(acquire(subject, &cost(10), HOUR).await, Turn::Now, "an idle key takes it at once");
    let small = reserved(subject, &cost(2)).await;
    let large = reserved(subject, &cost(10)).await;
    // It waits until what was charged before it has drained: the two that pass at their turn, as if by then.
    assert_apart(small, large, 120_000);
    // And pays for itself: the next two pass when it has drained to their burst.
    assert_apart(large, reserved(subject, &cost(2)).await, 600_000);
}

async fn too_late_reserves_nothing(subject: &dyn Subject) {
    let one = [charge(&key("late"), "10/sec burst 1", 1)];
    assert_eq!(acquire(subject, &one, Duration::ZERO).await, Turn::Now);
    let mut told = None;
    for _ in 0..5 {
        match acquire(subject, &one, Duration::ZERO).await {
            Turn::TooLate(when) => told = Some(when).max(told),
            other => panic!("expected too late, got {other:?}"),
        }
    }
    // With a wait allowed, the turn is the very time that the refusals told.
    assert_apart(told.unwrap(), reserved(subject, &one).await, 0);
    subject.pass(Duration::from_millis(201)).await;
    assert_eq!(acquire(subject, &one, Duration::ZERO).await, Turn::Now);
}

async fn keys_are_apart(subject: &dyn Subject) {
    for name in ["a", "b"] {
        let one = [charge(&key(name), "1/hour burst 1", 1)];
        assert_eq!(acquire(subject, &one, Duration::ZERO).await, Turn::Now);
    }
}

async fn no_charge_passes(subject: &dyn Subject) {
    assert_eq!(acquire(subject, &[], Duration::ZERO).await, Turn::Now);
}

async fn ask(subject: &dyn Subject, charges: &[Charge], slots: &[Slot], holder: &Holder) -> Answer {
    subject.limiter().ask(&Request { charges, slots, holder, longest: HOUR, trial: false }).await.unwrap()
}

const fn is_full(turn: Turn) -> bool {
    matches!(turn, Turn::Full(_))
}

async fn what_is_not_enforced_only_says_so(subject: &dyn Subject) {
    let shadow = Charge { enforce: false, ..charge(&key("shadow"), "1/hour burst 2", 1) };
    let other = charge(&key("enforced"), "1/hour burst 4", 1);
    for waits in [false, false, true, true] {
        let answer = ask(subject, &[shadow.clone(), other.clone()], &[], &holder("h")).await;
        assert_eq!((answer.turn, answer.waits[0].is_zero(), answer.waits[1].is_zero()), (Turn::Now, !waits, true));
    }
    // What was over was not charged: the next turn is that of the third unit, not of the fifth.
    let enforced = Charge { enforce: true, ..shadow.clone() };
    let answer = ask(subject, &[enforced], &[], &holder("h")).await;
    assert!(matches!(answer.turn, Turn::At(_)) && answer.waits[0] <= HOUR, "{answer:?}");
    let slot = Slot { enforce: false, ..slot(&key("shadow-slot"), 1) };
    for (id, full) in [("a", false), ("b", true)] {
        let answer = ask(subject, &[], std::slice::from_ref(&slot), &holder(id)).await;
        assert_eq!((answer.turn, answer.full), (Turn::Now, vec![full]));
    }
}

async fn a_trial_changes_nothing(subject: &dyn Subject) {
    let (charges, slots) = ([charge(&key("trial"), "1/hour burst 1", 1)], [slot(&key("trial-slot"), 1)]);
    let holder = holder("h");
    for _ in 0..3 {
        let trial = Request { charges: &charges, slots: &slots, holder: &holder, longest: HOUR, trial: true };
        assert_eq!(subject.limiter().ask(&trial).await.unwrap().turn, Turn::Now);
    }
    assert_eq!(ask(subject, &charges, &slots, &self::holder("other")).await.turn, Turn::Now);
    let trial = Request { charges: &charges, slots: &[], holder: &holder, longest: HOUR, trial: true };
    let told = subject.limiter().ask(&trial).await.unwrap();
    assert!(matches!(told.turn, Turn::At(_)), "{told:?}");
    let trial = Request { charges: &[], slots: &slots, holder: &holder, longest: HOUR, trial: true };
    assert!(is_full(subject.limiter().ask(&trial).await.unwrap().turn));
}

async fn what_is_forgotten_is_idle(subject: &dyn Subject) {
    let (charges, slots) = ([charge(&key("forget"), "1/hour burst 1", 1)], [slot(&key("forget-slot"), 1)]);
    for id in ["a", "b"] {
        assert_eq!(ask(subject, &charges, &slots, &holder(id)).await.turn, Turn::Now, "{id}");
        assert_ne!(ask(subject, &charges, &slots, &holder("c")).await.turn, Turn::Now);
        subject.limiter().forget(&[charges[0].key.clone(), slots[0].key.clone()]).await.unwrap();
    }
}

async fn slots_are_as_many_as_their_limit(subject: &dyn Subject) {
    let slots = [slot(&key("slots"), 2)];
    let keys = [slots[0].key.clone()];
    for id in ["a", "b"] {
        assert_eq!(ask(subject, &[], &slots, &holder(id)).await.turn, Turn::Now);
    }
    assert!(is_full(ask(subject, &[], &slots, &holder("c")).await.turn));
    subject.limiter().release(&keys, &holder("nobody"), HOUR).await.unwrap();
    assert!(is_full(ask(subject, &[], &slots, &holder("c")).await.turn));
    subject.limiter().release(&keys, &holder("a"), HOUR).await.unwrap();
    assert_eq!(ask(subject, &[], &slots, &holder("c")).await.turn, Turn::Now);
    assert!(is_full(ask(subject, &[], &slots, &holder("d")).await.turn));
}

async fn a_slot_comes_back_when_its_lease_runs_out(subject: &dyn Subject) {
    let slots = [slot(&key("lease"), 2)];
    let keys = [slots[0].key.clone()];
    let short = |id: &str| Holder { id: id.to_owned(), lease: Duration::from_millis(300) };
    for id in ["dead", "alive"] {
        assert_eq!(ask(subject, &[], &slots, &short(id)).await.turn, Turn::Now);
    }
    subject.limiter().renew(&keys, &holder("alive")).await.unwrap();
    subject.pass(Duration::from_millis(301)).await;
    assert_eq!(ask(subject, &[], &slots, &holder("next")).await.turn, Turn::Now, "the dead one's");
    assert!(is_full(ask(subject, &[], &slots, &holder("more")).await.turn), "the other one was renewed");
}

async fn a_holder_is_counted_once(subject: &dyn Subject) {
    let slots = [slot(&key("once"), 1)];
    for _ in 0..3 {
        assert_eq!(ask(subject, &[], &slots, &holder("a")).await.turn, Turn::Now);
    }
    assert!(is_full(ask(subject, &[], &slots, &holder("b")).await.turn));
}

async fn charges_and_slots_are_one_request(subject: &dyn Subject) {
    let (charges, slots) = ([charge(&key("one"), "1/hour burst 2", 1)], [slot(&key("one-slot"), 1)]);
    assert_eq!(ask(subject, &charges, &slots, &holder("a")).await.turn, Turn::Now);
    for _ in 0..3 {
        assert!(is_full(ask(subject, &charges, &slots, &holder("b")).await.turn), "and charges nothing");
    }
    subject.limiter().release(&[slots[0].key.clone()], &holder("a"), HOUR).await.unwrap();
    assert_eq!(ask(subject, &charges, &slots, &holder("b")).await.turn, Turn::Now);
    subject.limiter().release(&[slots[0].key.clone()], &holder("b"), HOUR).await.unwrap();
    assert!(matches!(ask(subject, &charges, &slots, &holder("c")).await.turn, Turn::At(_)));
    assert_eq!(ask(subject, &[], &slots, &holder("d")).await.turn, Turn::Now, "who waits for a turn holds no slot");
}

/// Lets one slot be held for so long, or says so, and then every one be taken.
async fn crowd(subject: &dyn Subject, slot: &Slot, held: Duration) {
    let slots = std::slice::from_ref(slot);
    assert_eq!(ask(subject, &[], slots, &holder("before")).await.turn, Turn::Now);
    subject.limiter().release(std::slice::from_ref(&slot.key), &holder("before"), held).await.unwrap();
    for n in 0..slot.limit.get() {
        assert_eq!(ask(subject, &[], slots, &holder(&format!("holder-{n}"))).await.turn, Turn::Now);
    }
}

async fn place(subject: &dyn Subject, slot: &Slot) -> i64 {
    match ask(subject, &[], std::slice::from_ref(slot), &holder("waits")).await.turn {
        Turn::Full(at) => at.as_millisecond(),
        other => panic!("expected a place, got {other:?}"),
    }
}

async fn who_finds_no_slot_is_given_a_place(subject: &dyn Subject) {
    // Rounded.
    let (slots, seconds) = (slot(&key("line"), 2), |from: i64, to: i64| (to - from + 500).div_euclid(1000));
    crowd(subject, &slots, Duration::from_secs(40)).await;
    let holding = holder("trial");
    let trial = Request { trial: true, ..request(std::slice::from_ref(&slots), &holding) };
    let Turn::Full(asked) = subject.limiter().ask(&trial).await.unwrap().turn else { panic!("a place") };
    let first = place(subject, &slots).await;
    // Two slots are back in forty seconds, and four come to them.
    assert_eq!(seconds(asked.as_millisecond(), first), 0, "a trial takes no place");
    for n in 1..6 {
        assert_eq!(seconds(first, place(subject, &slots).await), n * 10);
    }
    // A minute is the end of it: the last quarter of that is shared.
    let shared = place(subject, &slots).await;
    assert_eq!(seconds(first, shared), 35);
    // They were held for five seconds less on average than was known.
    let keys = [slots.key.clone()];
    subject.limiter().release(&keys, &holder("holder-0"), Duration::ZERO).await.unwrap();
    assert_eq!(ask(subject, &[], std::slice::from_ref(&slots), &holder("any")).await.turn, Turn::Now, "whoever comes");
    let apart = place(subject, &slots).await - shared;
    assert!((8_740..=8_760).contains(&apart), "{apart}");
    let other = slot(&key("other-line"), 2);
    crowd(subject, &other, Duration::from_secs(40)).await;
    let both = [slots.clone(), other.clone()];
    let Turn::Full(latest) = ask(subject, &[], &both, &holder("waits")).await.turn else { panic!("a place") };
    // It is in both lines, and comes for the later place: past the first one's end again.
    assert_eq!(seconds(first, latest.as_millisecond()), 35, "{latest}");
    assert_eq!(seconds(first, place(subject, &other).await), 10);
}

async fn what_is_known_of_a_line_is_forgotten_with_its_slots(subject: &dyn Subject) {
    let slots = slot(&key("forget-line"), 1);
    crowd(subject, &slots, Duration::from_secs(20)).await;
    let far = place(subject, &slots).await;
    subject.limiter().forget(std::slice::from_ref(&slots.key)).await.unwrap();
    assert_eq!(ask(subject, &[], std::slice::from_ref(&slots), &holder("h")).await.turn, Turn::Now);
    let near = place(subject, &slots).await;
    assert!(far - near > 5_000, "{far} {near}");
}

fn request<'a>(slots: &'a [Slot], holder: &'a Holder) -> Request<'a> {
    Request { charges: &[], slots, holder, longest: HOUR, trial: false }
}
