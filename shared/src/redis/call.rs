//! What is asked of Redis: a command, or a script by its hash.

use deadpool_redis::redis::{Cmd, FromRedisValue, ScriptInvocation, aio::MultiplexedConnection};

use super::error::CallError;

/// One call.
pub(crate) enum Call<'a> {
    /// A command.
    Command(Cmd),
    /// `EVALSHA`; where the server does not know the script it is loaded and asked again.
    Script(ScriptInvocation<'a>),
}

impl Call<'_> {
    pub(super) async fn over<T: FromRedisValue>(&self, connection: &mut MultiplexedConnection) -> Result<T, CallError> {
        Ok(match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }?)
    }
}
