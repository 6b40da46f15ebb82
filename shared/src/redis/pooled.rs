//! A connection a call, from a pool.
//!
//! A connection goes back into the pool after its reply was read, and only then: when the call's future is dropped
//! on the way, by a timeout or by its caller, the connection is closed.

use std::fmt;

use deadpool_redis::{
    Connection, Manager, Pool, Runtime,
    redis::{AsyncConnectionConfig, FromRedisValue, aio::MultiplexedConnection},
};

use super::{End, address::Address, call::Call, error::CallError, undo::Undoable};

pub(super) struct Pooled(Pool);

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.0.status()).finish()
    }
}

impl Pooled {
    pub(super) fn new(address: &Address, config: AsyncConnectionConfig, size: usize) -> Result<Self, CallError> {
        let manager =
            Manager::new_with_config(address.info(), config).map_err(|error| CallError::connecting(&error))?;
        let pool = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1).build();
        pool.map(Self).map_err(|error| CallError::Connect(error.to_string()))
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
            let mut lease = Lease(Some(self.0.get().await?));
            let answer = call(lease.connection()?).await;
            if answer.as_ref().map_or_else(CallError::is_reply, |_| true) {
                lease.give_back();
            }
            answer
        })
        .await
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
