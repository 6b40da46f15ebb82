//! Ordinary mail passes: generated in the styles of many producers, and the samples that standards print.

use std::env;

use rand::{SeedableRng, rngs::StdRng};
use shared::pii::Pii;

use super::producers::{PRODUCERS, Producer};
use crate::{
    admission::{Admission, Stop},
    jobs::SmtpEnvelope,
    mail::{limits::Limits, model::FindingCode, parse::parse},
    settings::Settings,
};

/// Own domains, some of them near to what the generator writes as senders'.
const ACCEPTED: &str =
    "example.org,acme.test,modern-mail.example,corner.example,bell.example,wool.example,claim.example";

pub(super) fn admission() -> Admission {
    let variables = [("MAILTRI_RECIPIENTS__ACCEPTED".to_owned(), ACCEPTED.to_owned())];
    Admission::new(&Settings::load(None, variables.into_iter()).unwrap().0)
}

pub(super) fn stopped(admission: &Admission, raw: &[u8]) -> (Option<Stop>, Vec<FindingCode>) {
    let envelope = SmtpEnvelope { from: None, to: vec![Pii::new("desk@example.org".to_owned())] };
    let arrival = admission.arrive("default", envelope, None);
    let mut mail = parse(raw, &Limits::default(), &arrival.envelope.to).unwrap();
    let stop = admission.rule("default", &arrival, &mut mail).or_else(|| admission.verify("default", &mut mail));
    (stop, mail.tags)
}

#[test]
fn no_more_than_one_in_a_thousand_ordinary_mails_is_stopped() {
    let count = if env::var_os("SOAK").is_some_and(|value| value == "1") { 10_000 } else { 1_000 };
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x6d61_696c);
    let (mut rng, admission) = (StdRng::seed_from_u64(seed), admission());
    let (mut wrong, mut tagged) = (Vec::new(), 0);
    for (name, producer) in PRODUCERS.iter().cycle().take(count) {
        let raw = producer(&mut rng);
        let (stop, tags) = stopped(&admission, &raw);
        tagged += usize::from(!tags.is_empty());
        wrong.extend(stop.map(|stop| format!("{name}: {stop:?}\n{}", String::from_utf8_lossy(&raw))));
    }
    eprintln!("SEED={seed}: of {count} ordinary mails {} stopped, {tagged} tagged", wrong.len());
    assert!(wrong.len() * 1_000 <= count, "{} of {count} stopped, such as {}", wrong.len(), wrong[0]);
    assert!(tagged * 100 <= count, "{tagged} of {count} tagged");
}

/// Shapes that programs send day by day, `=== what it is: the tags it gets` above each; all of them get through.
#[test]
fn the_shapes_of_everyday_mail_pass_with_the_tags_that_they_deserve() {
    let shapes = include_str!("../../../tests/fixtures/ordinary.txt");
    let admission = admission();
    let mut count = 0;
    for shape in shapes.split("=== ").skip(1) {
        let (head, mail) = shape.split_once('\n').unwrap();
        let (name, expected) = head.split_once(':').unwrap();
        let (stop, tags) = stopped(&admission, mail.replace('\n', "\r\n").as_bytes());
        assert!(stop.is_none(), "{name}: {stop:?}");
        let tags: Vec<String> = tags.into_iter().map(FindingCode::name).collect();
        assert_eq!(tags, expected.split_whitespace().collect::<Vec<_>>(), "{name}");
        count += 1;
    }
    assert!(count > 80, "{count}");
}

/// The generator makes what it says: different mails of each producer, each a whole one.
#[test]
fn the_producers_differ_and_their_mails_are_whole() {
    let mut rng = StdRng::seed_from_u64(1);
    for (name, producer) in &PRODUCERS {
        let producer: &Producer = producer;
        let (one, other) = (producer(&mut rng), producer(&mut rng));
        assert_ne!(one, other, "{name}");
        let mail = parse(&one, &Limits::default(), &[]).unwrap();
        assert!(!mail.from.is_empty() && mail.date.is_some() && !mail.parts.is_empty(), "{name}");
    }
}
