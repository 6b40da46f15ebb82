use async_trait::async_trait;
use jiff::Timestamp;

use super::*;
use crate::limit::conformance::{charge, holder, slot};

const HOUR: Duration = Duration::from_secs(3600);
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Dead;

#[async_trait]
impl Limiter for Dead {
    async fn ask(&self, _: &Request<'_>) -> Result<Answer, LimitError> {
        Err(LimitError("dead".into()))
    }

    async fn renew(&self, _: &[String], _: &Holder) -> Result<(), LimitError> {
        Err(LimitError("dead".into()))
    }

    async fn release(&self, _: &[String], _: &Holder, _: Duration) -> Result<(), LimitError> {
        Err(LimitError("dead".into()))
    }

    async fn forget(&self, _: &[String]) -> Result<(), LimitError> {
        Err(LimitError("dead".into()))
    }
}

fn clock() -> Clock {
    Clock::starting_at(Timestamp::UNIX_EPOCH)
}

fn dead() -> Guarded {
    Guarded::new(Arc::new(Dead), clock(), WAIT)
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn local(percent: u32) -> OnError {
    OnError::Local(Share::percent(percent).unwrap())
}

async fn ask(guarded: &Guarded, charges: &[Charge], slots: &[Slot], id: &str) -> (Answer, Source) {
    guarded.ask(&Request { charges, slots, holder: &holder(id), longest: HOUR, trial: false }).await
}

async fn turn(guarded: &Guarded, charges: &[Charge]) -> Turn {
    ask(guarded, charges, &[], "a").await.0.turn
}

#[tokio::test(start_paused = true)]
async fn a_limiter_that_answers_decides() {
    let guarded = Guarded::new(Arc::new(LocalLimiter::new(clock())), clock(), WAIT);
    let one = [Charge { on_error: OnError::Allow, ..charge("k", "1/sec burst 1", 1) }];
    assert_eq!(ask(&guarded, &one, &[], "a").await.1, Source::Limiter);
    assert_eq!(turn(&guarded, &one).await, Turn::At(seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn each_part_falls_back_as_it_says() {
    let guarded = dead();
    let with = |on_error| Charge { on_error, ..charge("k", "1/hour burst 1", 1) };
    for _ in 0..10 {
        assert_eq!(turn(&guarded, &[with(OnError::Allow)]).await, Turn::Now, "waived");
    }
    assert_eq!(turn(&guarded, &[with(OnError::Defer)]).await, Turn::TooLate(seconds(5)), "waited for");
    let both = [with(OnError::Allow), with(local(100))];
    assert_eq!(turn(&guarded, &both).await, Turn::Now, "kept here");
    let (answer, source) = ask(&guarded, &both, &[], "a").await;
    assert_eq!(
        (answer.turn, answer.waits, source),
        (Turn::At(seconds(3600)), vec![Duration::ZERO, HOUR], Source::Fallback)
    );
    assert_eq!(turn(&guarded, &[with(local(100)), with(OnError::Defer)]).await, Turn::TooLate(seconds(5)));
    let shadow = Charge { enforce: false, ..with(OnError::Defer) };
    assert_eq!(turn(&guarded, &[shadow]).await, Turn::Now, "what only counts stops nobody");
}

#[tokio::test(start_paused = true)]
async fn local_keeps_a_share() {
    let guarded = dead();
    let one = [Charge { on_error: local(25), ..charge("k", "4/sec burst 8", 1) }];
    for _ in 0..2 {
        assert_eq!(turn(&guarded, &one).await, Turn::Now, "a quarter of the burst");
    }
    for n in 1..5 {
        assert_eq!(turn(&guarded, &one).await, Turn::At(seconds(n)), "a quarter of the rate");
    }
}

#[tokio::test(start_paused = true)]
async fn slots_fall_back_too_and_go_back_to_where_they_came_from() {
    let guarded = dead();
    let slots = [Slot { on_error: local(50), ..slot("s", 4) }];
    for id in ["a", "b"] {
        assert_eq!(ask(&guarded, &[], &slots, id).await.0.turn, Turn::Now);
    }
    assert_eq!(ask(&guarded, &[], &slots, "c").await.0.turn, Turn::Full(millis(50)), "half of the slots");
    let key = [slots[0].key.clone()];
    assert!(guarded.release(Source::Limiter, &key, &holder("a"), WAIT).await.is_err());
    guarded.release(Source::Fallback, &key, &holder("a"), WAIT).await.unwrap();
    assert_eq!(ask(&guarded, &[], &slots, "c").await.0.turn, Turn::Now);
}

#[test]
fn shares_are_exact_and_never_nothing() {
    let rate: Rate = "7/sec burst 2".parse().unwrap();
    assert_eq!(Share::WHOLE.of(&rate), rate);
    let hundredth = Share::percent(1).unwrap().of(&rate);
    assert_eq!(hundredth, Rate { per: Duration::from_secs(100), burst: NonZeroU32::MIN, ..rate });
    assert_eq!((Share::percent(0), Share::percent(101)), (None, None));
}
