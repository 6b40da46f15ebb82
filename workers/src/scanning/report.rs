//! What a scan found, place by place: everything that is not clean, and never only the worst.
//!
//! A report of a mail is clean only if nothing in it is listed: what is not listed was looked at and is clean.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shared::{
    clamav::{EngineVersion, Verdict},
    pii::Pii,
};

use crate::mail::model::{Finding, ParsedMail};

/// From so many places on only one of each verdict is listed of a part, by which any policy decides as by all of them: a
/// report travels in a job.
const DETAILED: usize = 100;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "place")]
pub enum Place {
    /// The raw mail.
    Raw,
    /// A decoded part.
    Part {
        /// Its position in the parsed mail's parts, from 0.
        part: usize,
    },
    /// A member of a container that a part is.
    Member {
        /// The part's position, from 0.
        part: usize,
        /// The names of the members, from the outside in, joined by ` / `. Data, never a path.
        path: Pii<String>,
    },
}

impl Place {
    /// The part that it is, or is in.
    #[must_use]
    pub const fn part(&self) -> Option<usize> {
        match self {
            Self::Raw => None,
            Self::Part { part } | Self::Member { part, .. } => Some(*part),
        }
    }
}

/// Something that is not clean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What it is.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// An item for people and payloads: its part by its number in the mail.
#[derive(Debug, Serialize)]
pub struct Noted {
    place: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Pii<String>>,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Item {
    /// With the part's number instead of its position.
    #[must_use]
    pub fn noted(self, mail: &ParsedMail) -> Noted {
        let part = self.place.part().map(|part| mail.number(part));
        let (place, path) = match self.place {
            Place::Raw => ("raw", None),
            Place::Part { .. } => ("part", None),
            Place::Member { path, .. } => ("member", Some(path)),
        };
        Noted { place, part, path, verdict: self.verdict }
    }

    /// For records and logs, such as `infected: Eicar in part 2`: the part's number in the mail, and no name from it.
    #[must_use]
    pub fn told(&self, mail: &ParsedMail) -> String {
        format!("{}: {}", self.verdict.name(), self.told_of_verdict(mail))
    }

    /// The same without the verdict's name.
    #[must_use]
    pub fn told_of_verdict(&self, mail: &ParsedMail) -> String {
        let place = match &self.place {
            Place::Raw => "the raw mail".to_owned(),
            Place::Part { part } => format!("part {}", mail.number(*part)),
            Place::Member { part, .. } => format!("a member of part {}", mail.number(*part)),
        };
        format!("{} in {place}", self.verdict.detail())
    }
}

/// What the scan says of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// The worst verdict of the raw mail, its parts and their members.
    #[serde(flatten)]
    verdict: Verdict,
    /// Which engine and signatures said so; of several the one with the oldest signatures.
    pub engine: EngineVersion,
    /// Everything that is not clean, by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
    /// Where the parts that may be delivered are stored.
    pub stored: Vec<StoredPart>,
    /// What members of containers are, by the rules for attachments. The stage adds it to what was noticed about the mail:
    /// it is not kept here.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// A part stored by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// Its position in the parsed mail's parts.
    pub part: usize,
    /// Its key.
    pub key: String,
}

impl ScanReport {
    /// The report on what was found; clean items are left out.
    #[must_use]
    pub fn new(engine: EngineVersion, mut items: Vec<Item>) -> Self {
        items.retain(|item| item.verdict != Verdict::Clean);
        items.sort_by(|a, b| (a.place.part(), rank(&b.verdict)).cmp(&(b.place.part(), rank(&a.verdict))));
        if items.len() > DETAILED {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert((item.place.part(), rank(&item.verdict))));
        }
        let verdict = items.iter().map(|item| &item.verdict).max_by_key(|verdict| rank(verdict));
        Self {
            verdict: verdict.cloned().unwrap_or(Verdict::Clean),
            engine,
            items,
            stored: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The worst verdict.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict == Verdict::Clean && self.items.is_empty()
    }

    /// The worst verdict on a part and its members, unless it is clean.
    #[must_use]
    pub fn verdict_on(&self, part: usize) -> Option<Verdict> {
        // Items of a part come worst first.
        self.items.iter().find(|item| item.place.part() == Some(part)).map(|item| item.verdict.clone())
    }

    /// Everything that is not clean, by place, the worst of a place first.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        if self.items.is_empty() && self.verdict != Verdict::Clean {
            // A report that names no place is about all of the mail.
            return vec![Item { place: Place::Raw, verdict: self.verdict.clone() }];
        }
        self.items.clone()
    }
}

/// How bad a verdict is among others.
pub(super) const fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Unscannable { .. } => 1,
        Verdict::Encrypted { .. } => 2,
        Verdict::LimitsExceeded { .. } => 3,
        Verdict::Infected { .. } => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{limits::Limits, parse::parse};

    fn engine() -> EngineVersion {
        EngineVersion { engine: "ClamAV 1.4.3".to_owned(), database: Some("27500".to_owned()), built: None }
    }

    fn item(place: Place, verdict: Verdict) -> Item {
        Item { place, verdict }
    }

    fn encrypted() -> Verdict {
        Verdict::Encrypted { reason: "zip".to_owned() }
    }

    fn infected() -> Verdict {
        Verdict::Infected { signature: "Eicar".to_owned() }
    }

    #[test]
    fn every_place_that_is_not_clean_is_listed_and_the_worst_stands_for_the_mail() {
        let member = Place::Member { part: 2, path: Pii::new("secret.doc".to_owned()) };
        let report = ScanReport::new(
            engine(),
            vec![
                item(Place::Part { part: 2 }, encrypted()),
                item(member.clone(), infected()),
                item(Place::Part { part: 1 }, Verdict::Clean),
                item(Place::Raw, encrypted()),
            ],
        );
        assert_eq!(report.verdict(), &infected());
        let places: Vec<Place> = report.items().into_iter().map(|item| item.place).collect();
        assert_eq!(places, [Place::Raw, member, Place::Part { part: 2 }]);
        let mail = parse(b"From: a@b.example\r\n\r\nx", &Limits::default(), &[]).unwrap();
        let written: Vec<String> = report.items().iter().map(|item| item.told(&mail)).collect();
        assert_eq!(
            written,
            ["encrypted: zip in the raw mail", "infected: Eicar in a member of part 3", "encrypted: zip in part 3"]
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ScanReport>(&json).unwrap(), report);
        assert!(json.contains(r#""place":"member","part":2,"path":"secret.doc""#), "{json}");
    }

    #[test]
    fn a_long_report_still_names_every_verdict_of_every_part() {
        let member = |i: usize| Place::Member { part: i / 10, path: Pii::new(format!("{i}")) };
        let items = (0..400).map(|i| item(member(i), if i % 2 == 0 { encrypted() } else { infected() }));
        let report = ScanReport::new(engine(), items.collect());
        assert_eq!(report.items().len(), 80);
        for part in 0..40 {
            let of_part = report.items().into_iter().filter(|item| item.place.part() == Some(part));
            assert_eq!(of_part.map(|item| item.verdict).collect::<Vec<_>>(), [infected(), encrypted()]);
        }
    }

    #[test]
    fn a_verdict_without_a_place_is_about_all_of_the_mail() {
        let json = r#"{"verdict":"encrypted","signature":"x","place":"part 1","engine":{"engine":"ClamAV 1","database":null},"stored":[]}"#;
        let report: ScanReport = serde_json::from_str(json).unwrap();
        assert!(!report.is_clean());
        assert_eq!(report.items(), [item(Place::Raw, Verdict::Encrypted { reason: "x".to_owned() })]);
    }
}
