//! `mailtri dlq requeue`: each letter is sent first and deleted after. A kill in between leaves a copy under the same
//! job id.

use std::{
    cell::Cell,
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde_json::json;
use shared::{
    clock::until,
    ids::StageName,
    limit::{Charge, Limiter, Rate, Turn, local::LocalLimiter},
    queue::{Outgoing, batch::Batcher},
};
use tokio::time::sleep;

use super::{
    PassArgs,
    filter::{Selection, Wanted},
    list::place,
    work::work,
};
use crate::{
    cli::{
        error::CommandError,
        letters::{Fate, Letter, Need, Terms, interrupts, reopened, snapshot},
        output,
    },
    plane::Plane,
};

/// The longest wait for a turn while letters are held.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Concurrent sends of batches to a queue.
const FLUSHES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

#[derive(Debug, Args)]
pub(in crate::cli) struct RequeueArgs {
    #[command(flatten)]
    select: Selection,
    /// Say what would be sent back, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// No faster than this, such as "10/sec" or "100/min burst 20"
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// As JSON: the letters of a dry run one a line, otherwise what was done
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) async fn requeue(args: &RequeueArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, args.select.of.stages());
    let wanted = args.select.wanted(plane.clock.now())?;
    let terms = args.pass.terms(&plane, &stages, &stop);
    if args.dry_run {
        return would(terms, &wanted, args.json, "would be sent back").await.map(drop);
    }
    let desk = Desk::new(terms, args.rate);
    let done = work(terms, async |letter| {
        if !wanted.takes(&letter.summary) {
            return Ok(Fate::Stays);
        }
        desk.send_back(letter).await
    })
    .await;
    let sent = desk.sent.get();
    if args.json {
        output::json(&json!({"sent_back": sent}))?
    } else {
        output::line(format_args!("{sent} sent back"))?
    }
    done?;
    wanted.found()
}

/// Prints what a selection takes, and returns the ids.
pub(super) async fn would(
    terms: Terms<'_>,
    wanted: &Wanted<'_>,
    json: bool,
    what: &str,
) -> Result<Vec<String>, CommandError> {
    let index = snapshot(terms, Need::Letters, Duration::ZERO).await?;
    let taken: Vec<_> = index.letters.iter().filter(|letter| wanted.takes(letter)).collect();
    for letter in &taken {
        if json {
            output::json(letter)?;
        } else {
            let stage = place(letter.stage.clone(), &letter.branch);
            output::line(format_args!("{}  {stage}  {}", letter.id, letter.class))?;
        }
    }
    if !json {
        output::line(format_args!("{} {what}", taken.len()))?;
    }
    wanted.found()?;
    Ok(taken.into_iter().map(|letter| letter.id.clone()).collect())
}

/// Sends letters back, at a rate.
struct Desk<'a> {
    terms: Terms<'a>,
    work: BTreeMap<StageName, Batcher>,
    rate: Option<Rate>,
    limiter: LocalLimiter,
    sent: Cell<usize>,
}

impl<'a> Desk<'a> {
    fn new(terms: Terms<'a>, rate: Option<Rate>) -> Self {
        let Plane { queues, clock, .. } = terms.plane;
        let batched = queues.iter().map(|(s, q)| (*s, Batcher::with_flushes(Arc::clone(&q.work), FLUSHES)));
        let (work, limiter) = (batched.collect(), LocalLimiter::new(clock.clone()));
        Self { terms, work, rate, limiter, sent: Cell::new(0) }
    }

    async fn send_back(&self, letter: &Letter) -> Result<Fate, CommandError> {
        let Plane { blobs, clock, .. } = self.terms.plane;
        match self.turn().await? {
            Fate::Goes => {}
            other => return Ok(other),
        }
        let stage = letter.stage;
        let queue = self.work.get(&stage).ok_or_else(|| CommandError::failed(format!("{stage} has no queue")))?;
        let body = letter.again(&**blobs, clock.now()).await?;
        reopened(&**blobs, letter, clock.now()).await?;
        let message = Outgoing { body, delay: Duration::ZERO, group: letter.summary.tenant.clone() };
        queue.send(message).await.map_err(CommandError::failed)?;
        self.sent.set(self.sent.get() + 1);
        fail::fail_point!("dlq::after_send");
        Ok(Fate::Goes)
    }

    /// Waits for a turn, unless that is far: then the letter is not held so long.
    async fn turn(&self) -> Result<Fate, CommandError> {
        let stop = self.terms.stop;
        if stop.is_cancelled() {
            return Ok(Fate::Stays);
        }
        let Some(rate) = self.rate else { return Ok(Fate::Goes) };
        let charge = Charge::new("requeue", rate, NonZeroU32::MIN);
        match self.limiter.acquire(&[charge], LONGEST_WAIT).await.map_err(CommandError::failed)? {
            // No slot was asked for.
            Turn::Now | Turn::Full(_) => Ok(Fate::Goes),
            Turn::TooLate(at) => Ok(Fate::Waits(at)),
            Turn::At(at) => tokio::select! {
                () = sleep(until(self.terms.plane.clock.now(), at)) => Ok(Fate::Goes),
                () = stop.cancelled() => Ok(Fate::Stays),
            },
        }
    }
}
