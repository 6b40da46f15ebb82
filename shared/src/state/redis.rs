//! The state of a fleet, on a Redis.
//!
//! Each operation is one call, a comparison with its change one script. After an error it is unknown whether the
//! change was made, which the port allows: callers carry on without the fact.
//!
//! [`Redis::pooled`] serves it best, so that no value waits behind a large one: see the measurements in
//! [`crate::redis`].

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, Script, cmd};

use super::{State, StateError};
use crate::redis::{Call, Redis, error::CallError};

/// Before every key, so that other users of the same Redis are not met.
const PREFIX: &str = "state:";
/// Three hundred years, in milliseconds: more than anyone asks for, and what Redis can add to its time.
const LONGEST: u64 = 10_000_000_000_000;

/// State on one Redis. Clones are the same state.
#[derive(Debug, Clone)]
pub struct RedisState {
    redis: Arc<Redis>,
    swap: Arc<Script>,
}

impl From<CallError> for StateError {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

impl RedisState {
    /// State on `redis`.
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, swap: Arc::new(Script::new(include_str!("redis/swap.lua"))) }
    }
}

#[async_trait]
impl State for RedisState {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.redis.ask(&command("GET", key)).await?)
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StateError> {
        let mut set = named("SET", key);
        set.arg(value).arg("PX").arg(millis(ttl));
        Ok(self.redis.ask(&Call::Command(set)).await?)
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl: Duration,
    ) -> Result<bool, StateError> {
        let mut swap = self.swap.key(format!("{PREFIX}{key}"));
        swap.arg(expected.is_some()).arg(expected.unwrap_or_default());
        swap.arg(value.is_some()).arg(value.unwrap_or_default()).arg(millis(ttl));
        Ok(self.redis.ask(&Call::Script(swap)).await?)
    }
}

fn command(name: &str, key: &str) -> Call<'static> {
    Call::Command(named(name, key))
}

fn named(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(format!("{PREFIX}{key}"));
    command
}

/// Redis takes whole milliseconds from one on.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).clamp(1, LONGEST)
}
