//! The planes: where the fleet's queues, objects and state are.
//!
//! The embedded one is a directory that several processes share; the production one is SQS, S3 and Redis.
//!
//! ```text
//! DIR/queue      the queues, one SQLite file
//! DIR/blobs      the store: raw mails, ends, quarantine, attachments
//! DIR/state      what may vanish
//! DIR/limits     what limits have charged; may vanish
//! DIR/incoming   mails to be taken in
//! DIR/audit.key  links audit records; keep it
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    num::NonZeroUsize,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use shared::{
    audit::AuditKey,
    aws,
    blobs::{BlobError, Blobs, dir::DirBlobs, s3::S3Blobs},
    clock::Clock,
    limit::{LimitError, Limiter, redis::RedisLimiter, sqlite::SqliteLimiter},
    policy::MAX_RECEIVES,
    queue::{
        Queue, QueueError,
        batch::Batcher,
        sqlite::{Redrive, SqliteQueues},
        sqs::SqsQueue,
    },
    redis::{self, Redis, error::CallError},
    settle::{Settler, StageQueues},
    state::{State, StateError, redis::RedisState, sqlite::SqliteState},
};

use crate::{
    jobs::LOCAL_BUCKET,
    pipeline::{PIPELINE, StageName},
    settings::AwsSettings,
};

/// Connections of the state's pool, in one process.
const REDIS_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
/// How long the state may take to answer a command, which has nothing else to go by. A job waits less ([`shared::allowance`]).
const STATE_TIMEOUT: Duration = Duration::from_millis(500);

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
    /// The directory of the embedded one.
    pub dir: Option<PathBuf>,
    /// The queues of every stage.
    pub queues: BTreeMap<StageName, Queues>,
    /// The store.
    pub blobs: Arc<dyn Blobs>,
    /// The name of its bucket.
    pub bucket: String,
    /// Whether the store itself announces what is put under `raw/`.
    pub announces: bool,
    /// The buckets that mails are taken from, by name.
    pub sources: Sources,
    /// What may vanish.
    pub state: Arc<dyn State>,
    /// The limiter.
    pub limiter: Arc<dyn Limiter>,
    /// What the state and the limiter of the production plane are on.
    pub redis: Option<Arc<Redis>>,
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
    /// Redis.
    #[error("redis: {0}")]
    Redis(String),
    /// The production plane has no directory to make a key in.
    #[error("audit.key_env or audit.key_file is needed: every process needs the same key")]
    NoAuditKey,
    /// The queues.
    #[error("the queues cannot be opened: {0}")]
    Queues(#[from] QueueError),
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Blobs(#[from] BlobError),
    /// The state.
    #[error("the state cannot be opened: {0}")]
    State(#[from] StateError),
    /// The limiter.
    #[error("the limits cannot be opened: {0}")]
    Limits(#[from] LimitError),
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
            dir: Some(dir.to_owned()),
            queues: PIPELINE.iter().map(of).collect::<Result<_, _>>()?,
            sources: Sources(Arc::new([(LOCAL_BUCKET.to_owned(), Arc::clone(&blobs))].into())),
            blobs,
            bucket: LOCAL_BUCKET.to_owned(),
            announces: false,
            state: Arc::new(SqliteState::open(&dir.join("state"), clock.clone())?),
            limiter: Arc::new(SqliteLimiter::open(&dir.join("limits"), clock.clone())?),
            redis: None,
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

    /// Opens the production plane. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub async fn aws(settings: &AwsSettings, clock: Clock) -> Result<Self, PlaneError> {
        let config = aws::load(&settings.config).await;
        let (sqs, s3) = (aws::sqs_client(&config), aws::s3_client(&config));
        let queue = |name: String| -> Arc<dyn Queue> {
            Arc::new(SqsQueue::new(sqs.clone(), format!("{}{name}", settings.queue_prefix), name))
        };
        let of = |row: &crate::pipeline::Row| {
            (row.stage, Queues { work: queue(row.stage.to_string()), dead: queue(format!("{}-dlq", row.stage)) })
        };
        let bucket = |name: &String| -> Arc<dyn Blobs> {
            Arc::new(S3Blobs::new(s3.clone(), name.clone(), settings.options.clone()))
        };
        let names = settings.sources.iter().chain([&settings.bucket]);
        let failed = |error: CallError| PlaneError::Redis(error.to_string());
        let patient = redis::Settings { timeout: STATE_TIMEOUT, ..settings.redis.clone() };
        let shared = Arc::new(Redis::multiplexed(&settings.redis).map_err(failed)?);
        let pool = Redis::pooled(&patient, REDIS_CONNECTIONS).map_err(failed)?.beside(&shared);
        Ok(Self {
            dir: None,
            queues: PIPELINE.iter().map(of).collect(),
            blobs: bucket(&settings.bucket),
            bucket: settings.bucket.clone(),
            announces: true,
            sources: Sources(Arc::new(names.map(|name| (name.clone(), bucket(name))).collect())),
            state: Arc::new(RedisState::new(Arc::new(pool))),
            limiter: Arc::new(RedisLimiter::new(Arc::clone(&shared), clock.clone())),
            redis: Some(shared),
            clock,
        })
    }

    /// Finds out what no waiting mends, before anything runs.
    ///
    /// # Errors
    /// When the Redis wants another login, or is part of a cluster.
    pub async fn check(&self) -> Result<(), PlaneError> {
        let Some(redis) = &self.redis else { return Ok(()) };
        redis.check().await.map_err(|error| PlaneError::Redis(error.to_string()))
    }

    /// What carries out settlements on this plane.
    #[must_use]
    pub fn settler(&self) -> Settler {
        let batched = |queue: &Arc<dyn Queue>| Batcher::new(Arc::clone(queue));
        let queues = self.queues.iter();
        let queues = queues.map(|(s, q)| (*s, StageQueues { work: batched(&q.work), dead: batched(&q.dead) }));
        Settler { queues: Arc::new(queues.collect()), blobs: Arc::clone(&self.blobs) }
    }

    /// The queues whose depths a process of these stages tells, as (stage, `work` or `dead`, queue). Where every process
    /// has a role of its own, that is what a stage's role may ask: its own queue. The exporter's may ask for the others.
    #[must_use]
    pub fn watched(&self, stages: &[StageName]) -> Vec<(StageName, &'static str, Arc<dyn Queue>)> {
        let embedded = self.dir.is_some();
        let mine = self.queues.iter().filter(|(stage, _)| embedded || stages.contains(stage));
        mine.flat_map(|(stage, queues)| {
            let dead = embedded.then(|| (*stage, "dead", Arc::clone(&queues.dead)));
            [(*stage, "work", Arc::clone(&queues.work))].into_iter().chain(dead)
        })
        .collect()
    }

    /// The key that links audit records: the configured one, or one that is made once, readable by its owner only.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn audit_key(&self, configured: Option<&SecretString>) -> Result<AuditKey, PlaneError> {
        if let Some(key) = configured {
            return Ok(AuditKey::new(key.expose_secret().as_bytes().to_vec()));
        }
        let dir = self.dir.as_ref().ok_or(PlaneError::NoAuditKey)?;
        let path = dir.join("audit.key");
        let fail = |source| PlaneError::Io { path: path.clone(), source };
        if !path.try_exists().map_err(fail)? {
            make_key(dir, &path).map_err(fail)?;
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
