//! What is remembered, for whom and of what.

use std::path::Path;

use shared::{clock::Clock, state::sqlite::SqliteState};

use super::*;

fn memory(dir: &Path) -> (Memory, Arc<dyn State>) {
    let state: Arc<dyn State> = Arc::new(SqliteState::open(dir, Clock::system()).unwrap());
    (Memory::new(Arc::clone(&state), AuditKey::new(vec![7; 32]), Clock::system()), state)
}

fn content(byte: u8) -> Digest {
    Digest { len: 10, sha256: [byte; 32] }
}

fn engine(database: Option<&str>) -> EngineVersion {
    EngineVersion { engine: "ClamAV 1.4.3".to_owned(), database: database.map(str::to_owned), built: None }
}

fn scan(verdict: Verdict, database: Option<&str>) -> Scan {
    Scan { verdict, engine: engine(database) }
}

#[tokio::test]
async fn a_verdict_holds_for_its_bytes_and_its_signatures() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = memory(dir.path());
    let clean = scan(Verdict::Clean, Some("1"));
    memory.remember(&content(1), &clean).await;
    assert_eq!(memory.verdict(&content(1), &clean.engine).await, Some(clean.clone()));
    assert_eq!(memory.verdict(&content(2), &clean.engine).await, None);
    assert_eq!(memory.verdict(&Digest { len: 11, ..content(1) }, &clean.engine).await, None);
    assert_eq!(memory.verdict(&content(1), &engine(Some("2"))).await, None);
    let newer = EngineVersion { engine: "ClamAV 1.5.0".to_owned(), ..engine(Some("1")) };
    assert_eq!(memory.verdict(&content(1), &newer).await, None);
}

#[tokio::test]
async fn only_what_another_scan_would_say_again_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = memory(dir.path());
    let reason = || "x".to_owned();
    for (i, verdict, remembered) in [
        (1, Verdict::Clean, true),
        (2, Verdict::Infected { signature: reason() }, true),
        (3, Verdict::Encrypted { reason: reason() }, true),
        (4, Verdict::LimitsExceeded { reason: reason() }, false),
        (5, Verdict::Unscannable { reason: reason() }, false),
    ] {
        let given = scan(verdict, Some("1"));
        memory.remember(&content(i), &given).await;
        assert_eq!(memory.verdict(&content(i), &given.engine).await, remembered.then_some(given));
    }
    let unversioned = scan(Verdict::Clean, None);
    memory.remember(&content(6), &unversioned).await;
    assert_eq!(memory.verdict(&content(6), &unversioned.engine).await, None);
}

#[tokio::test]
async fn who_can_write_to_the_state_makes_nothing_clean() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, state) = memory(dir.path());
    let infected = scan(Verdict::Infected { signature: "Eicar".to_owned() }, Some("1"));
    let clean = scan(Verdict::Clean, Some("1"));
    memory.remember(&content(1), &infected).await;
    memory.remember(&content(2), &clean).await;
    let (key, other) = (verdict_key(&content(1)), verdict_key(&content(2)));
    let genuine = String::from_utf8(state.get(&key).await.unwrap().unwrap()).unwrap();
    let foreign = state.get(&other).await.unwrap().unwrap();
    let turned = genuine.replace(r#"{"verdict":"infected","signature":"Eicar"}"#, r#"{"verdict":"clean"}"#);
    assert_ne!(turned, genuine);
    let untagged = &turned[turned.find('{').unwrap()..];
    let not_ours = Memory::new(Arc::clone(&state), AuditKey::new(vec![8; 32]), Clock::system());
    not_ours.remember(&content(3), &clean).await;
    let forged = state.get(&verdict_key(&content(3))).await.unwrap().unwrap();
    for bytes in [turned.as_bytes(), untagged.as_bytes(), &foreign, &forged, b"", b"{}", b"clean"] {
        state.set(&key, bytes, REMEMBER).await.unwrap();
        assert_eq!(memory.verdict(&content(1), &clean.engine).await, None, "{}", String::from_utf8_lossy(bytes));
    }
    state.set(&key, genuine.as_bytes(), REMEMBER).await.unwrap();
    assert_eq!(memory.verdict(&content(1), &clean.engine).await, Some(infected));
}

#[tokio::test]
async fn who_can_write_to_the_state_spares_no_content_its_scan() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, state) = memory(dir.path());
    let key = failures_key(&content(1));
    let forged = serde_json::to_vec(&Failures { late: LATE, ..Failures::default() }).unwrap();
    let foreign = sealed::seal(&AuditKey::new(vec![8; 32]), PURPOSE, &key, &forged);
    for bytes in [forged, foreign] {
        state.set(&key, &bytes, HOLD).await.unwrap();
        assert_eq!(memory.failures(&content(1)).await, Failures::default());
    }
    assert_eq!(memory.count(&content(1), Mishap::Late).await.late, 1);
}

/// Failures at these seconds, in this order.
fn failures(mishaps: &[(Mishap, i64)]) -> Failures {
    let at = |second| Timestamp::from_second(second).unwrap();
    let none = Failures::default();
    mishaps.iter().fold(none, |known, (mishap, second)| known.and(*mishap, at(*second)).unwrap_or(known))
}

#[test]
fn failed_scans_add_up_until_the_content_is_given_up() {
    use Mishap::{Broken, GivenUp, Late};
    let apart = |mishap, times: i64| (0..times).map(|i| (mishap, i * 30)).collect::<Vec<_>>();
    let unscannable = |failures: Failures, why: &str| matches!(failures.verdict(), Some(Verdict::Unscannable { reason }) if reason.contains(why));
    assert_eq!(failures(&apart(Broken, 4)).verdict(), None);
    assert!(unscannable(failures(&apart(Broken, 5)), "went away"));
    assert_eq!(failures(&apart(Late, 1)).verdict(), None);
    assert!(unscannable(failures(&apart(Late, 2)), "deadline"));
    let limits = Some(Verdict::LimitsExceeded { reason: MAX_SCAN_TIME.to_owned() });
    for (mishaps, verdict) in [
        (vec![(GivenUp, 0)], None),
        (vec![(GivenUp, 0), (GivenUp, 110)], limits.clone()),
        (vec![(GivenUp, 0), (Late, 120)], limits.clone()),
        (vec![(GivenUp, 0), (Broken, 60)], None),
    ] {
        assert_eq!(failures(&mishaps).verdict(), verdict, "{mishaps:?}");
        assert_eq!(failures(&mishaps).is_late(), verdict.is_some());
    }
    assert!(!failures(&apart(Broken, 5)).is_late());
}

#[tokio::test]
async fn one_incident_counts_once_however_many_scans_it_ends() {
    use Mishap::{Broken, Late};
    let once = failures(&[(Broken, 0), (Broken, 0), (Broken, 1), (Broken, 29), (Late, 29)]);
    assert_eq!((once.broken, once.late), (1, 0));
    assert_eq!(failures(&[(Broken, 0), (Broken, 29), (Broken, 30), (Broken, 59), (Broken, 60)]).broken, 3);
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = memory(dir.path());
    let content = content(1);
    let counted = futures::future::join_all((0..40).map(|_| memory.count(&content, Broken))).await;
    assert!(counted.iter().all(|failures| failures.verdict().is_none()));
    assert_eq!(memory.failures(&content).await.broken, 1);
}

#[test]
fn only_what_may_be_the_content_s_doing_is_a_mishap() {
    let text = || "x".to_owned();
    for (error, mishap) in [
        (ScanError::Deadline, Some(Mishap::Late)),
        (ScanError::Unavailable(text()), Some(Mishap::Broken)),
        (ScanError::Unreachable(text()), None),
        (ScanError::Unfit(text()), None),
        (ScanError::Garbled, None),
    ] {
        assert_eq!(Mishap::of_error(&error), mishap);
    }
    let limits = |reason: &str| Verdict::LimitsExceeded { reason: reason.to_owned() };
    assert_eq!(Mishap::of_verdict(&limits("Heuristics.Limits.Exceeded.MaxScanTime")), Some(Mishap::GivenUp));
    assert_eq!(Mishap::of_verdict(&limits("Heuristics.Limits.Exceeded.MaxFiles")), None);
    assert_eq!(Mishap::of_verdict(&Verdict::Clean), None);
}
