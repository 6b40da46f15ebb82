//! A connection a call, from a pool.
//!
//! A connection goes back into the pool after its reply was read, and only then: when the call's future is dropped
//! on the way, by a timeout or by its caller, the connection is closed.

use std::{fmt, time::Duration};

use deadpool_redis::{
    Connection, Manager, Pool, Runtime,
    redis::{AsyncConnectionConfig, FromRedisValue, aio::MultiplexedConnection},
};
use tokio::time::timeout;

use super::{address::Address, call::Call, error::CallError};

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

    pub(super) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>, within: Duration) -> Result<T, CallError> {
        let asked = async {
            let mut lease = Lease(Some(self.0.get().await?));
            let answer = call.over(lease.connection()?).await;
            if answer.as_ref().map_or_else(CallError::is_reply, |_| true) {
                lease.give_back();
            }
            answer
        };
        timeout(within, asked).await.unwrap_or(Err(CallError::Late(within)))
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
