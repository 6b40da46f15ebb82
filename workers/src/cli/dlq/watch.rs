//! `mailtri dlq watch`.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    PassArgs, duration,
    filter::Filter,
    list::{place, time},
};
use crate::cli::{
    error::CommandError,
    letters::{Group, Terms, interrupts, snapshot},
    output,
    table::printable,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchArgs {
    #[command(flatten)]
    of: Filter,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = every)]
    every: Duration,
    /// One JSON object a line and change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pass: PassArgs,
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every >= Duration::from_secs(1) { Ok(every) } else { Err("expected 1s or more".to_owned()) }
}

pub(super) async fn watch(args: &WatchArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, args.of.stages());
    let terms = args.pass.terms(&plane, &stages, &stop);
    let mut ticks = interval(args.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeMap::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let groups = match look(terms, args).await {
            Err(_) if stop.is_cancelled() => return Ok(()),
            groups => groups?,
        };
        for change in changes(&known, &groups) {
            change.print(args.json, plane.clock.now())?;
        }
        known = groups;
    }
}

type Groups = BTreeMap<String, Group>;

async fn look(terms: Terms<'_>, args: &WatchArgs) -> Result<Groups, CommandError> {
    let index = snapshot(terms, args.of.need(), args.every / 2).await?;
    let groups = args.of.groups(index, terms.plane.clock.now());
    Ok(groups.into_iter().map(|group| (group.fingerprint.clone(), group)).collect())
}

/// A group that is not as it was.
#[derive(Debug, PartialEq, Eq)]
struct Change<'a> {
    group: &'a Group,
    before: usize,
    now: usize,
}

/// The groups whose letters are more or fewer.
fn changes<'a>(before: &'a Groups, now: &'a Groups) -> Vec<Change<'a>> {
    let count = |groups: &Groups, group: &Group| groups.get(&group.fingerprint).map_or(0, |group| group.count);
    let gone = before.values().filter(|group| !now.contains_key(&group.fingerprint));
    let all = now.values().chain(gone);
    let changes = all.map(|group| Change { group, before: count(before, group), now: count(now, group) });
    changes.filter(|change| change.before != change.now).collect()
}

impl Change<'_> {
    fn print(&self, as_json: bool, at: Timestamp) -> Result<(), CommandError> {
        let Self { group, before, now } = self;
        if as_json {
            let Group { fingerprint, stage, branch, class, reason, example, .. } = group;
            return output::json(&json!({
                "at": at, "fingerprint": fingerprint, "stage": stage, "branch": branch, "class": class,
                "reason": reason, "before": before, "count": now, "example": example,
            }));
        }
        let (at, fingerprint, reason) = (time(Some(at)), &group.fingerprint, printable(&group.reason));
        let (stage, class) = (place(group.stage.clone(), &group.branch), &group.class);
        output::line(format_args!("{at}  {fingerprint}  {before} → {now}  {stage}  {class}  {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(counts: &[(&str, usize)]) -> Groups {
        let group = |(name, count): &(&str, usize)| Group {
            fingerprint: (*name).to_owned(),
            stage: "parse".to_owned(),
            branch: String::new(),
            class: "undecodable".to_owned(),
            reason: "why".to_owned(),
            count: *count,
            first_seen: None,
            last_seen: None,
            example: "x".to_owned(),
        };
        counts.iter().map(|one| (one.0.to_owned(), group(one))).collect()
    }

    #[test]
    fn what_grew_shrank_came_and_went_is_told_and_nothing_else() {
        let (before, now) =
            (groups(&[("a", 1), ("b", 5), ("c", 2), ("d", 3)]), groups(&[("a", 1), ("b", 4), ("c", 3), ("e", 1)]));
        let told: Vec<_> =
            changes(&before, &now).iter().map(|c| (c.group.fingerprint.clone(), c.before, c.now)).collect();
        assert_eq!(told, [("b".into(), 5, 4), ("c".into(), 2, 3), ("e".into(), 0, 1), ("d".into(), 3, 0)]);
    }
}
