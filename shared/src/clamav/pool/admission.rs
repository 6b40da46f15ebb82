//! The test that an endpoint has to pass, and the task that puts it to it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use tokio::time::{sleep, timeout};

use super::{Shared, Terms, member::Member};
use crate::clamav::{
    EngineVersion, ScanError,
    clamd::{Clamd, Deadlines},
    probes::{ProbeError, probe},
    selftest::{self, SelfTestError},
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

/// Tests an endpoint until it passes, then again whenever it has fallen.
pub(super) async fn keep(member: Arc<Member>, shared: Arc<Shared>) {
    let mut wait = shared.terms.retry.0;
    // The clamd.conf that was probed holds until a restart, which breaks connections or changes the engine.
    let mut probed: Option<String> = None;
    loop {
        match admission(&member.clamd, &shared.terms, &mut probed).await {
            Ok(engine) => {
                wait = shared.terms.retry.0;
                member.admit(engine, &shared);
                while timeout(IDLE, member.fallen()).await.is_err() {
                    member.is_as_admitted(&shared).await;
                }
            }
            Err(error) => {
                probed = None;
                member.put_out(error, &shared);
                let jitter = rand::rng().random_range(0.75..1.25);
                sleep(wait.mul_f64(jitter)).await;
                wait = (wait * 2).min(shared.terms.retry.1);
            }
        }
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
        *probed = Some(engine.engine.clone());
    }
    Ok(engine)
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
