//! What `mailtri local` costs: flat memory over many mails, next to nothing when idle.

use std::time::Duration;

use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails},
    process::{Process, Usage, usage},
    receiver::Receiver,
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(300);
/// Samples of memory.
const STEPS: u32 = 8;
/// Growth of resident memory that the second half of the mails may bring: allocators keep what they once had.
const GROWTH_KIB: u64 = 48 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_over_many_mails_and_an_idle_fleet_costs_next_to_nothing() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver));
        let local = fleet.local().await;
        let mut source = Mails::new("many", seeded("resources"));
        let mails = scale(400, 2000);
        let start = cost(&local);
        let mut rss = vec![start.rss_kib];
        for _ in 0..STEPS {
            feed(&fleet, &receiver, &mut source, mails / STEPS).await;
            let (alone, all) = (local.usage(), cost(&local));
            rss.push(all.rss_kib);
            eprintln!("RSS {} MiB, with its children {} MiB", alone.rss_kib / 1024, all.rss_kib / 1024);
        }
        let end = cost(&local);
        eprintln!("CPU: {:.1} ms a mail", (end.cpu - start.cpu) * 1000.0 / f64::from(mails));
        let growth = rss[rss.len() - 1].saturating_sub(rss[rss.len() / 2]);
        assert!(growth < GROWTH_KIB, "memory grows, in KiB: {rss:?}");
        receiver.report().assert_sound();

        let idle = Duration::from_secs(scale(5, 30));
        let before = cost(&local);
        tokio::time::sleep(idle).await;
        let share = (cost(&local).cpu - before.cpu) / idle.as_secs_f64();
        eprintln!("idle: {:.2} % of a core", share * 100.0);
        assert!(share < 0.1, "an idle fleet is busy: {share}");
    })
    .await;
}

async fn feed(fleet: &Fleet, receiver: &Receiver, source: &mut Mails, count: u32) {
    let mails: Vec<Mail> = (0..count).map(|_| source.any()).collect();
    mails.iter().for_each(|mail| receiver.expect("/hook", mail));
    for batch in mails.chunks(50) {
        fleet.submit(batch).await;
    }
    receiver.wait_complete(LIMIT).await;
}

/// Of the process and its sandbox together.
fn cost(process: &Process) -> Usage {
    process
        .children()
        .into_iter()
        .map(usage)
        .fold(process.usage(), |sum, child| Usage { rss_kib: sum.rss_kib + child.rss_kib, cpu: sum.cpu + child.cpu })
}
