//! What the receiver was told to expect, what arrived, and what follows from comparing the two.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::mails::Mail;

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// At once, with this status.
    Status(u16),
    /// With a redirect to the path `/elsewhere` of the same receiver.
    Redirect,
    /// With 200, after a while.
    Slow(Duration),
    /// Never.
    Hang,
}

impl Answer {
    /// The status that will be sent, if any.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::Redirect => Some(302),
            Self::Slow(_) => Some(200),
            Self::Hang => None,
        }
    }
}

/// A request whose signature was verified.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When it was read.
    pub at: Instant,
    /// The path that it was sent to.
    pub path: String,
    /// Its `webhook-id`.
    pub id: String,
    /// `data.raw.sha256`.
    pub sha256: String,
    /// SHA-256 of the body without its timestamp, which a retry may change.
    pub body: [u8; 32],
    /// How it was answered.
    pub answer: Answer,
    /// The body.
    pub payload: Value,
}

impl Arrival {
    /// Whether the receiver took it, so that it counts as delivered.
    #[must_use]
    pub fn taken(&self) -> bool {
        self.answer.status().is_some_and(|s| (200..300).contains(&s))
    }
}

/// A mail that has to arrive at a path, and text that its payload has to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Obligation {
    pub(super) path: String,
    pub(super) sha256: String,
    pub(super) marker: String,
}

impl Obligation {
    pub(super) fn of(path: &str, mail: &Mail) -> Self {
        Self { path: path.to_owned(), sha256: mail.sha256(), marker: mail.marker.clone() }
    }

    fn entry(&self) -> ((&str, &str), &str) {
        ((&self.path, &self.sha256), &self.marker)
    }
}

/// Everything that the receiver knows.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) obligations: BTreeSet<Obligation>,
    /// May arrive, and need not: its receiver refuses it for good.
    pub(super) allowed: BTreeSet<Obligation>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) unverified: Vec<String>,
    pub(super) plans: HashMap<String, (VecDeque<Answer>, Option<Answer>)>,
}

/// What comparing obligations and arrivals came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Obligations that were met.
    pub delivered: usize,
    /// Obligations that were not: path and SHA-256 of the raw mail.
    pub lost: Vec<String>,
    /// Arrivals that nobody submitted.
    pub invented: Vec<String>,
    /// Arrivals whose body is not that of their mail, or differs from an earlier one under the same `webhook-id`.
    pub altered: Vec<String>,
    /// Arrivals taken beyond the first, of one mail at one path.
    pub duplicates: usize,
    /// Mails that were taken under more than one `webhook-id` at one path: duplicates that a receiver cannot tell.
    pub split: Vec<String>,
    /// Requests whose signature did not verify.
    pub unverified: Vec<String>,
}

impl Report {
    /// Nothing lost, invented, altered, unverified; duplicates, if any, all under one `webhook-id`.
    ///
    /// # Panics
    /// When that is not so.
    pub fn assert_sound(&self) {
        let sound = self.lost.is_empty()
            && self.invented.is_empty()
            && self.altered.is_empty()
            && self.split.is_empty()
            && self.unverified.is_empty();
        assert!(sound, "{self}\n{self:#?}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} delivered, {} lost, {} invented, {} altered, {} unverified; {} duplicates, {} under another webhook-id",
            self.delivered,
            self.lost.len(),
            self.invented.len(),
            self.altered.len(),
            self.unverified.len(),
            self.duplicates,
            self.split.len(),
        )
    }
}

impl Book {
    /// Every request whose signature was verified, in the order of arrival.
    #[must_use]
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// Whether every obligation was met.
    #[must_use]
    pub fn complete(&self) -> bool {
        let taken: BTreeSet<_> = self.arrivals.iter().filter(|a| a.taken()).map(key).collect();
        self.obligations.iter().all(|o| taken.contains(&(o.path.as_str(), o.sha256.as_str())))
    }

    /// The answer to the next request at `path`.
    pub(super) fn answer(&mut self, path: &str) -> Answer {
        let plan = self.plans.get_mut(path).and_then(|(first, then)| first.pop_front().or(*then));
        plan.unwrap_or(Answer::Status(200))
    }

    /// Compares.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { unverified: self.unverified.clone(), ..Report::default() };
        let expected: BTreeMap<_, _> = self.obligations.iter().map(Obligation::entry).collect();
        let known: BTreeMap<_, _> = self.allowed.iter().chain(&self.obligations).map(Obligation::entry).collect();
        let mut bodies: BTreeMap<&str, (&str, &str, [u8; 32])> = BTreeMap::new();
        let mut ids: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for arrival in &self.arrivals {
            let told = format!("{} {} {}", arrival.path, arrival.sha256, arrival.id);
            match known.get(&key(arrival)) {
                None => report.invented.push(told.clone()),
                Some(marker) if !arrival.payload.to_string().contains(marker) => report.altered.push(told.clone()),
                Some(_) => {}
            }
            let body = (arrival.path.as_str(), arrival.sha256.as_str(), arrival.body);
            if *bodies.entry(&arrival.id).or_insert(body) != body {
                report.altered.push(told);
            }
            if arrival.taken() {
                ids.entry(key(arrival)).or_default().push(&arrival.id);
            }
        }
        report.delivered = expected.keys().filter(|k| ids.contains_key(*k)).count();
        report.lost = expected.keys().filter(|k| !ids.contains_key(*k)).map(|(p, s)| format!("{p} {s}")).collect();
        report.duplicates = ids.values().map(|i| i.len() - 1).sum();
        report.split =
            ids.iter().filter(|(_, i)| i.iter().any(|id| *id != i[0])).map(|(k, _)| format!("{k:?}")).collect();
        report
    }
}

fn key(arrival: &Arrival) -> (&str, &str) {
    (&arrival.path, &arrival.sha256)
}

/// The SHA-256 of a body without its timestamp. Keys are sorted, so that only the content counts.
pub(super) fn body_hash(payload: &Value) -> [u8; 32] {
    let mut payload = payload.clone();
    if let Some(object) = payload.as_object_mut() {
        object.remove("timestamp");
    }
    Sha256::digest(payload.to_string()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrival(id: &str, sha256: &str, text: &str, answer: Answer) -> Arrival {
        let payload = json!({"timestamp": id, "data": {"text": text}});
        let (path, body) = ("/hook".to_owned(), body_hash(&json!({"data": {"text": text}})));
        Arrival { at: Instant::now(), path, id: id.into(), sha256: sha256.into(), body, answer, payload }
    }

    fn book(arrivals: Vec<Arrival>) -> Book {
        let obligation = |s: &str| Obligation { path: "/hook".into(), sha256: s.into(), marker: format!("mark-{s}") };
        Book { obligations: ["a", "b"].into_iter().map(obligation).collect(), arrivals, ..Book::default() }
    }

    const OK: Answer = Answer::Status(200);

    #[test]
    fn a_retry_after_a_refusal_is_no_duplicate_and_a_second_delivery_is_one() {
        let refused = arrival("1", "a", "mark-a", Answer::Status(500));
        let taken = arrival("1", "a", "mark-a", OK);
        let other = arrival("2", "b", "mark-b", OK);
        let report = book(vec![refused, taken.clone(), other.clone()]).report();
        assert_eq!((report.delivered, report.duplicates), (2, 0));
        report.assert_sound();
        let report = book(vec![taken.clone(), other, taken]).report();
        assert_eq!((report.delivered, report.duplicates), (2, 1));
        report.assert_sound();
    }

    #[test]
    fn what_is_lost_invented_altered_or_split_is_told() {
        let report = book(vec![
            arrival("1", "a", "mark-a", OK),
            arrival("1", "a", "mark-a, but not the same", OK),
            arrival("2", "a", "mark-a", OK),
            arrival("3", "c", "mark-c", OK),
        ])
        .report();
        assert_eq!(report.lost, ["/hook b"]);
        assert_eq!(report.invented, ["/hook c 3"]);
        assert_eq!(report.altered, ["/hook a 1"]);
        assert_eq!((report.split.len(), report.duplicates), (1, 2));
        let foreign = book(vec![arrival("1", "a", "mark-b", OK)]).report();
        assert_eq!(foreign.altered, ["/hook a 1"]);
    }

    #[test]
    fn a_request_that_was_never_answered_is_no_delivery() {
        let book = book(vec![arrival("1", "a", "mark-a", Answer::Hang)]);
        assert!(!book.complete());
        assert_eq!(book.report().lost.len(), 2);
    }
}
