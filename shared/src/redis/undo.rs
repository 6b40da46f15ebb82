//! Calls that change something, and what takes the change back when nobody has its answer.
//!
//! A call that timed out, or whose caller went away, was sent all the same, and the server carries it out. It is
//! not dropped here: a task of its own waits for the reply, and if nobody takes that, sends what takes it back over the
//! same connection.

use std::time::Duration;

use deadpool_redis::redis::{FromRedisValue, Value, aio::MultiplexedConnection};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{call::Call, error::CallError};

/// For so long a reply is waited for that nobody awaits any more: a server that hung for longer has lost its clients.
const PATIENCE: Duration = Duration::from_secs(600);

/// A call, and from its reply the call that takes it back, if there is anything to take back.
pub(crate) struct Undoable<T> {
    pub(crate) call: Call<'static>,
    pub(crate) undo: Box<dyn FnOnce(T) -> Option<Call<'static>> + Send>,
}

impl<T: FromRedisValue + Send + 'static> Undoable<T> {
    /// Makes the call. When this future is dropped, or its answer, the change is taken back.
    pub(super) async fn over(self, mut connection: MultiplexedConnection) -> Result<T, CallError> {
        let (answering, answered) = oneshot::channel();
        tokio::spawn(async move {
            let asked = self.call.over(&mut connection);
            let answer = timeout(PATIENCE, asked).await.unwrap_or(Err(CallError::Late(PATIENCE)));
            let kept = answer.map(|reply| Kept(Some(Change { reply, undo: self.undo, connection })));
            // Whoever drops it last takes the change back.
            drop(answering.send(kept));
        });
        // The task ends without an answer only with the runtime.
        let gone = || CallError::Broken("the process ends".to_owned());
        answered.await.unwrap_or_else(|_| Err(gone())).and_then(|kept| kept.take().ok_or_else(gone))
    }
}

struct Change<T> {
    reply: T,
    undo: Box<dyn FnOnce(T) -> Option<Call<'static>> + Send>,
    connection: MultiplexedConnection,
}

/// A reply on its way to its caller.
struct Kept<T>(Option<Change<T>>);

impl<T> Kept<T> {
    fn take(mut self) -> Option<T> {
        self.0.take().map(|change| change.reply)
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let Some(Change { reply, undo, mut connection }) = self.0.take() else { return };
        // Without a runtime the process ends.
        let (Some(call), Ok(runtime)) = (undo(reply), Handle::try_current()) else { return };
        runtime.spawn(async move {
            if let Err(error) = call.over::<Value>(&mut connection).await {
                tracing::debug!(%error, "what a late reply granted was not given back");
            }
        });
    }
}
