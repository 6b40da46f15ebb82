//! What takes letters out goes on until nothing is left to do: pass after pass, each with the lock of its own.

use std::time::Duration;

use shared::clock::until;
use tokio::time::sleep;

use crate::cli::{
    error::CommandError,
    letters::{Fate, Letter, Over, Terms, pass},
    output,
};

/// How often the lock is tried again: a state does not tell when it is free.
const ASK: Duration = Duration::from_millis(500);

/// Shows every letter to `visit` until each had its turn. Waits for other passes to end.
///
/// # Errors
/// "interrupted" among others; running it again goes on.
pub(super) async fn work(
    terms: Terms<'_>,
    visit: impl AsyncFn(&Letter) -> Result<Fate, CommandError>,
) -> Result<(), CommandError> {
    let mut told = false;
    loop {
        let Some(round) = pass(terms, &visit).await? else {
            if !told {
                output::note("another pass over the dead letters is under way; waiting for its end");
            }
            told = true;
            rest(terms, ASK).await?;
            continue;
        };
        match round.over {
            Over::Complete => return Ok(()),
            Over::Interrupted => return Err(interrupted()),
            Over::NotBefore(at) => rest(terms, until(terms.plane.clock.now(), at)).await?,
            Over::OutOfTime if round.gone > 0 => {}
            Over::OutOfTime => {
                return Err(CommandError::failed(
                    "the pass took too long; narrow it with --stage, or give it a longer --hold",
                ));
            }
        }
    }
}

async fn rest(terms: Terms<'_>, time: Duration) -> Result<(), CommandError> {
    tokio::select! {
        () = sleep(time) => Ok(()),
        () = terms.stop.cancelled() => Err(interrupted()),
    }
}

fn interrupted() -> CommandError {
    CommandError::failed("interrupted; run it again to go on")
}
