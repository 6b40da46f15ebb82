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
    /// It wants another login than it was given, or one at all. With the code.
    #[error("Redis refuses the login: it answered {0}")]
    Login(String),
    /// It cannot serve as it is: a replica, not loaded yet, out of memory, a role that may not. With the code.
    #[error("Redis cannot serve: it answered {0}")]
    Unfit(String),
    /// The server is part of a Redis Cluster.
    #[error("this Redis is a node of a Redis Cluster, which is not supported: use a single Redis")]
    Cluster,
    /// The server answered this call with an error, of this code, and would answer another one.
    #[error("Redis answered {0}")]
    Refused(String),
}

/// Codes of a server that cannot serve, whatever is asked of it. After a failover a new connection may reach one that can.
const UNFIT: [&str; 10] =
    ["READONLY", "MASTERDOWN", "LOADING", "NOPERM", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "TRYAGAIN"];
const LOGIN: [&str; 2] = ["NOAUTH", "WRONGPASS"];
const CLUSTER: [&str; 4] = ["MOVED", "ASK", "CLUSTERDOWN", "CROSSSLOT"];

impl CallError {
    /// Why no connection could be made.
    pub(super) fn connecting(error: &RedisError) -> Self {
        match (code(error), error.kind()) {
            (Some(code), _) if LOGIN.contains(&code) => Self::Login(code.to_owned()),
            (_, ErrorKind::AuthenticationFailed) => Self::Login("WRONGPASS".to_owned()),
            _ => Self::Connect(describe(error)),
        }
    }

    /// Whether the whole reply was read, so that the connection is in step, and Redis serves.
    pub(super) const fn is_reply(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether waiting does not mend it: this is not the Redis that is meant.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Login(_) | Self::Cluster)
    }
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        match code(&error) {
            Some(code) if CLUSTER.contains(&code) => Self::Cluster,
            Some(code) if LOGIN.contains(&code) => Self::Login(code.to_owned()),
            Some(code) if UNFIT.contains(&code) => Self::Unfit(code.to_owned()),
            Some(code) => Self::Refused(code.to_owned()),
            None => Self::Broken(describe(&error)),
        }
    }
}

/// The code of an answer. Before Redis 7 that of a command inside a script stands in the text: `ERR Error running
/// script …: -READONLY You can't …`.
fn code(error: &RedisError) -> Option<&str> {
    let known = |code: &&str| UNFIT.contains(code) || CLUSTER.contains(code);
    let inner = error.detail().into_iter().flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix('-'));
    match error.code() {
        Some("ERR") => inner.into_iter().find(known).or(Some("ERR")),
        code => code,
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
    match (code(error), error.kind()) {
        (Some(code), _) => format!("it answered {code}"),
        // The system's or the TLS library's words.
        (None, ErrorKind::Io) => error.to_string(),
        (None, _) => error.category().to_owned(),
    }
}
