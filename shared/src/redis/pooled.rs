//! A connection a call, from a pool.
//!
//! A connection goes back into the pool after its reply was read, and only then: when the call's future is dropped
//! on the way, by a timeout or by its caller, the connection is closed. One that takes longer to be made than its call has
//! is there for the next.

use std::{fmt, time::Duration};

use deadpool_redis::{
    Connection, Manager, Pool, Runtime,
    redis::{AsyncConnectionConfig, FromRedisValue, aio::MultiplexedConnection},
};
use tokio::time::timeout;

use super::{End, address::Address, call::Call, error::CallError, undo::Undoable};

pub(super) struct Pooled {
    pool: Pool,
    connect_timeout: Duration,
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl Pooled {
    /// Of `size` connections, each of which may take so long to be made, and to be found well before it is used again.
    pub(super) fn new(
        address: &Address,
        config: AsyncConnectionConfig,
        connect_timeout: Duration,
        size: usize,
    ) -> Result<Self, CallError> {
        let manager =
            Manager::new_with_config(address.info(), config).map_err(|error| CallError::connecting(&error))?;
        let pool = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1).build();
        let pool = pool.map_err(|error| CallError::Connect(error.to_string()))?;
        Ok(Self { pool, connect_timeout })
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>, end: End) -> Result<T, CallError> {
        self.over(end, async |connection| call.over(connection).await).await
    }

    pub(super) async fn change<T: FromRedisValue + Send + 'static>(
        &self,
        call: Undoable<T>,
        end: End,
    ) -> Result<T, CallError> {
        // Out of the pool a late reply has the connection to itself.
        self.over(end, async |connection| call.over(connection.clone()).await).await
    }

    async fn over<T>(
        &self,
        end: End,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        end.bound(async {
            let mut lease = Lease(Some(self.connection().await?));
            let answer = call(lease.connection()?).await;
            if answer.as_ref().map_or_else(CallError::is_reply, |_| true) {
                lease.give_back();
            }
            answer
        })
        .await
    }

    /// A connection that is well. When the call has no more time for it, it goes into the pool as soon as it is there.
    async fn connection(&self) -> Result<Connection, CallError> {
        let (pool, limit) = (self.pool.clone(), self.connect_timeout);
        let made = tokio::spawn(async move { timeout(limit, pool.get()).await });
        match made.await {
            Ok(Ok(connection)) => Ok(connection?),
            Ok(Err(_)) => Err(CallError::Late(limit)),
            // The process ends.
            Err(_) => Err(CallError::Open),
        }
    }
}

/// A connection out of the pool; dropped, it is closed.
struct Lease(Option<Connection>);

impl Lease {
    fn connection(&mut self) -> Result<&mut MultiplexedConnection, CallError> {
        self.0.as_deref_mut().ok_or(CallError::Open)
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.0.take().map(Connection::take));
    }
}
