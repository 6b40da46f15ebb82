//! What a calendar object (RFC 5545, RFC 5546) invites to.
//!
//! Read line by line, with `icalendar` for each line: objects in objects cost no stack, and a damaged line costs that
//! line alone.

use icalendar::parser::{Property, unfold};
use jiff::civil;
use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use crate::mail::names::{cut, visible};

/// The longest text that is kept, in bytes.
pub(crate) const MAX_TEXT: usize = 512;
/// The most attendees that are listed.
const MAX_ATTENDEES: usize = 100;
/// The longest line that is read, in bytes.
const MAX_LINE: usize = 8 * 1024;
/// What can be invited to.
const KINDS: [&str; 2] = ["VEVENT", "VTODO"];

/// What a calendar object asks for: its method and its first event or task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Invitation {
    /// `REQUEST`, `CANCEL`, `REPLY` and the like, in upper case.
    pub method: Option<String>,
    /// What tells one event from another.
    pub uid: Option<Pii<String>>,
    /// How often it was changed.
    pub sequence: Option<u32>,
    /// What it is about.
    pub summary: Option<Pii<String>>,
    /// Where it takes place.
    pub location: Option<Pii<String>>,
    /// The organiser's address.
    pub organizer: Option<Pii<String>>,
    /// Who is invited.
    pub attendees: Attendees,
    /// When it begins.
    pub start: Option<When>,
    /// When it ends.
    pub end: Option<When>,
    /// It takes place more than once.
    pub recurs: bool,
}

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attendees {
    /// How many.
    pub count: u32,
    /// The addresses of the first hundred.
    pub addresses: Vec<Pii<String>>,
}

/// A time as the object gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// A date, or a date and a time, as in ISO 8601.
    pub at: String,
    /// The time zone by its name in the object, `UTC`, or none (local to whoever reads it).
    pub zone: Option<Pii<String>>,
}

/// Reads the beginning of a calendar object. `None` where there is none.
pub(super) fn read(head: &[u8]) -> Option<Invitation> {
    let text = String::from_utf8_lossy(head);
    let text = unfold(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let mut invitation: Option<Invitation> = None;
    let mut open: Vec<&str> = Vec::new();
    let mut is_done = false;
    for line in text.lines().map(str::trim_end).filter(|line| line.len() <= MAX_LINE) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("BEGIN") {
            if open.is_empty() && value.eq_ignore_ascii_case("VCALENDAR") {
                invitation.get_or_insert_default();
            }
            open.push(value);
        } else if name.eq_ignore_ascii_case("END") {
            is_done |= open.pop().is_some_and(is_kind) && open.len() == 1;
        } else if let Some(invitation) = &mut invitation {
            match open.as_slice() {
                [_] => invitation.note_method(line),
                [_, kind] if is_kind(kind) && !is_done => invitation.note(line),
                _ => {}
            }
        }
    }
    invitation
}

fn is_kind(name: &str) -> bool {
    KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(name))
}

impl Invitation {
    fn note_method(&mut self, line: &str) {
        let Some(method) = property(line, &["METHOD"]) else { return };
        let method = method.val.as_str();
        let is_token =
            (1..=32).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if self.method.is_none() && is_token {
            self.method = Some(method.to_ascii_uppercase());
        }
    }

    fn note(&mut self, line: &str) {
        const NAMES: [&str; 9] =
            ["UID", "SEQUENCE", "SUMMARY", "LOCATION", "ORGANIZER", "ATTENDEE", "DTSTART", "DTEND", "DUE"];
        self.recurs |= line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("RRULE"));
        let Some(property) = property(line, &NAMES) else { return };
        let value = property.val.as_str();
        match property.name.as_str().to_ascii_uppercase().as_str() {
            "UID" => keep(&mut self.uid, || shown(value)),
            "SEQUENCE" => keep(&mut self.sequence, || value.trim().parse().ok()),
            "SUMMARY" => keep(&mut self.summary, || shown(&unescaped(value))),
            "LOCATION" => keep(&mut self.location, || shown(&unescaped(value))),
            "ORGANIZER" => keep(&mut self.organizer, || address(value)),
            "DTSTART" => keep(&mut self.start, || when(&property)),
            "DTEND" | "DUE" => keep(&mut self.end, || when(&property)),
            "ATTENDEE" => {
                self.attendees.count = self.attendees.count.saturating_add(1);
                if self.attendees.addresses.len() < MAX_ATTENDEES {
                    self.attendees.addresses.extend(address(value));
                }
            }
            _ => {}
        }
    }
}

/// The property of a line, if it has one of these names.
fn property<'a>(line: &'a str, names: &[&str]) -> Option<Property<'a>> {
    let name = line.split([';', ':']).next()?;
    if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return None;
    }
    Property::try_from(line).ok()
}

/// The first of several counts.
fn keep<T>(field: &mut Option<T>, read: impl FnOnce() -> Option<T>) {
    if field.is_none() {
        *field = read();
    }
}

fn shown(text: &str) -> Option<Pii<String>> {
    let text = visible(text).0;
    Some(cut(text.trim(), MAX_TEXT)).filter(|text| !text.is_empty()).map(|text| Pii::new(text.to_owned()))
}

/// A text with its escapes resolved (RFC 5545 §3.3.11).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

fn address(value: &str) -> Option<Pii<String>> {
    let value = value.trim();
    let is_mailto = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    shown(if is_mailto { value.get(7..)? } else { value })
}

fn when(property: &Property<'_>) -> Option<When> {
    let value = property.val.as_str().trim();
    let (value, is_utc) = value.strip_suffix(['Z', 'z']).map_or((value, false), |value| (value, true));
    let at = match value.len() {
        8 => civil::Date::strptime("%Y%m%d", value).ok()?.to_string(),
        _ => civil::DateTime::strptime("%Y%m%dT%H%M%S", value).ok()?.to_string(),
    };
    let is_zone = |key: &str| key.eq_ignore_ascii_case("TZID");
    let named = property.params.iter().find(|parameter| is_zone(parameter.key.as_str()));
    let named = named.and_then(|parameter| shown(parameter.val.as_ref()?.as_str()));
    Some(When { at, zone: if is_utc { Some(Pii::new("UTC".to_owned())) } else { named } })
}

/// Whether everything in it is as short as it was made.
pub(crate) fn is_bounded(invitation: &Invitation) -> bool {
    let Invitation { method, uid, sequence: _, summary, location, organizer, attendees, start, end, recurs: _ } =
        invitation;
    let is_short = |text: &Option<Pii<String>>| text.as_ref().is_none_or(|text| text.expose().len() <= MAX_TEXT);
    let is_when = |when: &Option<When>| when.as_ref().is_none_or(|when| when.at.len() <= 32 && is_short(&when.zone));
    method.as_ref().is_none_or(|method| method.len() <= 32 && method.bytes().all(|b| b.is_ascii_graphic()))
        && [uid, summary, location, organizer].into_iter().all(is_short)
        && is_when(start)
        && is_when(end)
        && attendees.addresses.len() <= MAX_ATTENDEES
        && attendees.addresses.iter().all(|address| address.expose().len() <= MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(invitation: &Invitation) -> [Option<&str>; 4] {
        let Invitation { uid, summary, location, organizer, .. } = invitation;
        [uid, summary, location, organizer].map(|text| text.as_ref().map(|text| text.expose().as_str()))
    }

    #[test]
    fn an_invitation_tells_who_what_when_and_where() {
        let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:request\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n\
            BEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
            UID:42@a.example\r\nSEQUENCE:3\r\nDTSTART;TZID=Europe/Berlin:20261105T120000\r\nDTEND;VALUE=DATE:20261106\r\n\
            SUMMARY;LANGUAGE=de:Mittag\\, mit\r\n  Suppe\r\nLOCATION:Kantine\\nEG\r\nRRULE:FREQ=DAILY\r\n\
            ORGANIZER;CN=\"Ada: L\":MAILTO:ada@a.example\r\nATTENDEE;RSVP=TRUE:mailto:b@a.example\r\n\
            ATTENDEE:mailto:c@a.example\r\nBEGIN:VALARM\r\nSUMMARY:Alarm\r\nEND:VALARM\r\nEND:VEVENT\r\n\
            BEGIN:VEVENT\r\nUID:other\r\nATTENDEE:mailto:d@a.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let invitation = read(ics.as_bytes()).unwrap();
        assert_eq!(invitation.method.as_deref(), Some("REQUEST"));
        let expected = ["42@a.example", "Mittag, mit Suppe", "Kantine EG", "ada@a.example"];
        assert_eq!(texts(&invitation), expected.map(Some));
        assert_eq!((invitation.sequence, invitation.recurs, invitation.attendees.count), (Some(3), true, 2));
        let addresses: Vec<_> = invitation.attendees.addresses.iter().map(|a| a.expose().as_str()).collect();
        assert_eq!(addresses, ["b@a.example", "c@a.example"]);
        let start = invitation.start.clone().unwrap();
        assert_eq!(
            (start.at.as_str(), start.zone.unwrap().expose().as_str()),
            ("2026-11-05T12:00:00", "Europe/Berlin")
        );
        assert_eq!(invitation.end.clone().unwrap(), When { at: "2026-11-06".to_owned(), zone: None });
        assert!(is_bounded(&invitation));
    }

    #[test]
    fn damaged_and_hostile_objects_cost_their_lines_alone() {
        let utc =
            read(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261105T110000Z\nDTEND:99999999T999999\n\x00\xff\nUID:u")
                .unwrap();
        assert_eq!(utc.start.unwrap().zone.unwrap().expose(), "UTC");
        assert_eq!((utc.end, utc.uid.unwrap().expose().as_str()), (None, "u"));
        for (piece, is_calendar) in [
            ("BEGIN:VEVENT\n", true),
            ("END:VEVENT\n", true),
            ("ATTENDEE:x\n", true),
            ("UID;a=\"", true),
            ("\n ", true),
        ] {
            let ics = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{}", piece.repeat(super::super::HEAD / piece.len()));
            let found = read(ics.as_bytes());
            assert_eq!(found.is_some(), is_calendar);
            assert!(found.is_none_or(|invitation| is_bounded(&invitation)), "{piece}");
        }
        assert_eq!(read(b"BEGIN:VCARD\nUID:1\nEND:VCARD"), None);
        assert_eq!(read(b""), None);
    }
}
