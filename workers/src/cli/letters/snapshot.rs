//! The dead letters as they are now, or were a moment ago: from the index if it is fresh, or by a pass.

use std::time::Duration;

use jiff::Timestamp;
use shared::clock::until;

use super::{
    Fate, Over, Terms,
    index::{self, Index},
    lock::stateless,
    pass,
};
use crate::cli::{error::CommandError, output};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Need {
    /// The groups will do.
    Groups,
    /// Every single letter.
    Letters,
}

/// The letters of the stages. An index no older than `fresh` will do; while somebody else passes, any will.
pub(in crate::cli) async fn snapshot(terms: Terms<'_>, need: Need, fresh: Duration) -> Result<Index, CommandError> {
    let now = terms.plane.clock.now();
    let known = index(terms, need).await;
    if let Some(index) = known.filter(|index| age(index, now) <= fresh) {
        return Ok(index);
    }
    let Some(round) = pass(terms, async |_| Ok(Fate::Stays)).await? else {
        let index = index(terms, need).await.ok_or_else(|| {
            CommandError::failed("another pass over the dead letters is under way; try again when it has ended")
        })?;
        let age = age(&index, terms.plane.clock.now()).as_secs();
        output::note(format_args!("another pass over the dead letters is under way: this is {age} s old"));
        return Ok(index);
    };
    match (round.over, round.left) {
        (Over::Complete, Some(index)) => Ok(index),
        (Over::Interrupted, _) => Err(CommandError::failed("interrupted")),
        _ => Err(CommandError::failed("the pass took too long; narrow it with --stage, or give it a longer --hold")),
    }
}

/// The index, if there is one that can be read and says what is asked for.
async fn index(terms: Terms<'_>, need: Need) -> Option<Index> {
    let read = index::read(&*terms.plane.state, terms.stages).await;
    let index = read.unwrap_or_else(|error| {
        stateless(&error);
        None
    });
    index.filter(|index| need == Need::Groups || index.whole)
}

fn age(index: &Index, now: Timestamp) -> Duration {
    until(index.at, now)
}
