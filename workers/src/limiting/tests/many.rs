//! Many jobs, tenants and workers that were away.

use std::collections::BTreeMap;

use super::*;

#[tokio::test(start_paused = true)]
async fn turns_that_were_missed_do_not_pass_at_once() {
    let bench = Bench::new(vec![rate("senders", Scope::Sender, "10/sec burst 5")]);
    let subjects = from("a@x.example");
    let jobs: Vec<Context> = (0..100).map(|_| bench.job("acme")).collect();
    for job in &jobs {
        bench.turn(&subjects, job).await;
    }
    // The workers were away.
    tokio::time::advance(Duration::from_secs(600)).await;
    // The burst never waited; it has passed.
    for (n, job) in (0..).zip(&jobs[5..]) {
        let due = (n >= 5).then(|| (n - 4) * 100);
        assert_eq!(bench.turn(&subjects, job).await, due, "{n}");
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    for job in &jobs {
        assert_eq!(bench.turn(&subjects, job).await, None, "its new turn, or the one that it has used");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenants_exception_to_a_limit_across_tenants_is_its_own_bound() {
    fn own<T>(bound: Option<T>) -> Exception<T> {
        Exception { tenant: Some("flood".to_owned()), pattern: None, bound }
    }
    let bounds = Bounds { base: "5/sec burst 2".parse().ok(), exceptions: vec![own("2/hour burst 1".parse().ok())] };
    let kind = Kind::Rate { bounds, cost: Cost::Message };
    let slots = Kind::Slots(Bounds { base: NonZeroU32::new(3), exceptions: vec![own(NonZeroU32::new(1))] });
    let bench = Bench::new(vec![
        Limit { kind, ..rate("clients", Scope::ClientIp, "1/sec") },
        Limit { kind: slots, ..rate("jobs", Scope::ClientIp, "1/sec") },
    ]);
    let subjects = from("a@x.example").with_client("192.0.2.1".parse().unwrap());
    let mut held = Pass::of(subjects.clone());
    assert!(bench.stop(&mut held, &bench.job("flood")).await.is_none());
    assert!(bench.turn(&subjects, &bench.job("flood")).await.is_some());
    drop(held);
    tokio::task::yield_now().await;
    assert_eq!(bench.turn(&subjects, &bench.job("flood")).await, Some(1_800_000), "its own rate");
    let mut passes = Vec::new();
    for tenant in ["acme", "else"] {
        let mut pass = Pass::of(subjects.clone());
        assert!(bench.stop(&mut pass, &bench.job(tenant)).await.is_none(), "the others' burst and slots are whole");
        passes.push(pass);
    }
    assert_eq!(bench.turn(&subjects, &bench.job("acme")).await, Some(200), "and shared among them");
    let asked = bench.asked().concat();
    assert!(asked.iter().all(|key| key.starts_with("{client-ip.")), "{asked:?}");
}

/// Lets jobs that wait come back when their turn is, as the queue would; when each passed, in milliseconds.
async fn drain(bench: &Bench, jobs: &[(Context, Subjects)]) -> Vec<i64> {
    let begin = bench.clock.now();
    let millis = |at: Timestamp| at.as_millisecond() - begin.as_millisecond();
    let mut due: BTreeSet<(i64, usize)> = (0..jobs.len()).map(|n| (0, n)).collect();
    let mut passed = vec![0; jobs.len()];
    while let Some((at, n)) = due.pop_first() {
        let now = millis(bench.clock.now());
        tokio::time::advance(Duration::from_millis(u64::try_from(at - now).unwrap_or(0))).await;
        let (job, subjects) = &jobs[n];
        match bench.turn(subjects, job).await {
            None => passed[n] = millis(bench.clock.now()),
            Some(wait) => drop(due.insert((at.max(now) + wait, n))),
        }
    }
    passed
}

/// The most that pass in any second, and whether none passes before one that came earlier.
fn shape(passed: &[i64]) -> (usize, bool) {
    let mut sorted = passed.to_vec();
    sorted.sort_unstable();
    let in_second = |from: &i64| sorted.iter().filter(|at| (*from..from + 1000).contains(at)).count();
    (sorted.iter().map(in_second).max().unwrap_or(0), passed.is_sorted())
}

#[tokio::test(start_paused = true)]
async fn a_flood_under_a_limit_across_tenants_drains_at_its_rate_and_leaves_room_for_the_others() {
    let bench = Bench::new(vec![rate("clients", Scope::ClientIp, "4/sec burst 2")]);
    let subjects = from("a@x.example").with_client("192.0.2.1".parse().unwrap());
    let mut jobs: Vec<_> = (0..1000).map(|_| (bench.job("flood"), subjects.clone())).collect();
    jobs.push((bench.job("quiet"), subjects));
    let mut passed = drain(&bench, &jobs).await;
    let quiet = passed.pop().unwrap();
    assert!(quiet <= 11_000, "{quiet} ms behind a flood of 250 s");
    let (most, in_order) = shape(&passed);
    assert!(in_order && most <= 6, "{most} in a second");
    let last = *passed.last().unwrap();
    assert!((249_000..=251_000).contains(&last), "the rate is used to the full: {last}");
    let asked: usize = bench.asked().len();
    assert!(asked < 3 * 1001, "{asked} requests");
}

#[tokio::test(start_paused = true)]
async fn a_senders_flood_leaves_the_tenants_rate_to_the_other_senders() {
    let bench = Bench::new(vec![
        rate("senders", Scope::Sender, "1/sec burst 1"),
        rate("tenants", Scope::Tenant, "10/sec burst 10"),
    ]);
    let mut jobs: Vec<_> = (0..300).map(|_| (bench.job("acme"), from("flood@x.example"))).collect();
    jobs.extend((0..20).map(|n| (bench.job("acme"), from(&format!("{n}@x.example")))));
    let mut passed = drain(&bench, &jobs).await;
    let others = passed.split_off(300);
    assert!(others.iter().all(|at| *at <= 3000), "{others:?}");
    assert_eq!((shape(&passed), passed[299]), ((1, true), 299_000));
}

#[tokio::test(start_paused = true)]
async fn a_look_tells_of_the_tenants_own_line() {
    let bench = Bench::new(vec![rate("clients", Scope::ClientIp, "1/sec burst 1")]);
    let subjects = from("a@x.example").with_client("192.0.2.1".parse().unwrap());
    for _ in 0..100 {
        bench.turn(&subjects, &bench.job("flood")).await;
    }
    let waits = async |tenant| {
        let looks = bench.limiting.look(Scope::ClientIp, tenant, "192.0.2.1", 1).await.unwrap();
        looks[0].answer.as_ref().unwrap().waits.iter().max().unwrap().as_secs()
    };
    assert_eq!((waits("flood").await, waits("quiet").await), (100, 11));
    assert_eq!(bench.limiting.forget(Scope::ClientIp, "flood", "192.0.2.1").await, Ok(1));
    assert_eq!((waits("flood").await, waits("quiet").await), (0, 0));
}

/// Jobs that come at once and hold a slot for 50 to 200 ms each, where there are four: the time until the last is done over
/// that in which the slots could have done it all, and how often a job looked in vain.
async fn crowd(count: usize) -> (f64, f64) {
    let bench = Bench::new(vec![slots("jobs", 4)]);
    let begin = bench.clock.now();
    let millis = |at: Timestamp| at.as_millisecond() - begin.as_millisecond();
    let lasts = |n: usize| 50 + i64::try_from(n * 37 % 151).unwrap();
    let subjects = Subjects::one(Scope::Tenant, "acme");
    let mut jobs: Vec<Context> = (0..count).map(|_| bench.job("acme")).collect();
    let mut due: BTreeSet<(i64, usize)> = (0..count).map(|n| (i64::try_from(n).unwrap(), n)).collect();
    let (mut held, mut waited): (BTreeMap<(i64, usize), Pass>, _) = (BTreeMap::new(), 0);
    let mut last = 0;
    while let Some((at, n)) = due.pop_first() {
        while let Some(done) = held.first_entry().filter(|done| done.key().0 <= at) {
            let ((until, _), pass) = done.remove_entry();
            advance_to(&bench, begin, until).await;
            drop(pass);
            // The slot is given back.
            tokio::task::yield_now().await;
        }
        advance_to(&bench, begin, at).await;
        let mut pass = Pass::of(subjects.clone());
        match bench.stop(&mut pass, &jobs[n]).await {
            None => {
                let until = millis(bench.clock.now()) + lasts(n);
                last = last.max(until);
                held.insert((until, n), pass);
            }
            Some(Err(Failure::Defer { class: "over_limit", until, .. })) => {
                waited += 1;
                jobs[n].deferrals += 1;
                // A queue and a worker take their time.
                due.insert((millis(until) + i64::try_from(n % 10).unwrap(), n));
            }
            Some(other) => panic!("{other:?}"),
        }
    }
    let ideal = (0..count).map(lasts).sum::<i64>() as f64 / 4.0;
    (last as f64 / ideal, f64::from(waited) / count as f64)
}

async fn advance_to(bench: &Bench, begin: Timestamp, millis: i64) {
    let by = begin.as_millisecond() + millis - bench.clock.now().as_millisecond();
    tokio::time::advance(Duration::from_millis(u64::try_from(by).unwrap_or(0))).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_over_its_slots_drains_about_as_fast_as_they_allow() {
    for (count, most, seldom) in [(300, 1.3, 3.0), (1500, 1.2, 4.0)] {
        let (times, waited) = crowd(count).await;
        eprintln!("{count} jobs: {times:.2} times the least time, {waited:.2} looks in vain a job");
        assert!(times <= most && waited <= seldom, "{count} jobs: {times} times, {waited} looks in vain a job");
    }
}
