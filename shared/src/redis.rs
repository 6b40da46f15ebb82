//! Calls to Redis: each ends within its time, and no reply reaches another caller.
//!
//! A connection that owes a reply to a caller who no longer waits is the danger (redis-rs#1252). Two ways of
//! handling connections rule it out, `pooled` and `multiplexed`, and a `breaker` before both keeps a dead Redis
//! from costing every caller the whole time limit. A call that changes something may be answered when its caller has
//! gone: `undo` then takes it back.
//!
//! **Which one.** A connection out of the pool is checked (`UNWATCH`, `PING`) before each call: two round trips
//! where the shared connection has one, whose calls also travel together. But on the shared one a reply waits
//! for those before it, and a time-out makes everyone change the connection. So the limiter, small and in every
//! job's way, takes [`Redis::multiplexed`]; the state, whose values may be large, takes [`Redis::pooled`]. Measured
//! by `tests::measure` on a busy two-core machine, debug build, calls a second and their p50:
//!
//! | | one connection | pool of 16 |
//! | --- | --- | --- |
//! | three limits in a call, loopback, 1 caller | 8,072 to 10,358, 62 µs | 4,527 to 9,126, 104 to 115 µs |
//! | the same, 16 callers | 11,900 to 13,453, 0.6 ms | 6,203 to 7,187, 1.4 ms |
//! | the same, 64 callers | 8,432 to 16,077, 2.9 ms | 5,595 to 10,796, 6 ms |
//! | 0 to 2 ms away, 1 caller | 364 to 406, 2.4 ms | 207 to 210, 4.7 ms |
//! | the same, 64 callers | 9,636 to 11,098, 5.8 ms | 2,008 to 2,738, 24 ms |
//! | 1-byte values beside 1 MiB ones, 16 MB/s a connection | 7, 584 ms | 664, 5 ms |

pub mod address;
pub mod breaker;
mod call;
pub mod error;
mod multiplexed;
mod pooled;
#[cfg(test)]
pub(crate) mod tests;
mod undo;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use deadpool_redis::redis::{AsyncConnectionConfig, FromRedisValue, cmd};
use tokio::time::{Instant, timeout_at};

use self::{
    address::Address,
    breaker::{Breaker, BreakerSettings, Leave, Probe},
    error::CallError,
    multiplexed::Multiplexed,
    pooled::Pooled,
};
pub(crate) use self::{call::Call, undo::Undoable};
use crate::allowance;

/// How to reach a Redis and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// How long a call may take in all, its waiting for a connection included; in a job no longer than is left of its
    /// [`allowance`]. A connection is made beside the calls: one that takes longer is there for the next.
    pub timeout: Duration,
    /// How long connecting, TLS and log-in may take.
    pub connect_timeout: Duration,
    /// When to stop asking.
    pub breaker: BreakerSettings,
}

impl Settings {
    /// Calls of 50 ms, connecting within a second.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            timeout: Duration::from_millis(50),
            connect_timeout: Duration::from_secs(1),
            breaker: BreakerSettings::default(),
        }
    }

    fn connections(&self) -> AsyncConnectionConfig {
        // The one limit on a call is ours.
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None)
    }
}

#[derive(Debug)]
enum Link {
    Pooled(Pooled),
    Multiplexed(Box<Multiplexed>),
}

impl Link {
    async fn ask<T: FromRedisValue>(&self, call: &Call<'_>, end: End) -> Result<T, CallError> {
        match self {
            Self::Pooled(pool) => pool.ask(call, end).await,
            Self::Multiplexed(connection) => connection.ask(call, end).await,
        }
    }
}

/// A Redis. Connections are made when they are first needed.
#[derive(Debug)]
pub struct Redis {
    link: Arc<Link>,
    timeout: Duration,
    connect_timeout: Duration,
    breaker: Arc<Breaker>,
}

impl Redis {
    /// Over one connection that all calls share.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn multiplexed(settings: &Settings) -> Result<Self, CallError> {
        let link = Multiplexed::new(&settings.address, settings.connections())?;
        Ok(Self::over(Link::Multiplexed(Box::new(link)), settings))
    }

    /// Over a pool of at most `size` connections, one a call.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn pooled(settings: &Settings, size: NonZeroUsize) -> Result<Self, CallError> {
        let link = Pooled::new(&settings.address, settings.connections(), settings.connect_timeout, size.get())?;
        Ok(Self::over(Link::Pooled(link), settings))
    }

    fn over(link: Link, settings: &Settings) -> Self {
        let Settings { timeout, connect_timeout, .. } = *settings;
        let (link, breaker) = (Arc::new(link), Arc::new(Breaker::new(settings.breaker)));
        Self { link, timeout, connect_timeout, breaker }
    }

    /// The same with the breaker of another link to the same server: what one learns the other need not.
    #[must_use]
    pub fn beside(self, other: &Self) -> Self {
        Self { breaker: Arc::clone(&other.breaker), ..self }
    }

    /// Makes one call. Its future may be dropped at any point.
    pub(crate) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, CallError> {
        self.permitted(async |end| self.link.ask(call, end).await).await
    }

    /// Makes one call that changes something. Its future may be dropped at any point: what nobody was told of is taken
    /// back.
    pub(crate) async fn change<T: FromRedisValue + Send + 'static>(&self, call: Undoable<T>) -> Result<T, CallError> {
        self.permitted(async |end| match &*self.link {
            Link::Pooled(pool) => pool.change(call, end).await,
            Link::Multiplexed(connection) => connection.change(call, end).await,
        })
        .await
    }

    /// A call, if the breaker permits it and the job has time for it.
    async fn permitted<T>(&self, call: impl AsyncFnOnce(End) -> Result<T, CallError>) -> Result<T, CallError> {
        let within = self.timeout.min(allowance::left());
        if within.is_zero() {
            return Err(CallError::Open);
        }
        let permit = match self.breaker.leave() {
            Leave::Ask(permit) => permit,
            Leave::Probe(probe) => {
                self.find_out(probe);
                return Err(CallError::Open);
            }
            Leave::Nothing => return Err(CallError::Open),
        };
        let started = Instant::now();
        let answer = call(End::after(within)).await;
        match &answer {
            Err(error) if !error.is_reply() => {
                allowance::spend(started.elapsed());
                permit.failed(error);
            }
            _ => permit.answered(),
        }
        answer
    }

    /// Probes beside the callers, with what changes nothing.
    fn find_out(&self, probe: Probe) {
        let (link, end) = (Arc::clone(&self.link), End::after(self.timeout));
        tokio::spawn(async move {
            match link.ask::<String>(&Call::Command(cmd("PING")), end).await {
                Ok(_) => probe.answered(),
                Err(_) => probe.failed(),
            }
        });
    }

    /// Finds out, at the start of a process, whether this can be the Redis that is meant. One that does not answer, or
    /// not yet, can.
    ///
    /// # Errors
    /// [`CallError::Login`] and [`CallError::Cluster`].
    pub async fn check(&self) -> Result<(), CallError> {
        let mut info = cmd("INFO");
        info.arg("server");
        match self.link.ask::<String>(&Call::Command(info), End::after(self.connect_timeout)).await {
            Ok(text) if text.contains("redis_mode:cluster") => Err(CallError::Cluster),
            Err(error) if error.is_lasting() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// When a call has to be answered.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    within: Duration,
}

impl End {
    fn after(within: Duration) -> Self {
        Self { at: Instant::now() + within, within }
    }

    async fn bound<T>(self, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        timeout_at(self.at, work).await.unwrap_or(Err(CallError::Late(self.within)))
    }
}
