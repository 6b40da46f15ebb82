//! The bytes that a task is about: held, or streamed from where they are.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use shared::blobs::{BlobError, ByteStream};

/// Bytes of known length that can be read more than once: a second attempt reads them again.
#[async_trait]
pub trait Body: Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins to read them.
    ///
    /// # Errors
    /// What the store answers.
    async fn open(&self) -> Result<ByteStream, BlobError>;
}

#[async_trait]
impl Body for Bytes {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    async fn open(&self) -> Result<ByteStream, BlobError> {
        let bytes = self.clone();
        Ok(stream::once(async { Ok(bytes) }).boxed())
    }
}
