//! Calls to Redis: each ends within its time, and no reply reaches another caller.
//!
//! A connection that owes a reply to a caller who no longer waits is the danger (redis-rs#1252). Two ways of
//! handling connections rule it out, `pooled` and `multiplexed`, and a `breaker` before both keeps a dead Redis
//! from costing every caller the whole time limit.

pub mod address;
pub mod breaker;
mod call;
pub mod error;
mod multiplexed;
mod pooled;
#[cfg(test)]
pub(crate) mod tests;

use std::{num::NonZeroUsize, time::Duration};

use deadpool_redis::redis::{AsyncConnectionConfig, FromRedisValue};

pub(crate) use self::call::Call;
use self::{
    address::Address,
    breaker::{Breaker, BreakerSettings},
    error::CallError,
    multiplexed::Multiplexed,
    pooled::Pooled,
};

/// How to reach a Redis and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// How long a call may take in all, its waiting for a connection included.
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
    Multiplexed(Multiplexed),
}

/// A Redis. Connections are made when they are first needed.
#[derive(Debug)]
pub struct Redis {
    link: Link,
    timeout: Duration,
    breaker: Breaker,
}

impl Redis {
    /// Over one connection that all calls share.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn multiplexed(settings: &Settings) -> Result<Self, CallError> {
        let link = Multiplexed::new(&settings.address, settings.connections())?;
        Ok(Self::over(Link::Multiplexed(link), settings))
    }

    /// Over a pool of at most `size` connections, one a call.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn pooled(settings: &Settings, size: NonZeroUsize) -> Result<Self, CallError> {
        let link = Pooled::new(&settings.address, settings.connections(), size.get())?;
        Ok(Self::over(Link::Pooled(link), settings))
    }

    fn over(link: Link, settings: &Settings) -> Self {
        Self { link, timeout: settings.timeout, breaker: Breaker::new(settings.breaker) }
    }

    /// Makes one call. Its future may be dropped at any point.
    pub(crate) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, CallError> {
        let permit = self.breaker.permit().ok_or(CallError::Open)?;
        let answer = match &self.link {
            Link::Pooled(pool) => pool.ask(call, self.timeout).await,
            Link::Multiplexed(connection) => connection.ask(call, self.timeout).await,
        };
        if answer.as_ref().map_or_else(CallError::is_reply, |_| true) {
            permit.answered();
        } else {
            permit.failed();
        }
        answer
    }
}
