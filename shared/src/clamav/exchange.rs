//! One command and its reply on one connection.
//!
//! A verdict is only asked for by the terminating empty chunk, and that is only sent after every byte of the
//! source: clamd can never answer for a part. Memory is bounded by one frame and whatever the source hands out; the
//! source is read no faster than clamd takes it.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use futures::{FutureExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{ScanError, Verdict, endpoint::Connection, reply};
use crate::blobs::{BlobError, ByteStream};

/// Smaller pieces of the source are joined up to this size.
const JOIN: usize = 64 * 1024;
/// Larger ones are split.
const LARGEST: usize = 1024 * 1024;

/// Begins a stream.
const START: &[u8] = b"zINSTREAM\0";

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
    /// clamd answered before its end, so it was no answer to all of it.
    Answered(Vec<u8>),
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

/// Announces a chunk of so many bytes and sends none of it. clamd refuses one past `StreamMaxLength` by the number
/// alone; one that it would take ends with our end of the stream, and no answer.
pub(super) async fn offer(connection: &mut impl Connection, len: u32) -> Result<bool, ScanError> {
    let offer = [START, &len.to_be_bytes()].concat();
    connection.write_all(&offer).await.map_err(unavailable)?;
    connection.shutdown().await.map_err(unavailable)?;
    let reply = receive(connection).await?;
    if reply.bytes.is_empty() {
        return reply.broken.map_or(Ok(true), |error| Err(unavailable(error)));
    }
    reply::refusal(&reply.bytes).map(|_| false)
}

/// Sends the stream, each chunk within `write`, and returns the verdict on it.
pub(super) async fn scan(
    connection: &mut impl Connection,
    source: ByteStream,
    write: Duration,
) -> Result<Verdict, ScanError> {
    let mut sender = Sender { connection, write, command: START };
    match sender.send(source).await {
        Ok(()) => judge(receive(connection).await?),
        Err(Cut::Source(error)) => Err(ScanError::Source(error)),
        // It takes nothing, so it will not say anything either.
        Err(Cut::Connection(error)) if error.kind() == io::ErrorKind::TimedOut => Err(unavailable(error)),
        Err(Cut::Answered(mut bytes)) => {
            // It hears that nothing more comes, and ends its answer.
            connection.shutdown().await.map_err(unavailable)?;
            bytes.extend(receive(connection).await?.bytes);
            if bytes.is_empty() { Err(closed()) } else { reply::refusal(&bytes) }
        }
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
        (None, true) => Err(closed()),
        // clamd resets a connection from which it did not read everything: that is no scan of everything.
        (Some(_), false) => reply::refusal(&reply.bytes),
        (None, false) => reply::verdict(&reply.bytes),
    }
}

/// Writes to clamd, each write within a deadline.
struct Sender<'c, C> {
    connection: &'c mut C,
    write: Duration,
    /// Goes before the first chunk, in one write with it: clamd would be woken for each.
    command: &'static [u8],
}

impl<C: Connection> Sender<'_, C> {
    async fn send(&mut self, mut source: ByteStream) -> Result<(), Cut> {
        let mut joined = BytesMut::new();
        while let Some(piece) = source.next().await {
            let piece = piece.map_err(Cut::Source)?;
            if joined.len() + piece.len() > JOIN {
                self.chunks(&joined).await?;
                joined.clear();
            }
            if piece.len() >= JOIN {
                self.chunks(&piece).await?;
            } else {
                joined.extend_from_slice(&piece);
            }
        }
        self.chunks(&joined).await?;
        self.nothing_yet()?;
        let command = std::mem::take(&mut self.command);
        self.write(Buf::chain(command, &[0; 4][..])).await
    }

    /// Whether clamd has not answered yet. What comes now cannot know that the stream ends here.
    fn nothing_yet(&mut self) -> Result<(), Cut> {
        let mut early = vec![0; reply::MAX_REPLY];
        match self.connection.read(&mut early).now_or_never() {
            None => Ok(()),
            Some(Ok(read)) => {
                early.truncate(read);
                Err(Cut::Answered(early))
            }
            Some(Err(error)) => Err(Cut::Connection(error)),
        }
    }

    /// Sends bytes as chunks; none for no bytes, since an empty chunk ends the stream.
    async fn chunks(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        for chunk in bytes.chunks(LARGEST) {
            #[expect(clippy::cast_possible_truncation, reason = "a chunk is at most 1 MiB")]
            let len = (chunk.len() as u32).to_be_bytes();
            let command = std::mem::take(&mut self.command);
            self.write(Buf::chain(command, &len[..]).chain(chunk)).await?;
        }
        Ok(())
    }

    async fn write(&mut self, mut bytes: impl Buf) -> Result<(), Cut> {
        let written = timeout(self.write, self.connection.write_all_buf(&mut bytes)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(Cut::Connection)
    }
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

fn closed() -> ScanError {
    ScanError::Unavailable("clamd closed the connection without an answer".to_owned())
}

fn unavailable(error: io::Error) -> ScanError {
    ScanError::Unavailable(error.to_string())
}
