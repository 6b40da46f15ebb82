//! Limits on the real binary: a flood waits its turn and hurts nobody, and every mail of it ends as declared.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::{End, Ended, Fleet, Ran, run},
    mails::{Mail, Mails},
    metrics::Metrics,
    receiver::{Answer, Receiver},
    soak::{scale, seeded, within},
};

const LIMIT: Duration = Duration::from_secs(240);
/// Jobs at once of one tenant.
const SLOTS: usize = 4;
const TENANTS: &str = "\"flood.example\" = \"flood\"\n\"quiet.example\" = \"quiet\"";

fn some(prefix: &str, count: usize) -> Vec<Mail> {
    let mut source = Mails::new(prefix, seeded(prefix));
    (0..count).map(|_| source.text()).collect()
}

/// Submits mails for one recipient.
async fn submit(fleet: &Fleet, to: &str, mails: &[Mail], more: &[&str]) -> Ran {
    let paths = fleet.write(mails);
    run(fleet.on_plane(&["submit", "--to", to]).args(more).args(paths), b"").await
}

/// Submits mails for one recipient and waits for their ends.
async fn ends(fleet: &Fleet, to: &str, mails: &[Mail]) -> Vec<Ended> {
    let wait = format!("--wait={}", (LIMIT * scale(1, 5)).as_secs());
    let ran = submit(fleet, to, mails, &["--json", &wait]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often each end came, with the beginning of its reason.
fn tally(ended: &[Ended]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for end in ended.iter().flat_map(|ended| &ended.ends) {
        *tally.entry(end.end.clone()).or_default() += 1;
    }
    tally
}

/// From when it was taken in to its end, in milliseconds, of each of these mails, sorted.
fn took(ended: &[Ended]) -> Vec<i64> {
    let took = |end: &End| end.at.as_millisecond() - end.first_seen.as_millisecond();
    let mut took: Vec<i64> = ended.iter().flat_map(|ended| &ended.ends).map(took).collect();
    took.sort_unstable();
    took
}

async fn dead_letters(fleet: &Fleet) -> usize {
    let listed = fleet.run(&["dlq", "list", "--each", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    listed.stdout.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count()
}

/// One tenant's mails, never more of them at once than it has slots: an ordinary tenant is within its limits.
async fn trickle(fleet: &Fleet, mails: &[Mail]) -> Vec<Ended> {
    let mut ended = Vec::new();
    for batch in mails.chunks(SLOTS) {
        ended.extend(ends(fleet, "desk@quiet.example", batch).await);
    }
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_tenant_drains_at_its_rate_and_delays_no_other() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let (rate, burst) = (40, 40);
        let config = Config::simple(&clamd, &receiver)
            .section("tenants", TENANTS)
            .section("limit.tenants", &format!("by = \"tenant\"\nrate = \"{rate}/sec burst {burst}\""))
            .section("limit.jobs", &format!("by = \"tenant\"\nconcurrency = {SLOTS}"));
        let fleet = Fleet::new(&config);
        let _workers = fleet.workers(2).await;
        let (first, before, beside) =
            (some("first", 5 * SLOTS), some("before", scale(20, 100)), some("beside", scale(20, 100)));
        let flood = some("flood", scale(600, 10_000));
        first.iter().chain(&before).chain(&beside).chain(&flood).for_each(|mail| receiver.expect("/hook", mail));

        // Connections and children that are made only once are no part of what is compared.
        trickle(&fleet, &first).await;
        let quiet = took(&trickle(&fleet, &before).await);
        let started = Instant::now();
        let (flooded, ordinary) = tokio::join!(ends(&fleet, "all@flood.example", &flood), trickle(&fleet, &beside));
        let lasted = started.elapsed();
        let ordinary = took(&ordinary);
        let at = |sorted: &[i64], share: usize| sorted[(sorted.len() * share / 100).min(sorted.len() - 1)];
        eprintln!(
            "ordinary mails: p50 {} ms, p99 {} ms alone; p50 {} ms, p99 {} ms beside a flood of \
             {} in {lasted:?}: p99 {:.2} times",
            at(&quiet, 50),
            at(&quiet, 99),
            at(&ordinary, 50),
            at(&ordinary, 99),
            flood.len(),
            at(&ordinary, 99) as f64 / at(&quiet, 99) as f64,
        );
        assert_eq!(tally(&flooded), [("delivered".to_owned(), flood.len())].into());
        let attempts: Vec<u32> = flooded.iter().flat_map(|e| &e.ends).map(|end| end.attempts).collect();
        assert!(attempts.iter().all(|attempts| *attempts <= 1), "a deferral burns no attempt");
        let least = Duration::from_secs_f64((flood.len() - burst - 1) as f64 / f64::from(rate));
        assert!(lasted >= least, "{} mails in {lasted:?}: faster than the rate", flood.len());
        assert_eq!(dead_letters(&fleet).await, 0);
        receiver.wait_complete(LIMIT).await.assert_sound();
    })
    .await;
}

/// Slots that are held for 50 to 200 ms, by twice as many mails at once as would fill them for seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_over_a_destinations_slots_keeps_them_busy_and_looks_seldom_in_vain() {
    within(LIMIT * 2, async {
        let (clamd, receiver, metrics) = (Clamd::start().await, Receiver::start().await, Metrics::free_port());
        let count = scale(120, 300);
        let takes: Vec<u64> = (0..count as u64).map(|n| 50 + n * 37 % 151).collect();
        let answers: Vec<Answer> = takes.iter().map(|ms| Answer::Slow(Duration::from_millis(*ms))).collect();
        receiver.plan("/hook", &answers, Answer::Status(200));
        let config = Config::simple(&clamd, &receiver)
            .section("telemetry", &metrics.section())
            .section("limit.slots", &format!("by = \"destination\"\nconcurrency = {SLOTS}"));
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mails = some("burst", count);
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        let ended = ends(&fleet, "desk@quiet.example", &mails).await;
        assert_eq!(tally(&ended), [("delivered".to_owned(), count)].into());
        receiver.report().assert_sound();
        let mut at = receiver.book(|book| book.arrivals().iter().map(|arrival| arrival.at).collect::<Vec<_>>());
        at.sort_unstable();
        let (lasted, least) = (at[count - 1] - at[0], Duration::from_millis(takes.iter().sum::<u64>() / SLOTS as u64));
        let over = "mailtri_limit_checks_total{limit=\"slots\",outcome=\"over\"}";
        let text = metrics.get().await;
        let in_vain = text.lines().find_map(|line| line.strip_prefix(over)?.trim().parse::<usize>().ok()).unwrap_or(0);
        eprintln!(
            "{count} mails over {SLOTS} slots: {lasted:?}, {:.2} times what the slots need, {:.2} looks in vain a mail",
            lasted.as_secs_f64() / least.as_secs_f64(),
            in_vain as f64 / count as f64,
        );
        // Two for each slot that comes back, and as many again for a busy machine.
        assert!(in_vain > 0 && in_vain <= 8 * count, "{in_vain} looks in vain for {count} mails");
        assert_eq!(dead_letters(&fleet).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_at_one_destination_leaves_room_for_another_tenants_mail() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let (rate, burst) = (10, 10);
        let config = Config::simple(&clamd, &receiver)
            .section("tenants", TENANTS)
            .section("limit.hook", &format!("by = \"destination\"\nrate = \"{rate}/sec burst {burst}\""));
        let fleet = Fleet::new(&config);
        let _workers = fleet.workers(2).await;
        let (flood, quiet) = (some("flood", scale(400, 4000)), some("quiet", 3));
        flood.iter().chain(&quiet).for_each(|mail| receiver.expect("/hook", mail));
        let ran = submit(&fleet, "all@flood.example", &flood, &[]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        // The whole flood has come to the limit: what was reserved in the order of arrival would be.
        receiver.wait(LIMIT, |book| book.arrivals().len() > burst + rate).await;
        let ended = ends(&fleet, "desk@quiet.example", &quiet).await;
        let delivered = receiver.book(|book| book.arrivals().len());
        assert_eq!(tally(&ended), [("delivered".to_owned(), quiet.len())].into());
        // Ten seconds' worth, and twice as much for a busy machine.
        assert!(delivered < burst + 31 * rate, "{delivered} of {} before the others", flood.len());
        receiver.wait_complete(LIMIT).await.assert_sound();
        assert_eq!(dead_letters(&fleet).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_without_a_turn_in_time_end_as_declared_and_none_is_a_dead_letter() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::simple(&clamd, &receiver)
            .section("stage.parse", "deadline = \"5s\"\nmax_age = \"5s\"")
            .section("limit.recipients", "by = \"recipient\"\nrate = \"2/hour burst 5\"\nexpired = \"reject\"")
            .section("limit.senders", "by = \"sender\"\nrate = \"2/hour burst 9\"\nenforce = false");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mails = some("excess", 40);
        mails.iter().for_each(|mail| receiver.allow("/hook", mail));
        let ended = ends(&fleet, "desk@quiet.example", &mails).await;
        let expected = [("delivered".to_owned(), 5), ("rejected".to_owned(), 35)];
        assert_eq!(tally(&ended), expected.into(), "{ended:?}");
        let rejected = ended.iter().flat_map(|e| &e.ends).filter(|end| end.end == "rejected");
        for end in rejected {
            assert_eq!(end.reason.as_deref(), Some("limit recipients: no turn came in time"));
        }
        assert_eq!(dead_letters(&fleet).await, 0);
        receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_their_limits_and_commands_see_and_reset_them() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::simple(&clamd, &receiver)
            .section("limit.recipients", "by = \"recipient\"\nrate = \"1/hour burst 7\"")
            .section("limit.volume", "by = \"recipient\"\nrate = \"1GiB/hour\"\ncost = \"bytes\"");
        let fleet = Fleet::new(&config);
        let _workers = fleet.workers(3).await;
        let mails = some("shared", 20);
        mails.iter().for_each(|mail| receiver.allow("/hook", mail));
        let (to, key) = ("desk@quiet.example", "recipient=Desk@Quiet.example");
        assert_eq!(submit(&fleet, to, &mails, &[]).await.code, Some(0));
        receiver.wait(LIMIT, |book| book.arrivals().len() >= 7).await;
        // The others have been asked when the burst is gone and their turns reserved: 13 hours of them.
        let says = async || {
            let ran = fleet.run(&["limits", "test", key, "--json"]).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|look| (look["limit"].as_str().unwrap().to_owned(), look)).collect::<BTreeMap<_, _>>()
        };
        let reserved = async {
            while says().await["recipients"]["wait_ms"].as_u64().unwrap() < 13 * 3_600_000 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, reserved).await.expect("every mail has its turn");
        let look = says().await;
        assert_eq!((&look["recipients"]["passes"], &look["volume"]["passes"]), (&false.into(), &true.into()));
        assert_eq!(receiver.book(|book| book.arrivals().len()), 7, "three processes pass together what one would");

        let reset = fleet.run(&["limits", "reset", key]).await;
        assert_eq!((reset.code, reset.stdout.as_str()), (Some(0), "forgotten by 2 limits\n"), "{reset:?}");
        assert_eq!(says().await["recipients"]["passes"], true);
        let fresh = some("fresh", 1);
        receiver.expect("/hook", &fresh[0]);
        assert_eq!(tally(&ends(&fleet, to, &fresh).await), [("delivered".to_owned(), 1)].into());

        let shown = fleet.run(&["limits", "show"]).await.stdout;
        assert!(
            shown.contains("1/hour burst 7") && shown.contains("local 50%") && shown.contains("1GiB/hour"),
            "{shown}"
        );
        for (key, said) in [
            ("route=invoices", "there is no route \"invoices\": see [[rule]]"),
            ("route=default", "no limit is declared by \"route\""),
            ("destination=invoices", "there is no destination \"invoices\": see [destination.NAME]"),
            ("sender=ann", "expected an address, such as sender=ann@example.org"),
            ("recipient=", "expected an address, such as recipient=ann@example.org"),
            ("sender-domain=ann@example.org", "expected a domain"),
            ("client-ip=example.org", "expected an IP address"),
            ("ingress=smtp", "expected ingress=submit or ingress=incoming"),
        ] {
            for word in ["test", "reset"] {
                let none = fleet.run(&["limits", word, key]).await;
                assert_eq!((none.code, none.stdout.as_str()), (Some(2), ""), "{none:?}");
                assert!(none.stderr.contains(said), "{none:?}");
            }
        }
        receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_takes_what_its_limit_lets_in_gives_the_next_a_turn_and_says_when_to_come_again() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config =
            Config::simple(&clamd, &receiver).section("limit.doors", "by = \"ingress\"\nrate = \"1/day burst 2\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let mails = some("door", 4);
        mails.iter().for_each(|mail| receiver.allow("/hook", mail));
        let ran = submit(&fleet, "desk@quiet.example", &mails, &[]).await;
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(75), 3), "{ran:?}");
        assert!(ran.stderr.contains("limit doors: no more is taken in before"), "{ran:?}");
        receiver.wait(LIMIT, |book| book.arrivals().len() == 2).await;
        let nobody = fleet.run(&["limits", "test", "tenant=nobody"]).await;
        assert!(nobody.stderr.contains("no domain belongs to a tenant \"nobody\""), "{nobody:?}");
        let look = fleet.run(&["limits", "test", "ingress=submit"]).await;
        assert!(look.stdout.contains("passes in 1 d 23 h") || look.stdout.contains("passes in 2 d"), "{look:?}");
        let look = fleet.run(&["limits", "test", "ingress=incoming"]).await;
        assert!(look.stdout.contains("passes now"), "another door is another: {look:?}");
        receiver.report().assert_sound();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_is_counted_apart_and_one_without_a_name_not_at_all() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let config = Config::simple(&clamd, &receiver)
            .section("limit.clients", "by = \"api-client\"\nrate = \"1/day burst 2\"")
            .section("[limit.clients.override]", "match = \"erp-*\"\nrate = \"20/min burst 2\"");
        let fleet = Fleet::new(&config);
        let _local = fleet.local().await;
        let (to, wait) = ("desk@quiet.example", format!("--wait={}", LIMIT.as_secs()));
        let hand_in = async |client: &str, mails: &[Mail]| {
            let ran = submit(&fleet, to, mails, &["--client", client]).await;
            assert_eq!(ran.code, Some(0), "{client}: {ran:?}");
        };

        let (burst, excess) = (some("crm", 2), some("crm-excess", 1));
        burst.iter().for_each(|mail| receiver.expect("/hook", mail));
        receiver.allow("/hook", &excess[0]);
        hand_in("crm", &burst).await;
        hand_in("crm", &excess).await;
        let full = submit(&fleet, to, &some("crm-more", 1), &["--client", "crm"]).await;
        assert_eq!((full.code, full.stdout.as_str()), (Some(75), ""), "its next turn is too far away: {full:?}");
        assert!(full.stderr.contains("limit clients: no more is taken in before"), "{full:?}");

        let wrong = submit(&fleet, to, &some("wrong", 1), &["--client", "CRM"]).await;
        assert_eq!(wrong.code, Some(2), "{wrong:?}");

        let (shop, unnamed, paced) = (some("shop", 2), some("unnamed", 4), some("erp", 4));
        shop.iter().chain(&unnamed).chain(&paced).for_each(|mail| receiver.expect("/hook", mail));
        hand_in("shop", &shop).await;
        assert_eq!(submit(&fleet, to, &unnamed, &[]).await.code, Some(0));
        let ran = submit(&fleet, to, &paced, &["--client", "erp-1", "--json", &wait]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ended: Vec<Ended> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(tally(&ended), [("delivered".to_owned(), 4)].into());
        let ends: Vec<&End> = ended.iter().flat_map(|ended| &ended.ends).collect();
        assert!(ends.iter().all(|end| end.attempts <= 1), "a turn burns no attempt: {ends:?}");
        // The turns are 0, 0, 3 and 6 seconds after the first was taken in, up to the moments in between.
        let after = |end: &End| end.at.as_millisecond() - ends[0].first_seen.as_millisecond();
        assert!(after(ends[2]) >= 2_500 && after(ends[3]) >= 5_500, "before their turns: {ends:?}");

        receiver.wait_complete(LIMIT).await.assert_sound();
        assert_eq!(receiver.book(|book| book.arrivals().len()), 12, "the excess still waits");
        for (key, says) in [("crm", false), ("shop", false), ("new", true)] {
            let look = fleet.run(&["limits", "test", &format!("api-client={key}")]).await;
            assert_eq!(look.stdout.contains("passes now"), says, "{key}: {look:?}");
        }
        assert_eq!(fleet.run(&["limits", "reset", "api-client=crm"]).await.stdout, "forgotten by 1 limit\n");
        let look = fleet.run(&["limits", "test", "api-client=crm"]).await;
        assert!(look.stdout.contains("passes now"), "{look:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_of_a_worker_that_died_comes_back() {
    within(LIMIT, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        receiver.plan("/hook", &[Answer::Hang], Answer::Status(200));
        let config = Config::simple(&clamd, &receiver)
            .short_leases(Duration::from_secs(3), 10)
            .section("limit.hook", "by = \"destination\"\nconcurrency = 1");
        let fleet = Fleet::new(&config);
        let _others = fleet.worker(&["parse", "scan", "route"]).await;
        let dying = fleet.worker(&["deliver"]).await;
        let mails = some("slot", 2);
        mails.iter().for_each(|mail| receiver.expect("/hook", mail));
        fleet.submit(&mails[..1]).await;
        receiver.wait(LIMIT, |book| book.arrivals().len() == 1).await;
        let look = fleet.run(&["limits", "test", "destination=hook"]).await;
        assert!(look.stdout.contains("no slot is free"), "{look:?}");
        dying.kill9().await;
        let _living = fleet.worker(&["deliver"]).await;
        fleet.submit(&mails[1..]).await;
        receiver.wait_complete(LIMIT).await.assert_sound();
        let free = async {
            while !fleet.run(&["limits", "test", "destination=hook"]).await.stdout.contains("passes now") {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, free).await.expect("the slot is given back");
    })
    .await;
}
