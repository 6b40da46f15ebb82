//! What would become of a mail, in words.

use serde::Serialize;

use crate::{
    admission::Stop,
    mail::model::ParsedMail,
    rules::Outcome,
    scanning::{Handling, Item, Place},
};

/// What would become of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Forecast {
    pub(super) end: &'static str,
    pub(super) why: String,
}

impl Forecast {
    fn new(end: &'static str, why: impl Into<String>) -> Self {
        Self { end, why: why.into() }
    }

    /// It goes no further than the parse.
    pub(super) fn stopped(stop: &Stop) -> Self {
        match stop {
            Stop::Quarantine { class, reason } => Self::new("quarantined", format!("{class}: {reason}")),
            Stop::Reject { reason } => Self::new("rejected", reason),
        }
    }

    /// It waits for DNS.
    pub(super) fn deferred() -> Self {
        Self::new("deferred", "DNS does not tell who the sender is")
    }

    /// The rules decided, and the scan's verdicts were handled, if there was a scan.
    pub(super) fn routed(outcome: &Outcome, handling: Option<&Handling>, mail: &ParsedMail) -> Self {
        match (outcome, handling) {
            (Outcome::Reject { reason }, _) => Self::new("rejected", reason),
            (Outcome::Drop { reason }, _) => Self::new("dropped", reason),
            (Outcome::Quarantine { reason }, _) => Self::new("quarantined", reason),
            (Outcome::Deliver(_), None) => {
                Self::new("delivered", format!("{}, if the scan finds it clean", destinations(outcome)))
            }
            (Outcome::Deliver(_), Some(Handling::Deliver { withheld })) if withheld.is_empty() => {
                Self::new("delivered", destinations(outcome))
            }
            (Outcome::Deliver(_), Some(Handling::Deliver { withheld })) => {
                let parts: Vec<String> = withheld.iter().map(|part| number(mail, *part)).collect();
                Self::new("delivered", format!("{}, without part {}", destinations(outcome), parts.join(", ")))
            }
            (Outcome::Deliver(_), Some(Handling::Defer(found))) => {
                Self::new("quarantined", format!("{}, after some hours", item(mail, found)))
            }
            (Outcome::Deliver(_), Some(Handling::Quarantine(found))) => Self::new("quarantined", item(mail, found)),
            (Outcome::Deliver(_), Some(Handling::Reject(found))) => Self::new("rejected", item(mail, found)),
        }
    }
}

fn destinations(outcome: &Outcome) -> String {
    let Outcome::Deliver(destinations) = outcome else { return String::new() };
    let names: Vec<&str> = destinations.iter().map(|name| name.as_str()).collect();
    format!("to {}", names.join(", "))
}

/// What a scan found, with the part's number in the tree of parts.
pub(super) fn item(mail: &ParsedMail, item: &Item) -> String {
    let place = match &item.place {
        Place::Raw => "the raw mail".to_owned(),
        Place::Part { part } => format!("part {}", number(mail, *part)),
        Place::Member { part, path } => format!("{} in part {}", path.expose(), number(mail, *part)),
    };
    format!("{}: {} in {place}", item.verdict.name(), item.verdict.detail())
}

/// The number by which findings call a leaf.
fn number(mail: &ParsedMail, part: usize) -> String {
    let node = mail.structure.iter().position(|node| node.part == Some(part));
    node.map_or_else(|| "beyond the tree".to_owned(), |index| (index + 1).to_string())
}
