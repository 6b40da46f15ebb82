use std::{
    collections::BTreeSet,
    os::unix::fs::{FileExt, PermissionsExt},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    super::{
        conformance::{self, list_all, noise, streamed},
        read,
    },
    *,
};

fn store() -> (TempDir, DirBlobs) {
    let root = tempfile::tempdir().unwrap();
    let blobs = DirBlobs::open(root.path()).unwrap();
    (root, blobs)
}

async fn put(blobs: &DirBlobs, key: &str, content: &Bytes) {
    blobs.put(key, content.clone().into(), Condition::Always).await.unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let (root, blobs) = store();
    conformance::all(&blobs).await;
    assert_eq!(names(&root.path().join("tmp")), Vec::<String>::new(), "no put leaves a file behind");
}

#[tokio::test]
async fn what_is_stored_outlives_the_handle_and_is_private() {
    let (root, blobs) = store();
    put(&blobs, "a/b", &noise(1, 10)).await;
    drop(blobs);
    let again = DirBlobs::open(root.path()).unwrap();
    assert_eq!(read(&again, "a/b", None, 10).await.unwrap().1, noise(1, 10));
    let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["objects", "tmp", "objects/a"].map(mode), [0o700; 3]);
    assert_eq!(mode("objects/a/b~"), 0o600);
}

type Damage<'a> = &'a dyn Fn(&fs::File);

#[tokio::test]
async fn damage_is_never_read_as_content() {
    let (root, blobs) = store();
    for len in [1, 1000, 500_000] {
        let content = noise(2, len);
        let path = root.path().join("objects/k~");
        let damages: [(&str, Damage<'_>); 7] = [
            ("first byte", &|file| file.write_all_at(&[content[0] ^ 1], 48).unwrap()),
            ("last byte", &|file| file.write_all_at(&[content[len - 1] ^ 128], 47 + len as u64).unwrap()),
            ("checksum", &|file| file.write_all_at(b"?", 20).unwrap()),
            ("one byte short", &|file| file.set_len(47 + len as u64).unwrap()),
            ("header short", &|file| file.set_len(20).unwrap()),
            ("longer", &|file| file.set_len(49 + len as u64).unwrap()),
            ("magic", &|file| file.write_all_at(b"x", 0).unwrap()),
        ];
        for (name, damage) in damages {
            put(&blobs, "k", &content).await;
            damage(&fs::OpenOptions::new().write(true).open(&path).unwrap());
            assert!(matches!(read(&blobs, "k", None, u64::MAX).await, Err(BlobError::Damaged(_))), "{name} of {len}");
        }
        // A later put heals it.
        put(&blobs, "k", &content).await;
        assert!(read(&blobs, "k", None, u64::MAX).await.unwrap().1 == content);
    }
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let (root, blobs) = store();
    let content = noise(3, 1_000_000);
    for range in [None, Some(10..999_990)] {
        put(&blobs, "k", &content).await;
        let mut object = blobs.get("k", range, None).await.unwrap();
        object.body.next().await.unwrap().unwrap();
        fs::OpenOptions::new().write(true).open(root.path().join("objects/k~")).unwrap().set_len(400_000).unwrap();
        let mut last = Ok(Bytes::new());
        while let Some(chunk) = object.body.next().await {
            last = chunk;
        }
        assert_eq!(last, Err(BlobError::Damaged("truncated")));
    }
}

#[tokio::test]
async fn only_old_leftovers_are_removed() {
    let (root, blobs) = store();
    put(&blobs, "k", &noise(1, 1)).await;
    let tmp = root.path().join("tmp");
    for (name, age) in [("old", LEFTOVER + Duration::from_secs(60)), ("fresh", LEFTOVER - Duration::from_secs(60))] {
        let file = fs::File::create(tmp.join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    DirBlobs::open(root.path()).unwrap();
    assert_eq!(names(&tmp), ["fresh"]);
    assert!(blobs.head("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_dropped_put_leaves_nothing() {
    let (root, blobs) = store();
    let stream = stream::iter([Ok(noise(1, CHUNK))]).chain(stream::pending()).boxed();
    let body = Body::Stream { len: 1 << 30, sha256: [0; 32], stream };
    let mut put = Box::pin(blobs.put("k", body, Condition::Always));
    let tmp = root.path().join("tmp");
    while names(&tmp).is_empty() {
        assert!(futures::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    drop(put);
    // A write that had begun ends first.
    while !names(&tmp).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(blobs.head("k").await, Ok(None));
}

#[tokio::test]
async fn deletes_prune_empty_directories_only() {
    let (root, blobs) = store();
    for key in ["a/b/c", "a/b/c/d/e", "x/y"] {
        put(&blobs, key, &noise(1, 1)).await;
    }
    let objects = root.path().join("objects");
    blobs.delete("a/b/c/d/e").await.unwrap();
    assert_eq!(names(&objects.join("a/b")), ["c~"]);
    blobs.delete("a/b/c").await.unwrap();
    assert_eq!(names(&objects), ["x"]);
    blobs.delete("x/y").await.unwrap();
    assert_eq!(names(&objects), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_deletes_and_lists_race_without_errors() {
    let (root, _) = store();
    let tasks = (0..8).map(|n: u32| {
        // A handle of its own, as another process has.
        let blobs = DirBlobs::open(root.path()).unwrap();
        tokio::spawn(async move {
            let key = format!("shared/deep/er/{n}");
            for round in 0..60 {
                let condition = if round % 2 == 0 { Condition::Always } else { Condition::IfAbsent };
                assert!(matches!(blobs.put(&key, streamed(&noise(n, 100), 40), condition).await, Ok(Put::Stored(_))));
                assert_eq!(read(&blobs, &key, None, 100).await.unwrap().1, noise(n, 100));
                assert!(list_all(&blobs, "shared", None, 3).await.contains(&key));
                blobs.delete(&key).await.unwrap();
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(names(&root.path().join("objects")), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_lists_as_a_sorted_set(
        keys in prop::collection::btree_set("[ab.+=/-]{1,6}", 0..25),
        prefix in "[ab./-]{0,4}",
        after in prop::option::of("[ab./-]{0,5}"),
        limit in 1..6_usize,
    ) {
        let keys: BTreeSet<String> = keys.into_iter().filter(|key| check_key(key).is_ok()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listed = runtime.block_on(async {
            let (_root, blobs) = store();
            for key in &keys {
                put(&blobs, key, &Bytes::new()).await;
            }
            list_all(&blobs, &prefix, after.as_deref(), limit).await
        });
        let matches = |key: &&String| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after);
        prop_assert_eq!(listed.iter().collect::<Vec<_>>(), keys.iter().filter(matches).collect::<Vec<_>>());
    }
}
