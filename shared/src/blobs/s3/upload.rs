//! The body of a streamed put.
//!
//! It holds back its last piece until the source has ended and its length and checksum are right: S3 never sees the end of
//! a body that is not what was declared, and stores nothing.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::StreamExt;
use http_body::{Frame, SizeHint};
use sha2::{Digest, Sha256};

use super::super::{BlobError, ByteStream};

/// What a body was declared to be.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub(super) len: u64,
    pub(super) sha256: [u8; 32],
}

impl Declared {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    /// Whether a body that ended is the one that was declared.
    pub(super) fn check(&self, len: u64, sha256: [u8; 32]) -> Result<(), BlobError> {
        if len < self.len {
            return Err(BlobError::Damaged("shorter than declared"));
        }
        if len > self.len {
            return Err(BlobError::Damaged("longer than declared"));
        }
        if sha256 == self.sha256 { Ok(()) } else { Err(BlobError::Damaged("checksum is not as declared")) }
    }
}

/// A source as an HTTP body of known length.
pub(super) struct Upload {
    declared: Declared,
    /// In a mutex because the SDK wants bodies that are `Sync`; it is never locked.
    source: Mutex<Option<ByteStream>>,
    hash: Sha256,
    read: u64,
    sent: u64,
    held: Option<Bytes>,
    /// Why the body failed: the SDK reports only that it did.
    fault: Arc<OnceLock<BlobError>>,
}

impl Upload {
    pub(super) fn new(declared: &Declared, source: ByteStream, fault: Arc<OnceLock<BlobError>>) -> Self {
        let source = Mutex::new(Some(source));
        Self { declared: *declared, source, hash: Sha256::new(), read: 0, sent: 0, held: None, fault }
    }

    /// The next piece that may be sent.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BlobError>> {
        loop {
            let source = self.source.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Some(stream) = source else { return Poll::Ready(Ok(None)) };
            match ready!(stream.poll_next_unpin(cx)).transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    let held = self.take_in(piece)?;
                    if held.is_some() {
                        return Poll::Ready(Ok(held));
                    }
                }
                None => {
                    *source = None;
                    self.declared.check(self.read, self.hash.finalize_reset().into())?;
                    return Poll::Ready(Ok(self.held.take()));
                }
            }
        }
    }

    /// Holds a piece back and hands out the one before it.
    fn take_in(&mut self, piece: Bytes) -> Result<Option<Bytes>, BlobError> {
        self.read += piece.len() as u64;
        if self.read > self.declared.len {
            return Err(BlobError::Damaged("longer than declared"));
        }
        self.hash.update(&piece);
        Ok(self.held.replace(piece))
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BlobError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BlobError>>> {
        let piece = ready!(self.poll_piece(cx)).inspect_err(|error| {
            // The first fault is the cause of any other.
            self.fault.set(error.clone()).ok();
        });
        if let Ok(Some(piece)) = &piece {
            self.sent += piece.len() as u64;
        }
        Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.declared.len
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared.len - self.sent)
    }
}
