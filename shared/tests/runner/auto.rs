//! A stage that chooses its visibility: a dead worker's job comes back soon, and a slow job is not taken twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use shared::{
    outcome::{Failure, Outcome},
    policy::{AutoVisibility, Policy},
    queue::Queue,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::bench::{Bench, Now, POLICY, next, onward};

/// Without data longer than a test waits for anything.
const AUTO: Policy = Policy {
    visibility: Duration::from_secs(120),
    visibility_auto: Some(AutoVisibility { least: Duration::from_secs(1), most: Duration::from_secs(600) }),
    heartbeat: Duration::from_secs(60),
    progress: Duration::from_secs(60),
    deadline: Duration::from_secs(60),
    ..POLICY
}
.checked();
/// Jobs from this one on are slow.
const SLOW: u32 = 1000;

/// Sends fast jobs through until the stage asks for less than its policy; says how many they were, and what it asks for.
async fn settled_down(bench: &Bench) -> (u32, Duration) {
    for job in 1..SLOW {
        bench.submit(job).await;
        bench.passed().await;
        if let Some(asked) = bench.asked().filter(|asked| *asked < AUTO.visibility) {
            assert!(job > 20, "{job} runs are too few to tell");
            return (job, asked);
        }
    }
    panic!("it still asks for {:?}", bench.asked());
}

#[tokio::test]
async fn without_data_it_asks_for_the_policy_s_and_says_what_it_asks_for() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::new();
    let runner = bench.start(AUTO, |_| async { onward() });
    bench.submit(1).await;
    bench.passed().await;
    assert!(bench.here.asked.lock().unwrap().iter().all(|asked| *asked == AUTO.visibility));
    let says = |asked: Duration| {
        let line = format!("mailtri_visibility_chosen_seconds{{stage=\"here\"}} {}\n", asked.as_secs());
        assert!(recorder.handle().render().contains(&line), "{line}{}", recorder.handle().render());
    };
    says(AUTO.visibility);
    let (_, asked) = settled_down(&bench).await;
    bench.stop(runner).await;
    says(bench.asked().unwrap_or(asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_rises_while_slow_jobs_run_and_none_is_taken_twice() {
    let bench = Bench::new();
    let takes = Arc::new(AtomicU64::new(0));
    let millis = Arc::clone(&takes);
    let runner = bench.start(AUTO, move |now| {
        let takes = if now.job < SLOW { 0 } else { millis.load(Ordering::SeqCst) };
        async move {
            tokio::time::sleep(Duration::from_millis(takes)).await;
            onward()
        }
    });
    let (fast, before) = settled_down(&bench).await;
    takes.store(u64::try_from(before.as_millis()).unwrap() * 2, Ordering::SeqCst);
    let slow = 8;
    for job in SLOW..SLOW + slow {
        bench.submit(job).await;
    }
    for _ in 0..slow {
        bench.passed().await;
    }
    let after = bench.asked().unwrap();
    bench.stop(runner).await;
    assert!(after >= before * 3, "{before:?}, then {after:?}");
    assert_eq!(bench.runs(), fast + slow);
    let left = [&*bench.here as &dyn Queue, &*bench.there, &*bench.dead];
    for queue in left {
        assert_eq!(queue.depth().await.unwrap().total(), 0, "{}", queue.name());
    }
}

/// A worker of its own that ends without settling anything.
struct Worker(Option<tokio::runtime::Runtime>);

impl Worker {
    fn start<R>(bench: &Bench, act: impl Fn(Now) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let entered = runtime.enter();
        let _runner: JoinHandle<()> = bench.start(AUTO, act);
        drop(entered);
        Self(Some(runtime))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_worker_s_job_comes_back_within_what_was_chosen() {
    let bench = Bench::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    let worker = Worker::start(&bench, move |now| {
        let started = started.clone();
        async move {
            if now.job < SLOW {
                return onward();
            }
            let _ = started.send(());
            std::future::pending().await
        }
    });
    let (_, asked) = settled_down(&bench).await;
    assert!(asked * 3 < AUTO.visibility, "{asked:?}");
    bench.submit(SLOW).await;
    starts.recv().await.unwrap();
    drop(worker);
    // Waits for 20 seconds at most, a sixth of the policy's visibility.
    let back = next(&*bench.here.inner).await;
    assert_eq!(back.receive_count, 2);
}
