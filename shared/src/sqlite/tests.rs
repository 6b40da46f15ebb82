//! Group commit: what commands that share a transaction do to one another.

use std::{pin::Pin, sync::mpsc};

use futures::poll;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use tokio::sync::oneshot;

use super::{Database, Schema};

const SCHEMA: Schema =
    Schema { file: "test.db", version: 1, synchronous: "NORMAL", create: "CREATE TABLE t (n INTEGER PRIMARY KEY)" };

fn database() -> (TempDir, Database) {
    let dir = tempdir().unwrap();
    let database = Database::open(dir.path(), &SCHEMA).unwrap();
    (dir, database)
}

fn insert(n: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<i64> {
    move |connection| connection.prepare_cached("INSERT INTO t VALUES (?1)")?.insert([n])
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection.prepare("SELECT n FROM t")?.query_map([], |row| row.get(0))?.collect()
}

/// Occupies the writer until told to go on, so that what is called meanwhile forms one group.
async fn hold(database: &Database) -> (mpsc::Sender<()>, Pin<Box<impl Future<Output = ()>>>) {
    let (release, released) = mpsc::channel();
    let (start, started) = oneshot::channel();
    let call = database.call(
        move |_| {
            start.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        },
        |()| (),
    );
    let mut call = Box::pin(async { call.await.unwrap() });
    assert!(poll!(&mut call).is_pending());
    started.await.unwrap();
    (release, call)
}

#[tokio::test]
async fn a_failing_command_is_undone_alone() {
    let (_dir, database) = database();
    let (release, held) = hold(&database).await;
    let failing = database.call(
        |connection| {
            insert(2)(connection)?;
            insert(1)(connection)
        },
        |_| panic!("not committed"),
    );
    let (_, one, failed, three, ()) =
        tokio::join!(held, database.call(insert(1), |_| ()), failing, database.call(insert(3), |_| ()), async {
            release.send(()).unwrap()
        });
    assert_eq!((one, three), (Ok(1), Ok(3)));
    assert!(failed.unwrap_err().to_string().contains("UNIQUE"));
    assert_eq!(database.call(rows, |_| ()).await, Ok(vec![1, 3]));
}

#[tokio::test]
async fn a_call_dropped_before_its_turn_does_nothing() {
    let (_dir, database) = database();
    let (release, held) = hold(&database).await;
    tokio::join!(held, async {
        let mut dropped = Box::pin(database.call(insert(1), |_| ()));
        assert!(poll!(&mut dropped).is_pending());
        drop(dropped);
        release.send(()).unwrap();
    });
    assert_eq!(database.call(rows, |_| ()).await, Ok(vec![]));
}

#[tokio::test]
async fn a_transaction_that_fails_fails_every_command_of_its_group() {
    let (_dir, database) = database();
    let (release, held) = hold(&database).await;
    let (_, one, two, ()) = tokio::join!(
        held,
        database.call(insert(1), |_| panic!("not committed")),
        database.call(|connection| connection.execute_batch("ROLLBACK"), |()| panic!("not committed")),
        async { release.send(()).unwrap() }
    );
    assert!(one.is_err() && two.is_err());
    assert_eq!(database.call(rows, |_| ()).await, Ok(vec![]), "and the next transaction is a new one");
}

#[tokio::test]
async fn a_panicking_command_fails_its_group_and_nothing_else() {
    let (_dir, database) = database();
    let panicking = database.call(|_| -> rusqlite::Result<()> { panic!("scripted") }, |()| ());
    assert!(panicking.await.is_err());
    assert_eq!(database.call(insert(1), |_| ()).await, Ok(1));
}
