//! One connection for all calls.
//!
//! Replies come in the order of the calls, and each is given to its own; the reply to a call whose future was
//! dropped is read and thrown away (`redis::aio::MultiplexedConnection` says that it is cancellation-safe, and the
//! tests hold it to that), so that a caller who goes away costs nobody a connection. After a call that got no
//! reply in time, something that is none, or the word that this server cannot serve, later calls get a new connection; those under way keep the old one.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use deadpool_redis::redis::{AsyncConnectionConfig, Client, FromRedisValue, aio::MultiplexedConnection};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::time::timeout_at;

use super::{End, address::Address, call::Call, error::CallError, undo::Undoable};

/// A connection, made or in the making.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, CallError>>>;

pub(super) struct Multiplexed {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Option<Attempt>>,
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed").finish_non_exhaustive()
    }
}

impl Multiplexed {
    pub(super) fn new(address: &Address, config: AsyncConnectionConfig) -> Result<Self, CallError> {
        let client = Client::open(address.info()).map_err(|error| CallError::connecting(&error))?;
        Ok(Self { client, config, current: Mutex::default() })
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>, end: End) -> Result<T, CallError> {
        self.over(end, async |mut connection| call.over(&mut connection).await).await
    }

    pub(super) async fn change<T: FromRedisValue + Send + 'static>(
        &self,
        call: Undoable<T>,
        end: End,
    ) -> Result<T, CallError> {
        self.over(end, async |connection| call.over(connection).await).await
    }

    async fn over<T>(
        &self,
        end: End,
        call: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let attempt = self.attempt();
        // A connection in the making may take longer than a call: it goes on, for a later one.
        let connected = timeout_at(end.at, attempt.clone()).await.map_err(|_| CallError::Late(end.within))?;
        let answer = match connected {
            Ok(connection) => end.bound(call(connection)).await,
            Err(error) => Err(error),
        };
        if answer.as_ref().is_err_and(|error| !error.is_reply()) {
            self.discard(&attempt);
        }
        answer
    }

    fn attempt(&self) -> Attempt {
        self.current().get_or_insert_with(|| connect(self.client.clone(), self.config.clone())).clone()
    }

    fn discard(&self, attempt: &Attempt) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|current| current.ptr_eq(attempt)) {
            *current = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(client: Client, config: AsyncConnectionConfig) -> Attempt {
    let attempt = async move {
        let connected = client.get_multiplexed_async_connection_with_config(&config).await;
        connected.map_err(|error| CallError::connecting(&error))
    };
    let attempt = attempt.boxed().shared();
    // It ends by itself, at the latest with the configured time for connecting.
    drop(tokio::spawn(attempt.clone()));
    attempt
}
