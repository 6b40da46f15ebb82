//! What is remembered, for whom and of what.

use std::path::Path;

use shared::{clock::Clock, state::sqlite::SqliteState};

use super::*;

fn memory(dir: &Path) -> (Memory, Arc<dyn State>) {
    let state: Arc<dyn State> = Arc::new(SqliteState::open(dir, Clock::system()).unwrap());
    (Memory::new(Arc::clone(&state), AuditKey::new(vec![7; 32])), state)
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
    let untagged = turned.split("\"tag\"").next().unwrap().to_owned() + "\"tag\":\"\"}";
    let not_ours = Memory::new(Arc::clone(&state), AuditKey::new(vec![8; 32]));
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
async fn failed_scans_add_up_until_the_content_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, _) = memory(dir.path());
    let broken = ScanError::Unavailable("reset".to_owned());
    let content = content(1);
    assert_eq!(memory.count(&content, &ScanError::Unreachable("down".to_owned())).await, Failures::default());
    assert_eq!(memory.count(&content, &ScanError::Deadline).await, Failures { late: 1, broken: 0 });
    for times in 1..BROKEN {
        let failures = memory.count(&content, &broken).await;
        assert_eq!((failures, failures.verdict()), (Failures { late: 1, broken: times }, None));
    }
    let verdict = memory.count(&content, &broken).await.verdict();
    assert!(matches!(verdict, Some(Verdict::Unscannable { reason }) if reason.contains("went away")));
    assert_eq!(memory.failures(&content).await, Failures { late: 1, broken: BROKEN });
    let verdict = Failures { late: LATE, broken: 0 }.verdict();
    assert!(matches!(verdict, Some(Verdict::Unscannable { reason }) if reason.contains("deadline")));
}
