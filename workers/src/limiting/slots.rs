//! Slots that a running job holds: renewed while it runs, given back when it ends.
//!
//! A worker that dies gives nothing back; its slots come back when the lease runs out.

use std::{sync::Arc, time::Duration};

use shared::limit::{
    Holder,
    guarded::{Guarded, Source},
};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, MissedTickBehavior},
};

/// After that the slots of a dead worker are free again.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Two renewals may fail before the lease runs out.
const RENEW: Duration = Duration::from_secs(10);

/// Slots that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    guarded: Arc<Guarded>,
    source: Source,
    slots: Vec<String>,
    holder: Holder,
    since: Instant,
    renewing: AbortHandle,
}

/// A holder for one run.
pub(super) fn holder() -> Holder {
    Holder { id: uuid::Uuid::now_v7().simple().to_string(), lease: LEASE }
}

impl Held {
    /// Keeps slots that `source` has just given.
    pub(super) fn keep(guarded: &Arc<Guarded>, source: Source, slots: Vec<String>, holder: Holder) -> Self {
        let (limiter, keys, id) = (Arc::clone(guarded), slots.clone(), holder.clone());
        let renewing = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(RENEW);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                if let Err(error) = limiter.renew(source, &keys, &id).await {
                    tracing::warn!(%error, "a slot could not be renewed; it is tried again");
                }
            }
        });
        Self {
            guarded: Arc::clone(guarded),
            source,
            slots,
            holder,
            since: Instant::now(),
            renewing: renewing.abort_handle(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
        let (guarded, source) = (Arc::clone(&self.guarded), self.source);
        let (slots, holder, held) = (std::mem::take(&mut self.slots), self.holder.clone(), self.since.elapsed());
        // Without a runtime the process ends: the lease runs out.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = guarded.release(source, &slots, &holder, held).await {
                tracing::warn!(%error, "a slot could not be given back; it comes back when its lease runs out");
            }
        });
    }
}
