//! The embedded plane: everything the fleet needs in one directory, shared by several processes.
//!
//! ```text
//! DIR/queue      the queues, one SQLite file
//! DIR/blobs      the store: raw mails, ends, quarantine, attachments
//! DIR/state      what may vanish
//! DIR/incoming   mails to be taken in
//! DIR/audit.key  links audit records; keep it
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use shared::{
    audit::AuditKey,
    blobs::{BlobError, Blobs, dir::DirBlobs},
    clock::Clock,
    limit::{Limiter, local::LocalLimiter},
    policy::MAX_RECEIVES,
    queue::{
        Queue, QueueError,
        batch::Batcher,
        sqlite::{Redrive, SqliteQueues},
    },
    settle::{Settler, StageQueues},
    state::{State, StateError, sqlite::SqliteState},
};

use crate::{
    jobs::LOCAL_BUCKET,
    pipeline::{PIPELINE, StageName},
};

/// The queues of a stage.
#[derive(Debug, Clone)]
pub struct Queues {
    /// Its jobs.
    pub work: Arc<dyn Queue>,
    /// Its dead letters.
    pub dead: Arc<dyn Queue>,
}

/// The buckets that mails are taken from, and no others.
#[derive(Debug, Clone)]
pub struct Sources(Arc<BTreeMap<String, Arc<dyn Blobs>>>);

impl Sources {
    /// The bucket with that name, if mails are taken from it.
    #[must_use]
    pub fn get(&self, bucket: &str) -> Option<&Arc<dyn Blobs>> {
        self.0.get(bucket)
    }
}

/// The opened plane.
#[derive(Debug, Clone)]
pub struct Plane {
    /// Where it is.
    pub dir: PathBuf,
    /// The queues of every stage.
    pub queues: BTreeMap<StageName, Queues>,
    /// The store.
    pub blobs: Arc<dyn Blobs>,
    /// The name of its bucket.
    pub bucket: String,
    /// The buckets that mails are taken from, by name.
    pub sources: Sources,
    /// What may vanish.
    pub state: Arc<dyn State>,
    /// The limiter.
    pub limiter: Arc<dyn Limiter>,
    /// Wall-clock time.
    pub clock: Clock,
}

/// Why the plane cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// There is no such directory, and the command makes none.
    #[error("there is no data directory at {0}")]
    Missing(PathBuf),
    /// The directory or a file of ours in it.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The queues.
    #[error("the queues cannot be opened: {0}")]
    Queues(#[from] QueueError),
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Blobs(#[from] BlobError),
    /// The state.
    #[error("the state cannot be opened: {0}")]
    State(#[from] StateError),
}

impl Plane {
    /// Opens the plane, making what is missing.
    ///
    /// # Errors
    /// When something of it cannot be made or opened.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, PlaneError> {
        let incoming = dir.join("incoming");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&incoming)
            .map_err(|source| PlaneError::Io { path: incoming, source })?;
        let queues = SqliteQueues::open(&dir.join("queue"), clock.clone())?;
        let of = |row: &crate::pipeline::Row| {
            let dead = format!("{}-dlq", row.stage);
            let redrive = Redrive { max_receives: MAX_RECEIVES, dead_letter: dead.clone() };
            let (work, dead) = (queues.queue(row.stage.0, Some(redrive))?, queues.queue(&dead, None)?);
            Ok::<_, QueueError>((row.stage, Queues { work, dead }))
        };
        let blobs: Arc<dyn Blobs> = Arc::new(DirBlobs::open(&dir.join("blobs"))?);
        Ok(Self {
            dir: dir.to_owned(),
            queues: PIPELINE.iter().map(of).collect::<Result<_, _>>()?,
            sources: Sources(Arc::new([(LOCAL_BUCKET.to_owned(), Arc::clone(&blobs))].into())),
            blobs,
            bucket: LOCAL_BUCKET.to_owned(),
            state: Arc::new(SqliteState::open(&dir.join("state"), clock.clone())?),
            limiter: Arc::new(LocalLimiter::new(clock.clone())),
            clock,
        })
    }

    /// Opens a plane that is there already.
    ///
    /// # Errors
    /// When it is not, or cannot be opened.
    pub fn open_existing(dir: &Path, clock: Clock) -> Result<Self, PlaneError> {
        if dir.join("queue").is_dir() { Self::open(dir, clock) } else { Err(PlaneError::Missing(dir.to_owned())) }
    }

    /// What carries out settlements on this plane.
    #[must_use]
    pub fn settler(&self) -> Settler {
        let batched = |queue: &Arc<dyn Queue>| Batcher::new(Arc::clone(queue));
        let queues = self.queues.iter();
        let queues = queues.map(|(s, q)| (*s, StageQueues { work: batched(&q.work), dead: batched(&q.dead) }));
        Settler { queues: Arc::new(queues.collect()), blobs: Arc::clone(&self.blobs) }
    }

    /// The key that links audit records: the configured one, or one that is made once, readable by its owner only.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn audit_key(&self, configured: Option<&SecretString>) -> Result<AuditKey, PlaneError> {
        if let Some(key) = configured {
            return Ok(AuditKey::new(key.expose_secret().as_bytes().to_vec()));
        }
        let path = self.dir.join("audit.key");
        let fail = |source| PlaneError::Io { path: path.clone(), source };
        if !path.try_exists().map_err(fail)? {
            make_key(&self.dir, &path).map_err(fail)?;
        }
        Ok(AuditKey::new(fs::read(&path).map_err(fail)?))
    }
}

/// Writes a random key beside its place and links it there, so that nobody ever reads half a key and the first
/// of several processes wins.
fn make_key(dir: &Path, path: &Path) -> io::Result<()> {
    let draft = dir.join(format!("audit.key.{}", uuid::Uuid::now_v7()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&rand::rng().random::<[u8; 32]>())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
