//! The embedded state: the conformance suite, and what only a file can do.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::tempdir;

use super::{SqliteState, State};
use crate::{
    clock::Clock,
    state::conformance::{Rig, conformance_tests},
};

const LONG: Duration = Duration::from_secs(600);

async fn rig() -> Rig {
    let dir = tempdir().unwrap();
    let state = SqliteState::open(dir.path(), Clock::starting_at(Timestamp::UNIX_EPOCH)).unwrap();
    Rig { state: Arc::new(state), keep: Box::new(dir) }
}

conformance_tests!(rig, (start_paused = true));

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compare_and_set_is_atomic_across_opens() {
    let dir = tempdir().unwrap();
    let opens: Vec<_> = (0..4).map(|_| SqliteState::open(dir.path(), Clock::system()).unwrap()).collect();
    for round in 0..20 {
        let key = format!("k{round}");
        let tries = (0..40).map(|n| {
            let (state, key) = (opens[n % 4].clone(), key.clone());
            tokio::spawn(async move { state.compare_and_set(&key, None, Some(b"v"), LONG).await.unwrap() })
        });
        let won = join_all(tries).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn expired_rows_are_purged_by_later_writes() {
    let dir = tempdir().unwrap();
    let state = SqliteState::open(dir.path(), Clock::starting_at(Timestamp::UNIX_EPOCH)).unwrap();
    for n in 0..30 {
        state.set(&format!("old{n}"), b"v", Duration::from_secs(1)).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    state.set("new", b"v", LONG).await.unwrap();
    state.set("new", b"v", LONG).await.unwrap();
    let rows: i64 = Connection::open(dir.path().join("state.db"))
        .unwrap()
        .query_row("SELECT COUNT(*) FROM entry", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let dir = tempdir().unwrap();
    drop(SqliteState::open(dir.path(), Clock::system()).unwrap());
    let file = Connection::open(dir.path().join("state.db")).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    let error = SqliteState::open(dir.path(), Clock::system()).unwrap_err();
    assert!(error.to_string().contains("state.db has format 2"), "{error}");
}
