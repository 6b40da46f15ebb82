//! What can go wrong with a call. No text holds a key, a value, an argument or a password: of what the server says
//! only the code is repeated.

use std::time::Duration;

use deadpool_redis::{
    PoolError,
    redis::{ErrorKind, RedisError},
};

/// Why a call has no answer. Of a call that was to change something it is then unknown whether it did, save for
/// [`CallError::Open`] and [`CallError::Connect`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It took too long.
    #[error("Redis did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It was not made, since the last ones failed.
    #[error("Redis was not asked, as it did not answer before")]
    Open,
    /// There is no connection: refused, not found, TLS or log-in failed.
    #[error("no connection to Redis: {0}")]
    Connect(String),
    /// The connection broke, or what came over it is no answer to what was asked.
    #[error("the connection to Redis broke: {0}")]
    Broken(String),
    /// The server is part of a Redis Cluster.
    #[error("this Redis is a node of a Redis Cluster, which is not supported: use a single Redis")]
    Cluster,
    /// The server answered with an error, of this code.
    #[error("Redis answered {0}")]
    Refused(String),
}

impl CallError {
    /// Why no connection could be made.
    pub(super) fn connecting(error: &RedisError) -> Self {
        Self::Connect(describe(error))
    }

    /// Whether the whole reply was read, so that the connection is in step and Redis alive.
    pub(super) const fn is_reply(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Cluster)
    }
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT") => Self::Cluster,
            Some(code) => Self::Refused(code.to_owned()),
            None => Self::Broken(describe(&error)),
        }
    }
}

impl From<PoolError> for CallError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::connecting(&error),
            // Without time limits, hooks or an end of its own the pool has no other.
            other => Self::Connect(other.to_string()),
        }
    }
}

fn describe(error: &RedisError) -> String {
    match (error.code(), error.kind()) {
        (Some(code), _) => format!("it answered {code}"),
        // The system's or the TLS library's words.
        (None, ErrorKind::Io) => error.to_string(),
        (None, _) => error.category().to_owned(),
    }
}
