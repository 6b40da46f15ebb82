//! Several polls at once: while the queue gives, for no more than the free slots, and each to its end.

use std::time::Duration;

use shared::{policy::Policy, queue::Queue};
use tokio::time::{sleep, timeout};

use crate::bench::{Bench, PATIENCE, POLICY, next, onward};

const SLOTS: usize = 40;
const WIDE: Policy = Policy { concurrency: SLOTS, ..POLICY };
/// Of a receive: as long as a round trip to a queue that is elsewhere.
const LATENCY: Duration = Duration::from_millis(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl Bench {
    /// A queue with round trips, and so many jobs in it.
    async fn far_away(jobs: u32) -> Self {
        let bench = Self::new();
        *bench.here.latency.lock().unwrap() = LATENCY;
        for job in 0..jobs {
            bench.submit(job).await;
        }
        bench
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    async fn passed_all(&self, jobs: u32) {
        for _ in 0..jobs {
            self.passed().await;
        }
    }

    fn polling(&self) -> usize {
        self.here.polls.lock().unwrap().now
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_queue_gives_full_batches_several_poll_and_for_no_more_than_the_free_slots() {
    let jobs = 200;
    let bench = Bench::far_away(jobs).await;
    let runner = bench.start(WIDE, |_| async {
        sleep(LATENCY * 2).await;
        onward()
    });
    bench.passed_all(jobs).await;
    bench.stop(runner).await;
    let polls = bench.here.polls.lock().unwrap();
    assert!((2..=4).contains(&polls.most), "{polls:?}");
    assert!(polls.most_leased <= SLOTS, "{polls:?}");
    assert_eq!(bench.runs(), jobs);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_slots_have_one_poller() {
    let bench = Bench::far_away(60).await;
    let runner = bench.start(Policy { concurrency: 8, ..WIDE }, |_| async { onward() });
    bench.passed_all(60).await;
    bench.stop(runner).await;
    let polls = bench.here.polls.lock().unwrap();
    assert_eq!(polls.most, 1, "{polls:?}");
    assert!(polls.most_leased <= 8, "{polls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pollers_that_find_little_leave_so_that_an_idle_stage_asks_no_oftener_than_one() {
    let bench = Bench::far_away(100).await;
    let runner = bench.start(WIDE, |_| async { onward() });
    bench.passed_all(100).await;
    assert!(bench.here.polls.lock().unwrap().most > 1);
    // Sooner or later there are rounds of empty receives, one at a time.
    let alone = async {
        loop {
            let seen = {
                let mut polls = bench.here.polls.lock().unwrap();
                polls.most = polls.now;
                polls.empty
            };
            bench.until(|bench| bench.here.polls.lock().unwrap().empty >= seen + 3).await;
            if bench.here.polls.lock().unwrap().most == 1 {
                return;
            }
        }
    };
    timeout(PATIENCE, alone).await.unwrap();
    bench.stop(runner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_polls_bring_while_the_process_drains_is_given_back() {
    let bench = Bench::far_away(40).await;
    let policy = Policy { visibility: Duration::from_secs(10), ..WIDE };
    let runner = bench.start(policy, |_| async { onward() });
    bench.passed_all(40).await;
    // Polls that end by themselves only: half of the visibility later, or when something comes.
    bench.until(|bench| bench.polling() >= 2).await;
    bench.shutdown.draining.cancel();
    let late = 5;
    for job in 100..100 + late {
        bench.submit(job).await;
    }
    timeout(PATIENCE, runner).await.unwrap().unwrap();
    assert_eq!((bench.polling(), bench.runs()), (0, 40), "every poll has ended, and nothing was begun");
    assert_eq!(bench.here.depth().await.unwrap().visible, u64::from(late), "visible again at once");
    for _ in 0..late {
        next(&*bench.here.inner).await;
    }
}
