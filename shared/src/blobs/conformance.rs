//! What every [`Blobs`] must do. Each run keeps to a prefix of its own, so that stores may be shared.

mod listing;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::join_all, stream};
use sha2::{Digest, Sha256};

pub use self::listing::list_all;
use self::listing::{listing_order, listing_pages};
use super::{BlobError, Blobs, Body, Condition, ETag, MAX_KEY, MAX_SEGMENT, Put, read};

const MIB: usize = 1 << 20;

/// Runs every case.
pub async fn all(blobs: &dyn Blobs) {
    let run = format!("conformance-{}", uuid::Uuid::now_v7());
    let cases: [(&str, Case); 12] = [
        ("round-trips", |b, k| round_trips(b, k).boxed()),
        ("missing", |b, k| missing_objects(b, k).boxed()),
        ("versions", |b, k| versions(b, k).boxed()),
        ("ranges", |b, k| ranges(b, k).boxed()),
        ("if-absent", |b, k| if_absent(b, k).boxed()),
        ("one-winner", |b, k| one_of_many_wins(b, k).boxed()),
        ("streams", |b, k| streams(b, k).boxed()),
        ("broken-streams", |b, k| broken_streams_store_nothing(b, k).boxed()),
        ("steady", |b, k| a_reader_sees_one_version(b, k).boxed()),
        ("invalid", |b, k| invalid_keys(b, k).boxed()),
        ("order", |b, k| listing_order(b, k).boxed()),
        ("pages", |b, k| listing_pages(b, k).boxed()),
    ];
    for (name, case) in cases {
        case(blobs, format!("{run}/{name}")).await;
    }
}

type Case = for<'a> fn(&'a dyn Blobs, String) -> futures::future::BoxFuture<'a, ()>;

/// Bytes that differ everywhere and from one seed to the next.
pub fn noise(seed: u32, len: usize) -> Bytes {
    let mut state = u64::from(seed) * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// A body that streams `content` in pieces of `piece` bytes, declared as it is. It panics when it is polled after its end,
/// as a stream may.
pub fn streamed(content: &Bytes, piece: usize) -> Body {
    let pieces: Vec<_> = content.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::Stream {
        len: content.len() as u64,
        sha256: Sha256::digest(content).into(),
        stream: stream::unfold(pieces.into_iter(), |mut rest| async { rest.next().map(|piece| (piece, rest)) }).boxed(),
    }
}

async fn put(blobs: &dyn Blobs, key: &str, content: &Bytes) -> ETag {
    match blobs.put(key, content.clone().into(), Condition::Always).await.unwrap() {
        Put::Stored(meta) => {
            assert_eq!(meta.len, content.len() as u64);
            meta.etag
        }
        Put::Exists => panic!("an unconditional put answered Exists"),
    }
}

async fn content(blobs: &dyn Blobs, key: &str) -> Result<Bytes, BlobError> {
    read(blobs, key, None, u64::MAX).await.map(|(_, bytes)| bytes)
}

async fn range(blobs: &dyn Blobs, key: &str, from: u64, to: u64) -> Result<Bytes, BlobError> {
    let object = blobs.get(key, Some(from..to), None).await?;
    super::collect(object.body, 0).await
}

async fn round_trips(blobs: &dyn Blobs, base: String) {
    for (n, len) in [0, 1, 4095, 65_536, 262_143, 262_144, 262_145, 3 * MIB + 7].into_iter().enumerate() {
        let (key, bytes) = (format!("{base}/{len}"), noise(u32::try_from(n).unwrap(), len));
        let etag = put(blobs, &key, &bytes).await;
        let (meta, back) = read(blobs, &key, Some(&etag), u64::MAX).await.unwrap();
        assert!(back == bytes, "{len} bytes came back different");
        assert_eq!((meta.len, &meta.etag), (len as u64, &etag));
        assert_eq!(blobs.head(&key).await.unwrap().unwrap(), meta);
    }
}

async fn missing_objects(blobs: &dyn Blobs, base: String) {
    let key = format!("{base}/a/b");
    let check = async || {
        assert_eq!(blobs.head(&key).await, Ok(None));
        assert_eq!(content(blobs, &key).await, Err(BlobError::NotFound));
        assert_eq!(range(blobs, &key, 0, 1).await, Err(BlobError::NotFound));
        assert_eq!(blobs.delete(&key).await, Ok(()));
    };
    check().await;
    put(blobs, &key, &noise(1, 10)).await;
    assert_eq!(blobs.head(&format!("{base}/a")).await, Ok(None), "a part of a key is no key");
    assert_eq!(blobs.delete(&key).await, Ok(()));
    check().await;
    assert_eq!(blobs.list(&base, None, 10).await.unwrap().keys, Vec::<String>::new());
}

async fn versions(blobs: &dyn Blobs, base: String) {
    let first = put(blobs, &base, &noise(1, 100)).await;
    let second = put(blobs, &base, &noise(2, 100)).await;
    assert_ne!(first, second);
    assert_eq!(read(blobs, &base, Some(&first), 100).await.unwrap_err(), BlobError::Changed);
    assert_eq!(blobs.get(&base, Some(0..10), Some(&first)).await.unwrap_err(), BlobError::Changed);
    assert_eq!(read(blobs, &base, Some(&second), 100).await.unwrap().1, noise(2, 100));
    assert_eq!(read(blobs, &base, None, 99).await.unwrap_err(), BlobError::TooLong, "longer than the caller allows");
}

async fn ranges(blobs: &dyn Blobs, base: String) {
    let bytes = noise(3, MIB);
    let etag = put(blobs, &base, &bytes).await;
    let len = MIB as u64;
    for (from, to) in [(0, 1), (0, len), (5, 5), (len, len), (1000, 700_000), (len - 1, len), (262_144, 524_288)] {
        let want = bytes.slice(usize::try_from(from).unwrap()..usize::try_from(to).unwrap());
        assert!(range(blobs, &base, from, to).await.unwrap() == want, "{from}..{to}");
    }
    let object = blobs.get(&base, Some(10..20), Some(&etag)).await.unwrap();
    assert_eq!((object.meta.len, object.meta.etag), (len, etag), "the whole object is described");
    for (from, to) in [(0, len + 1), (len, len + 1), (len + 1, len + 1), (len + 5, len + 9), (20, 10), (0, u64::MAX)] {
        assert_eq!(range(blobs, &base, from, to).await, Err(BlobError::Range), "{from}..{to}");
    }
}

async fn if_absent(blobs: &dyn Blobs, base: String) {
    for (key, body) in [("bytes", noise(1, 10).into()), ("stream", streamed(&noise(1, 10), 3))] {
        let key = format!("{base}/{key}");
        assert!(matches!(blobs.put(&key, body, Condition::IfAbsent).await, Ok(Put::Stored(_))));
        for body in [noise(2, 10).into(), streamed(&noise(2, 10), 3)] {
            assert_eq!(blobs.put(&key, body, Condition::IfAbsent).await, Ok(Put::Exists));
        }
        assert_eq!(content(blobs, &key).await.unwrap(), noise(1, 10));
        blobs.delete(&key).await.unwrap();
        assert!(matches!(blobs.put(&key, noise(2, 10).into(), Condition::IfAbsent).await, Ok(Put::Stored(_))));
    }
}

async fn one_of_many_wins(blobs: &dyn Blobs, base: String) {
    for round in 0..10 {
        let key = format!("{base}/{round}/key");
        let puts = (0..16).map(|n| {
            let (key, bytes) = (&key, noise(n, 5000));
            let body = if n % 2 == 0 { bytes.into() } else { streamed(&bytes, 1000) };
            async move { (n, blobs.put(key, body, Condition::IfAbsent).await.unwrap()) }
        });
        let answers = join_all(puts).await;
        let winners: Vec<u32> = answers.iter().filter(|(_, put)| *put != Put::Exists).map(|(n, _)| *n).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(content(blobs, &key).await.unwrap() == noise(winners[0], 5000));
    }
}

async fn streams(blobs: &dyn Blobs, base: String) {
    for (len, piece) in [(0, 1), (1, 1), (1000, 1), (MIB + 1, 100_000), (3 * MIB, MIB)] {
        let (key, bytes) = (format!("{base}/{len}-{piece}"), noise(4, len));
        assert!(matches!(blobs.put(&key, streamed(&bytes, piece), Condition::Always).await, Ok(Put::Stored(_))));
        assert!(content(blobs, &key).await.unwrap() == bytes, "{len} bytes in pieces of {piece}");
    }
    let pieces = ["", "a", "", "", "b", ""].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
    let body = Body::Stream { len: 2, sha256: Sha256::digest("ab").into(), stream: stream::iter(pieces).boxed() };
    blobs.put(&base, body, Condition::Always).await.unwrap();
    assert_eq!(content(blobs, &base).await.unwrap(), "ab", "empty pieces change nothing");
}

async fn broken_streams_store_nothing(blobs: &dyn Blobs, base: String) {
    let bytes = noise(5, 300_000);
    let broken = |len: u64, sha256: [u8; 32], error: Option<BlobError>| {
        let pieces: Vec<_> = bytes.chunks(70_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Body::Stream { len, sha256, stream: stream::iter(pieces.into_iter().chain(error.map(Err))).boxed() }
    };
    let (len, right) = (bytes.len() as u64, <[u8; 32]>::from(Sha256::digest(&bytes)));
    let source = BlobError::Unavailable("the source broke".to_owned());
    let cases = || {
        [
            ("shorter", broken(len + 1, right, None)),
            ("longer", broken(len - 1, right, None)),
            ("checksum", broken(len, [7; 32], None)),
            ("source", broken(len, right, Some(source.clone()))),
            ("source-early", broken(len * 2, right, Some(source.clone()))),
        ]
    };
    let old = put(blobs, &format!("{base}/old"), &noise(6, 10)).await;
    for condition in [Condition::Always, Condition::IfAbsent] {
        for (name, body) in cases() {
            let key = format!("{base}/{name}");
            let error = blobs.put(&key, body, condition).await.unwrap_err();
            match name.starts_with("source") {
                true => assert_eq!(error, source, "{name}"),
                false => assert!(matches!(error, BlobError::Damaged(_)), "{name}: {error:?}"),
            }
            assert_eq!(blobs.head(&key).await, Ok(None), "{name}");
        }
    }
    for (name, body) in cases() {
        blobs.put(&format!("{base}/old"), body, Condition::Always).await.unwrap_err();
        let (meta, bytes) = read(blobs, &format!("{base}/old"), None, 100).await.unwrap();
        assert_eq!((meta.etag, bytes), (old.clone(), noise(6, 10)), "{name} leaves the old object");
    }
}

async fn a_reader_sees_one_version(blobs: &dyn Blobs, base: String) {
    let (old, new) = (noise(7, 2 * MIB), noise(8, 2 * MIB));
    put(blobs, &base, &old).await;
    let mut object = blobs.get(&base, None, None).await.unwrap();
    let mut seen = object.body.next().await.unwrap().unwrap().to_vec();
    put(blobs, &base, &new).await;
    while let Some(chunk) = object.body.next().await {
        seen.extend_from_slice(&chunk.unwrap());
    }
    assert!(seen == old, "the reader mixed two versions");
    assert!(content(blobs, &base).await.unwrap() == new);
}

async fn invalid_keys(blobs: &dyn Blobs, _: String) {
    let long_segment = "s".repeat(MAX_SEGMENT + 1);
    let long_key = "k/".repeat(MAX_KEY / 2) + "k";
    for key in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        ".a",
        "a/.b",
        "a~",
        "a b",
        "ä",
        "a\0",
        &long_segment,
        &long_key,
    ] {
        let invalid = |error: BlobError| assert!(matches!(error, BlobError::InvalidKey(_)), "{key:?}: {error:?}");
        invalid(blobs.put(key, noise(1, 1).into(), Condition::Always).await.unwrap_err());
        // Others may have put what we would not: a store that holds such a key can read it.
        let read = blobs.get(key, None, None).await.unwrap_err();
        assert!(matches!(read, BlobError::InvalidKey(_) | BlobError::NotFound), "{key:?}: {read:?}");
        assert!(matches!(blobs.head(key).await, Ok(None) | Err(BlobError::InvalidKey(_))), "{key:?}");
        invalid(blobs.delete(key).await.unwrap_err());
    }
}
