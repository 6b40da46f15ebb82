//! Which letters a command is about.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use clap::Args;
use jiff::Timestamp;
use shared::{clock::until, ids::StageName};

use super::duration;
use crate::{
    cli::{
        error::CommandError,
        letters::{Group, Index, Need, Summary},
    },
    pipeline::{self, PIPELINE},
};

/// Letters that have all of this in common.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Only of this stage
    #[arg(long, value_parser = stage)]
    pub(super) stage: Option<StageName>,
    /// Only deliveries to this destination
    #[arg(long, value_name = "NAME")]
    pub(super) destination: Option<String>,
    /// Only of this class, such as worker_died
    #[arg(long)]
    pub(super) class: Option<String>,
    /// Only of this group, as `list` prints it; may be repeated
    #[arg(long)]
    pub(super) fingerprint: Vec<String>,
    /// Only of this tenant
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Only those that have been dead for longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) older_than: Option<Duration>,
    /// Only those that have not been dead for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) newer_than: Option<Duration>,
}

fn stage(name: &str) -> Result<StageName, String> {
    pipeline::row(name)
        .map(|row| row.stage)
        .ok_or_else(|| format!("there is no such stage; there are {}", PIPELINE.map(|row| row.stage.0).join(", ")))
}

/// Every stage.
pub(super) fn all_stages() -> Vec<StageName> {
    PIPELINE.map(|row| row.stage).to_vec()
}

impl Filter {
    pub(super) fn stages(&self) -> Vec<StageName> {
        self.stage.map_or_else(all_stages, |stage| vec![stage])
    }

    /// A letter of unknown age is neither older nor newer than anything.
    pub(super) fn takes(&self, letter: &Summary, now: Timestamp) -> bool {
        let age = || letter.since().map(|since| until(since, now));
        self.takes_kind(&letter.stage, &letter.branch, &letter.class, &letter.fingerprint)
            && self.tenant.as_deref().is_none_or(|tenant| tenant == letter.tenant)
            && self.older_than.is_none_or(|than| age().is_some_and(|age| age > than))
            && self.newer_than.is_none_or(|than| age().is_some_and(|age| age < than))
    }

    /// The groups of what is taken of an index that [`Filter::need`] was asked of.
    pub(super) fn groups(&self, index: Index, now: Timestamp) -> Vec<Group> {
        match self.need() {
            Need::Letters => index.groups_of(|letter| self.takes(letter, now)),
            // Letters of a group differ in nothing that is left to filter by.
            Need::Groups => {
                let taken =
                    |group: &Group| self.takes_kind(&group.stage, &group.branch, &group.class, &group.fingerprint);
                index.groups.into_iter().filter(taken).collect()
            }
        }
    }

    fn takes_kind(&self, stage: &str, branch: &str, class: &str, fingerprint: &String) -> bool {
        self.stage.is_none_or(|wanted| wanted.0 == stage)
            && self.destination.as_deref().is_none_or(|wanted| wanted == branch)
            && self.class.as_deref().is_none_or(|wanted| wanted == class)
            && (self.fingerprint.is_empty() || self.fingerprint.contains(fingerprint))
    }

    /// Whether whole groups are taken, or single letters have to be looked at.
    pub(super) const fn need(&self) -> Need {
        let of_letters = self.tenant.is_some() || self.older_than.is_some() || self.newer_than.is_some();
        if of_letters { Need::Letters } else { Need::Groups }
    }

    const fn is_empty(&self) -> bool {
        self.stage.is_none()
            && self.destination.is_none()
            && self.class.is_none()
            && self.fingerprint.is_empty()
            && matches!(self.need(), Need::Groups)
    }
}

/// Letters by their ids, or by what they have in common.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Letters by their ids, as `list --each` prints them
    ids: Vec<String>,
    /// Every letter, or with filters every one that they leave
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    pub(super) of: Filter,
}

/// The letters that were asked for, and those of them that were not found yet.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    of: &'a Filter,
    ids: Option<BTreeSet<String>>,
    missing: RefCell<BTreeSet<String>>,
    now: Timestamp,
}

impl Selection {
    /// Nothing is selected by saying nothing.
    pub(super) fn wanted(&self, now: Timestamp) -> Result<Wanted<'_>, CommandError> {
        if self.ids.is_empty() && !self.all && self.of.is_empty() {
            return Err(CommandError::usage("which letters? Pass their ids, a filter such as --fingerprint, or --all"));
        }
        let ids: BTreeSet<String> = self.ids.iter().cloned().collect();
        let missing = RefCell::new(ids.clone());
        Ok(Wanted { of: &self.of, ids: (!ids.is_empty()).then_some(ids), missing, now })
    }
}

impl Wanted<'_> {
    /// What died after the command began is not taken: a letter that was sent back and failed again is not sent for
    /// ever.
    pub(super) fn takes(&self, letter: &Summary) -> bool {
        if letter.at.is_some_and(|at| at > self.now) {
            return false;
        }
        let named = self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id));
        let taken = named && self.of.takes(letter, self.now);
        if taken {
            self.missing.borrow_mut().remove(&letter.id);
        }
        taken
    }

    /// Narrows it to these ids.
    pub(super) fn only(&mut self, ids: BTreeSet<String>) {
        self.ids = Some(ids);
    }

    /// Fails if a letter that was named was not there.
    pub(super) fn found(&self) -> Result<(), CommandError> {
        let missing: Vec<String> = self.missing.borrow().iter().cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CommandError::no_input(format!("there is no dead letter {}: see `mailtri dlq list`", missing.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        select: Selection,
    }

    fn selection(args: &str) -> Selection {
        Line::parse_from(["x"].into_iter().chain(args.split_whitespace())).select
    }

    fn letter(at: Option<&str>) -> Summary {
        serde_json::from_value(json!({
            "id": "one", "fingerprint": "f1", "stage": "parse", "class": "undecodable", "reason": "why", "at": at,
            "mail": null, "tenant": "acme", "branch": "erp", "attempts": 1, "first_seen": null, "trace": null,
            "raw": null, "history": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_letter_is_taken_when_every_filter_takes_it() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let cases = [
            ("--all", true),
            ("one", true),
            ("other", false),
            ("--stage parse", true),
            ("--stage scan", false),
            ("--destination erp", true),
            ("--destination archive", false),
            ("--destination archive --all", false),
            ("--class undecodable --tenant acme", true),
            ("--class undecodable --tenant other", false),
            ("--fingerprint f2", false),
            ("--fingerprint f2 --fingerprint f1", true),
            ("--older-than 59min", true),
            ("--older-than 1h", false),
            ("--newer-than 61min", true),
            ("--newer-than 1h", false),
            ("--older-than 30min --newer-than 2h", true),
        ];
        for (args, taken) in cases {
            let selection = selection(args);
            assert_eq!(selection.wanted(now).unwrap().takes(&letter(Some("2026-11-24T11:00:00Z"))), taken, "{args}");
        }
    }

    #[test]
    fn an_unknown_age_is_neither_old_nor_new_and_what_died_since_is_left() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (args, taken) in [("--older-than 1s", false), ("--newer-than 1d", false), ("--all", true)] {
            assert_eq!(selection(args).wanted(now).unwrap().takes(&letter(None)), taken, "{args}");
        }
        assert!(!selection("--all").wanted(now).unwrap().takes(&letter(Some("2026-11-24T12:00:01Z"))));
    }

    #[test]
    fn nothing_selects_nothing_and_a_letter_that_is_not_there_is_told() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(selection("").wanted(now).is_err());
        let selection = selection("one two");
        let wanted = selection.wanted(now).unwrap();
        assert!(wanted.takes(&letter(None)));
        assert!(wanted.found().unwrap_err().to_string().contains("no dead letter two"));
    }
}
