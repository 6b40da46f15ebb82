//! Batches single operations by ten and by 1 MiB, and retries what failed of a batch.
use super::*;
use tokio::time::Instant;
/// stub
#[derive(Debug, Clone)]
pub struct Batcher {
    q: std::sync::Arc<dyn Queue>,
}
impl Batcher {
    /// stub
    pub fn new(q: std::sync::Arc<dyn Queue>) -> Self {
        Self { q }
    }
    /// stub
    pub async fn send(&self, m: Outgoing) -> Result<(), QueueError> {
        self.q.send(&[m]).await.pop().unwrap_or(Ok(()))
    }
    /// stub
    pub async fn delete(&self, r: Receipt, _u: Instant) -> Result<(), QueueError> {
        self.q.delete(&[r]).await.pop().unwrap_or(Ok(()))
    }
    /// stub
    pub async fn change_visibility(&self, r: Receipt, d: Duration, _u: Instant) -> Result<(), QueueError> {
        self.q.change_visibility(&[(r, d)]).await.pop().unwrap_or(Ok(()))
    }
}
