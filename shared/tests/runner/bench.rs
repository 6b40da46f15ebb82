//! A stage whose behaviour is a closure, its runner, and the queues around it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::value::RawValue;
use shared::{
    audit::AuditKey,
    blobs::{Blobs, Condition, dir::DirBlobs},
    budget::Budget,
    clock::Clock,
    envelope::{DeadLetter, Envelope, Origin},
    ids::{StageName, TenantId, WorkId},
    outcome::{Failure, Hop, Outcome},
    policy::{Backoff, Policy},
    queue::{Depth, Outgoing, Queue, QueueError, Receipt, Received, batch::Batcher, sqlite::SqliteQueues},
    runner::{Fleet, Runner, Suspects},
    settle::{Settler, StageQueues},
    shutdown::Shutdown,
    stage::{Context, Stage},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const HERE: StageName = StageName("here");
pub(crate) const THERE: StageName = StageName("there");
/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const POLICY: Policy = Policy {
    visibility: Duration::from_secs(1),
    visibility_auto: None,
    heartbeat: Duration::from_millis(200),
    progress: Duration::from_secs(30),
    deadline: Duration::from_secs(30),
    concurrency: 4,
    max_attempts: 2,
    max_crashes: 3,
    backoff: Backoff { first: Duration::from_millis(100), longest: Duration::from_millis(100) },
    max_age: Duration::from_secs(3600),
}
.checked();

type Run = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send>>;

/// What a run knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) job: u32,
    pub(crate) attempt: u32,
    /// Runs of the stage so far, this one included.
    pub(crate) run: u32,
    pub(crate) at: jiff::Timestamp,
}

pub(crate) struct Probe {
    act: Box<dyn Fn(Now) -> Run + Send + Sync>,
    runs: Arc<AtomicU32>,
}

#[async_trait]
impl Stage for Probe {
    type Job = u32;

    fn name(&self) -> StageName {
        HERE
    }

    fn bytes(&self, _job: &u32) -> u64 {
        1
    }

    async fn run(&self, job: u32, ctx: &Context) -> Result<Outcome, Failure> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        (self.act)(Now { job, attempt: ctx.attempt, run, at: ctx.clock.now() }).await
    }
}

/// The work goes on.
pub(crate) fn onward() -> Result<Outcome, Failure> {
    Ok(Outcome::hop(Hop { to: THERE, branch: String::new(), job: raw(1) }))
}

pub(crate) fn raw(n: u32) -> Box<RawValue> {
    serde_json::value::to_raw_value(&n).unwrap()
}

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) here: Arc<Watched>,
    pub(crate) dead: Arc<dyn Queue>,
    /// The same, as the runner has it.
    pub(crate) letters: Arc<Watched>,
    pub(crate) there: Arc<dyn Queue>,
    pub(crate) shutdown: Shutdown,
    pub(crate) runs: Arc<AtomicU32>,
    pub(crate) fleet: Fleet,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let queues = SqliteQueues::open(&dir.path().join("queue"), clock.clone()).unwrap();
        let [here, letters] =
            ["here", "here-dlq"].map(|name| Arc::new(Watched::over(queues.queue(name, None).unwrap())));
        let (dead, there) = (Arc::clone(&letters.inner), queues.queue("there", None).unwrap());
        let of = |work: Arc<dyn Queue>| StageQueues { work: Batcher::new(work), dead: Batcher::new(letters.clone()) };
        let map = BTreeMap::from([(HERE, of(here.clone())), (THERE, of(Arc::clone(&there)))]);
        let blobs: Arc<dyn Blobs> = Arc::new(DirBlobs::open(&dir.path().join("blobs")).unwrap());
        let shutdown = Shutdown::default();
        let fleet = Fleet {
            settler: Settler { queues: Arc::new(map), blobs },
            budget: Budget::new(1 << 20),
            clock,
            shutdown: shutdown.clone(),
            key: AuditKey::new(vec![1; 32]),
            suspects: Suspects::default(),
        };
        Self { dir, here, dead, letters, there, shutdown, runs: Arc::default(), fleet }
    }

    /// Starts the runner.
    pub(crate) fn start<F, R>(&self, policy: Policy, act: F) -> JoinHandle<()>
    where
        F: Fn(Now) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        let probe = Probe { act: Box::new(move |now| Box::pin(act(now))), runs: Arc::clone(&self.runs) };
        tokio::spawn(Runner::new(probe, policy, self.here.clone(), self.fleet.clone()).run())
    }

    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn submit(&self, job: u32) {
        let work = WorkId::new(format!("w{job}")).unwrap();
        let origin = Origin { work, tenant: TenantId::default_tenant(), first_seen: Clock::system().now() };
        self.put(Envelope::first(origin, HERE, raw(job)).encode().unwrap()).await;
    }

    pub(crate) async fn put(&self, body: String) {
        let message = Outgoing { body, delay: Duration::ZERO, group: "g".to_owned() };
        self.here.inner.send(&[message]).await.pop().unwrap().unwrap();
    }

    /// Writes an object, as a settlement does.
    pub(crate) async fn write(&self, key: &str, body: Vec<u8>) {
        self.fleet.settler.blobs.put(key, body.into(), Condition::Always).await.unwrap();
    }

    /// Waits until the stage has no job left.
    pub(crate) async fn settled(&self) {
        let wait = async {
            while self.here.inner.depth().await.unwrap().total() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    /// The next dead letter.
    pub(crate) async fn letter(&self) -> DeadLetter {
        DeadLetter::decode(&next(&*self.dead).await.body)
    }

    /// Waits until a job came out at the other end.
    pub(crate) async fn passed(&self) -> Envelope {
        Envelope::decode(&next(&*self.there).await.body).unwrap()
    }

    /// The visibility of the latest receive.
    pub(crate) fn asked(&self) -> Option<Duration> {
        self.here.asked.lock().unwrap().last().copied()
    }

    /// Stops the runner and says that it stopped.
    pub(crate) async fn stop(&self, runner: JoinHandle<()>) {
        self.shutdown.draining.cancel();
        tokio::time::timeout(PATIENCE, runner).await.unwrap().unwrap();
    }
}

/// The next message of a queue, taken out.
pub(crate) async fn next(queue: &dyn Queue) -> Received {
    let never = CancellationToken::new();
    let message = queue.receive(1, PATIENCE, Duration::from_secs(60), &never).await.unwrap().pop();
    let message = message.unwrap_or_else(|| panic!("nothing came to {}", queue.name()));
    queue.delete(std::slice::from_ref(&message.receipt)).await.pop().unwrap().unwrap();
    message
}

/// A queue that remembers the receipts it gave out, so that a test can take a lease away, and what it was asked for.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Queue>,
    pub(crate) receipts: Mutex<Vec<Receipt>>,
    /// The visibility of every receive.
    pub(crate) asked: Mutex<Vec<Duration>>,
    pub(crate) polls: Mutex<Polls>,
    /// How long a receive takes beside its wait. With one the queue is like SQS also in that it ends no poll early.
    pub(crate) latency: Mutex<Duration>,
    /// Whether it takes no message.
    pub(crate) closed: AtomicBool,
}

impl Watched {
    fn over(inner: Arc<dyn Queue>) -> Self {
        Self {
            inner,
            receipts: Mutex::default(),
            asked: Mutex::default(),
            polls: Mutex::default(),
            latency: Mutex::default(),
            closed: AtomicBool::default(),
        }
    }
}

/// Receives under way, and what they ask for.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    pub(crate) now: usize,
    /// Most at once.
    pub(crate) most: usize,
    /// Those that brought nothing.
    pub(crate) empty: usize,
    /// Messages that may be brought or are held.
    leased: usize,
    pub(crate) most_leased: usize,
}

impl Polls {
    fn begin(&mut self, max: usize) {
        self.now += 1;
        self.leased += max;
        self.most = self.most.max(self.now);
        self.most_leased = self.most_leased.max(self.leased);
    }

    fn end(&mut self, max: usize, brought: usize) {
        self.now -= 1;
        self.leased -= max - brought;
        self.empty += usize::from(brought == 0);
    }
}

#[async_trait]
impl Queue for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        if self.closed.load(Ordering::SeqCst) {
            return vec![Err(QueueError::Unavailable("closed".to_owned())); batch.len()];
        }
        self.inner.send(batch).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
        stop: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        self.asked.lock().unwrap().push(visibility);
        self.polls.lock().unwrap().begin(max);
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        let deaf = CancellationToken::new();
        let stop = if latency.is_zero() { stop } else { &deaf };
        let received = self.inner.receive(max, wait, visibility, stop).await;
        self.polls.lock().unwrap().end(max, received.as_ref().map_or(0, Vec::len));
        let received = received?;
        self.receipts.lock().unwrap().extend(received.iter().map(|message| message.receipt.clone()));
        Ok(received)
    }

    async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>> {
        self.polls.lock().unwrap().leased -= batch.len();
        self.inner.delete(batch).await
    }

    async fn change_visibility(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        self.inner.change_visibility(batch).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.depth().await
    }
}
