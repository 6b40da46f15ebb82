//! A store in a directory, for one machine and any number of processes.
//!
//! The object `a/b` is the file `objects/a/b~`. No key contains `~`, so that `a` and `a/b` are both possible. A file
//! is written under `tmp/`, verified, synced and only then given its name, so that an object is there whole or
//! not at all, and nothing partial survives a crash or a power cut.
//!
//! Directories of objects are made and pruned as keys come and go. Where another process has just made one, its
//! entry is covered by the file system's journal, which commits in order.

mod file;
mod list;
mod place;

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use self::{
    file::{CHUNK, Draft, Header, Reader},
    place::make_dir,
};
use super::{BlobError, Blobs, Body, ByteStream, Condition, ETag, Meta, Object, Page, Put, check_key};

/// What a crash left under `tmp/` is removed when it is older.
const LEFTOVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A store of objects in one directory. Its files are readable by their owner only.
#[derive(Debug, Clone)]
pub struct DirBlobs {
    store: Arc<Store>,
}

/// The two directories of a store. They lie in one file system, so that a rename is atomic.
#[derive(Debug)]
struct Store {
    objects: PathBuf,
    tmp: PathBuf,
}

impl Store {
    fn path(&self, key: &str) -> PathBuf {
        self.objects.join(format!("{key}{MARK}"))
    }
}

/// Ends the name of every file that is an object.
const MARK: char = '~';

impl DirBlobs {
    /// Opens the store in `root`, making what is missing, and removes what crashed puts left there. Blocks briefly.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] if the directory cannot be made or read.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let store = Store { objects: root.join("objects"), tmp: root.join("tmp") };
        let prepare = || {
            for dir in [root, &store.objects, &store.tmp] {
                make_dir(dir, true)?;
            }
            place::sync_dir(root)?;
            remove_leftovers(&store.tmp)
        };
        prepare().map_err(unavailable)?;
        Ok(Self { store: Arc::new(store) })
    }

    /// Runs `work` where it may block.
    async fn run<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Store, &str) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        blocking(move || work(&store, &key)).await
    }

    async fn put_stream(
        &self,
        key: &str,
        header: Header,
        stream: ByteStream,
        condition: Condition,
    ) -> Result<Put, BlobError> {
        let begin = move |store: &Store, key: &str| {
            let taken = condition == Condition::IfAbsent && place::exists(store, key)?;
            if taken { Ok(None) } else { Draft::create(&store.tmp, header).map(Some) }
        };
        match self.run(key, begin).await? {
            None => Ok(Put::Exists),
            Some(draft) => {
                let draft = fill(draft, stream).await?;
                self.run(key, move |store, key| place::publish(store, key, draft, condition)).await
            }
        }
    }
}

#[async_trait]
impl Blobs for DirBlobs {
    async fn put(&self, key: &str, body: Body, condition: Condition) -> Result<Put, BlobError> {
        check_key(key)?;
        match body {
            Body::Bytes(bytes) => self.run(key, move |store, key| put_bytes(store, key, &bytes, condition)).await,
            Body::Stream { len, sha256, stream } => {
                self.put_stream(key, Header { len, sha256 }, stream, condition).await
            }
        }
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>, if_match: Option<&ETag>) -> Result<Object, BlobError> {
        check_key(key)?;
        let if_match = if_match.cloned();
        // The first chunk comes with the opening: a small object takes one trip to another thread.
        let open = move |store: &Store, key: &str| {
            let (header, mut reader) = Reader::open(&store.path(key), range, if_match.as_ref())?;
            let first = reader.next_chunk()?;
            Ok((header.meta(), first, reader))
        };
        let (meta, first, reader) = self.run(key, open).await?;
        let body = stream::iter(first.map(Ok)).chain(chunks(reader)).boxed();
        Ok(Object { meta, body })
    }

    async fn head(&self, key: &str) -> Result<Option<Meta>, BlobError> {
        check_key(key)?;
        let head = |store: &Store, key: &str| match Reader::open(&store.path(key), None, None) {
            Ok((header, _)) => Ok(Some(header.meta())),
            Err(BlobError::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
        self.run(key, head).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        check_key(key)?;
        self.run(key, |store, key| place::remove(store, key).map_err(unavailable)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, BlobError> {
        let after = after.map(str::to_owned);
        self.run(prefix, move |store, prefix| list::page(&store.objects, prefix, after.as_deref(), limit)).await
    }
}

fn put_bytes(store: &Store, key: &str, bytes: &[u8], condition: Condition) -> Result<Put, BlobError> {
    if condition == Condition::IfAbsent && place::exists(store, key)? {
        return Ok(Put::Exists);
    }
    let mut draft = Draft::create(&store.tmp, Header::of(bytes))?;
    draft.write(bytes)?;
    place::publish(store, key, draft, condition)
}

/// Writes the stream in pieces of about [`CHUNK`], however small its own are.
async fn fill(mut draft: Draft, stream: ByteStream) -> Result<Draft, BlobError> {
    // A stream may panic when it is polled after its end, and the last piece does not tell that it is the last.
    let mut stream = stream.fuse();
    loop {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut size = 0;
        while size < CHUNK {
            let Some(piece) = stream.try_next().await? else { break };
            size += piece.len();
            pieces.push(piece);
        }
        if pieces.is_empty() {
            return Ok(draft);
        }
        let write = move || pieces.iter().try_for_each(|piece| draft.write(piece)).map(|()| draft);
        draft = blocking(write).await?;
    }
}

/// What is left to read, a chunk at a time, none ahead of its reader.
fn chunks(reader: Reader) -> impl futures::Stream<Item = Result<Bytes, BlobError>> + Send {
    stream::try_unfold(reader, |mut reader| async {
        if reader.is_done() {
            return Ok(None);
        }
        let (chunk, reader) = blocking(move || Ok((reader.next_chunk()?, reader))).await?;
        Ok(chunk.map(|chunk| (chunk, reader)))
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let stopped = |_| Err(BlobError::Unavailable("the storage task was stopped".to_owned()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(stopped)
}

/// An error of the file system; its text names no path.
fn unavailable(error: io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

fn remove_leftovers(tmp: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        let age =
            entry.metadata().and_then(|meta| meta.modified()).map(|at| now.duration_since(at).unwrap_or_default());
        // Another process may be finishing or sweeping it at this moment: what is gone needs no removal.
        match age.and_then(|age| if age > LEFTOVER { fs::remove_file(entry.path()) } else { Ok(()) }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
