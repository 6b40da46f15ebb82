//! What would become of a mail, in words.

use serde::Serialize;

use crate::{
    admission::Stop,
    cli::terminal::quoted,
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
                let parts: Vec<String> = withheld.iter().map(|part| mail.number(*part).to_string()).collect();
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

/// What a scan found, with the names of members, which records leave out.
pub(super) fn item(mail: &ParsedMail, item: &Item) -> String {
    match &item.place {
        Place::Member { part, path } => {
            let Item { verdict, .. } = item;
            format!(
                "{}: {} in {} in part {}",
                verdict.name(),
                verdict.detail(),
                quoted(path.expose()),
                mail.number(*part)
            )
        }
        Place::Raw | Place::Part { .. } => item.told(mail),
    }
}
