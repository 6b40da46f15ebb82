//! One command and its reply on one connection.
//!
//! A verdict is only asked for by the terminating empty chunk, and that is only sent after every byte of the
//! source: clamd can never answer for a part. Memory is bounded by one frame and whatever the source hands out.

use std::io;

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ScanError, Verdict, endpoint::Connection, reply};
use crate::blobs::{BlobError, ByteStream};

/// Smaller pieces of the source are joined up to this size.
const JOIN: usize = 64 * 1024;
/// Larger ones are split.
const LARGEST: usize = 1024 * 1024;

/// What clamd sent until it closed.
struct Reply {
    bytes: Vec<u8>,
    /// The error that ended it instead of an orderly close.
    broken: Option<io::Error>,
}

/// Why a stream was not sent to its end.
enum Cut {
    Source(BlobError),
    Connection(io::Error),
}

/// Sends a command without arguments and returns its reply.
pub(super) async fn ask(connection: &mut impl Connection, command: &[u8]) -> Result<Vec<u8>, ScanError> {
    connection.write_all(command).await.map_err(unavailable)?;
    let reply = receive(connection).await?;
    match reply.broken {
        None => Ok(reply.bytes),
        Some(error) => Err(unavailable(error)),
    }
}

/// Sends the stream and returns the verdict on it.
pub(super) async fn scan(connection: &mut impl Connection, source: ByteStream) -> Result<Verdict, ScanError> {
    match send(connection, source).await {
        Ok(()) => judge(receive(connection).await?),
        Err(Cut::Source(error)) => Err(ScanError::Source(error)),
        // clamd says why it does not read on, then closes.
        Err(Cut::Connection(error)) => match receive(connection).await? {
            Reply { bytes, .. } if bytes.is_empty() => Err(unavailable(error)),
            Reply { bytes, .. } => reply::refusal(&bytes),
        },
    }
}

fn judge(reply: Reply) -> Result<Verdict, ScanError> {
    match (reply.broken, reply.bytes.is_empty()) {
        (Some(error), true) => Err(unavailable(error)),
        (None, true) => Err(ScanError::Unavailable("clamd closed the connection without an answer".to_owned())),
        // clamd resets a connection from which it did not read everything: that is no scan of everything.
        (Some(_), false) => reply::refusal(&reply.bytes),
        (None, false) => reply::verdict(&reply.bytes),
    }
}

async fn send(connection: &mut impl Connection, mut source: ByteStream) -> Result<(), Cut> {
    connection.write_all(b"zINSTREAM\0").await.map_err(Cut::Connection)?;
    let mut joined = BytesMut::new();
    while let Some(piece) = source.next().await {
        let piece = piece.map_err(Cut::Source)?;
        if joined.len() + piece.len() > JOIN {
            send_chunks(connection, &joined).await?;
            joined.clear();
        }
        if piece.len() >= JOIN {
            send_chunks(connection, &piece).await?;
        } else {
            joined.extend_from_slice(&piece);
        }
    }
    send_chunks(connection, &joined).await?;
    connection.write_all(&[0; 4]).await.map_err(Cut::Connection)
}

/// Sends bytes as chunks; none for no bytes, since an empty chunk ends the stream.
async fn send_chunks(connection: &mut impl Connection, bytes: &[u8]) -> Result<(), Cut> {
    for chunk in bytes.chunks(LARGEST) {
        #[expect(clippy::cast_possible_truncation, reason = "a chunk is at most 1 MiB")]
        let len = (chunk.len() as u32).to_be_bytes();
        connection.write_all_buf(&mut Buf::chain(&len[..], chunk)).await.map_err(Cut::Connection)?;
    }
    Ok(())
}

/// Reads until clamd closes, as it does after each reply.
async fn receive(connection: &mut impl Connection) -> Result<Reply, ScanError> {
    let mut bytes = Vec::new();
    let end = connection.take(reply::MAX_REPLY as u64 + 1).read_to_end(&mut bytes).await;
    if bytes.len() > reply::MAX_REPLY {
        return Err(ScanError::Garbled);
    }
    Ok(Reply { bytes, broken: end.err() })
}

fn unavailable(error: io::Error) -> ScanError {
    ScanError::Unavailable(error.to_string())
}
