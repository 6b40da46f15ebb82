//! The test that an endpoint has to pass, and the task that puts it to it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::{Shared, Terms, member::Member};
use crate::clamav::{
    EngineVersion, ScanError,
    clamd::{Clamd, Deadlines},
    probes::{ProbeError, probe},
    selftest::{self, SelfTestError},
    session::Session,
};

/// How often an endpoint that nobody uses is looked at.
pub const IDLE: Duration = Duration::from_secs(15);

impl Terms {
    /// The version, if its signatures are not too old.
    pub(super) fn recent(&self, engine: EngineVersion) -> Result<EngineVersion, ScanError> {
        let Some(most) = self.max_age else { return Ok(engine) };
        let Some(built) = engine.built else {
            let why =
                "its signature database has no date: use an official one, or set clamav.max_signature_age = \"off\"";
            return Err(ScanError::Unfit(why.to_owned()));
        };
        if is_older(built, most, self.clock.now()) {
            return Err(ScanError::Unfit(format!(
                "its signatures are of {built}, older than clamav.max_signature_age: see that freshclam runs"
            )));
        }
        Ok(engine)
    }
}

fn is_older(built: Timestamp, most: Duration, now: Timestamp) -> bool {
    SignedDuration::try_from(most).is_ok_and(|most| now.duration_since(built) > most)
}

/// A process that answers at an endpoint, as far as it is known.
#[derive(Debug)]
struct Process {
    session: Session,
    /// The engine whose `clamd.conf` was found right. It holds as long as the process.
    probed: Option<String>,
}

/// Tests an endpoint until it passes, then again whenever it has fallen.
pub(super) async fn keep(member: Arc<Member>, shared: Arc<Shared>) {
    let mut wait = shared.terms.retry.0;
    let mut known = None;
    loop {
        let began = Instant::now();
        match test(&member.clamd, &shared.terms, known).await {
            Ok((engine, process)) => {
                wait = shared.terms.retry.0;
                member.admit(engine, began, &shared);
                known = watch(process, &member, &shared).await;
            }
            Err(error) => {
                known = None;
                member.put_out(error, &shared);
                let jitter = rand::rng().random_range(0.75..1.25);
                sleep(wait.mul_f64(jitter)).await;
                wait = (wait * 2).min(shared.terms.retry.1);
            }
        }
    }
}

/// Tests the process that answers now; what was known of it is not asked again.
async fn test(clamd: &Clamd, terms: &Terms, known: Option<Process>) -> Result<(EngineVersion, Process), ScanError> {
    let mut process = match known {
        Some(process) => process,
        None => Process { session: Session::open(clamd).await?, probed: None },
    };
    let engine = admission(clamd, terms, &mut process.probed).await?;
    // One process gave all the answers: it still is the one that was there before them.
    process.session.ping().await?;
    Ok((engine, process))
}

/// Waits until an admitted endpoint has fallen or its process has ended; the process, unless it has.
async fn watch(mut process: Process, member: &Member, shared: &Shared) -> Option<Process> {
    loop {
        let is_idle = tokio::select! {
            biased;
            () = process.session.ended() => {
                member.suspect(shared);
                return None;
            }
            () = member.fallen() => false,
            () = sleep(IDLE) => true,
        };
        if process.session.ping().await.is_err() {
            member.suspect(shared);
            return None;
        }
        if !is_idle {
            return Some(process);
        }
        member.is_as_admitted(shared).await;
    }
}

/// The version, if the clamd is fit for use in it. `probed` is the engine whose configuration was found right.
pub(in crate::clamav) async fn admission(
    clamd: &Clamd,
    terms: &Terms,
    probed: &mut Option<String>,
) -> Result<EngineVersion, ScanError> {
    let engine = terms.recent(clamd.version().await?)?;
    self_test(clamd).await?;
    if probed.as_ref() != Some(&engine.engine) {
        probe(&patient(clamd), terms.longest).await.map_err(|error| match error {
            ProbeError::Scan(error) => error,
            other => ScanError::Unfit(other.to_string()),
        })?;
        compare_threads(clamd, terms).await;
        *probed = Some(engine.engine.clone());
    }
    Ok(engine)
}

/// Warns where a clamd has no thread for each of our streams: they wait in there, on their deadline.
async fn compare_threads(clamd: &Clamd, terms: &Terms) {
    // It says nothing about what the clamd finds, so that it is used without an answer.
    let Ok(Some(max_threads)) = clamd.max_threads().await else { return };
    let concurrency = terms.concurrency.get();
    if concurrency >= max_threads {
        tracing::warn!(
            endpoint = %clamd.endpoint(), concurrency, max_threads,
            "clamav.concurrency has to be below MaxThreads of clamd.conf, by all processes that share the clamd: raise the one \
             or lower the other, or streams wait for a thread until their deadline"
        );
    }
}

pub(super) async fn self_test(clamd: &Clamd) -> Result<(), ScanError> {
    selftest::self_test(&patient(clamd)).await.map_err(|error| match error {
        SelfTestError::Scan(error) => error,
        other => ScanError::Unfit(other.to_string()),
    })
}

/// A test's content is a few bytes: it does not take longer than a chunk of a large one.
fn patient(clamd: &Clamd) -> Clamd {
    let deadlines = clamd.deadlines();
    Clamd::new(clamd.endpoint().clone(), Deadlines { scan: deadlines.write, ..deadlines })
}
