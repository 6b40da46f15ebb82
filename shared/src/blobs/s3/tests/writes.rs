//! Puts through a connection that breaks, and puts that meet one another.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{
    super::super::{BlobError, Blobs, Body, Condition, Put, conformance::streamed, read},
    Rig, noise,
    proxy::{Proxy, Request, Turn},
    stored, through,
};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_retried_for_bytes_and_told_for_streams() {
    let rig = Rig::start().await;
    let conflict = Turn::Answer(409, "ConditionalRequestConflict");
    let script = move |n: usize, _: &Request| if n < 2 { conflict.clone() } else { Turn::Pass };
    let proxy = Proxy::start(rig.ministack.port(), script.clone()).await;
    let put = through(&proxy).put("bytes", noise(1, 10).into(), Condition::IfAbsent).await;
    assert!(matches!(put, Ok(Put::Stored(_))), "{put:?}");
    assert_eq!(proxy.seen().len(), 3);
    let proxy = Proxy::start(rig.ministack.port(), script).await;
    let put = async || through(&proxy).put("stream", streamed(&noise(1, MIB), 10_000), Condition::IfAbsent).await;
    for _ in 0..2 {
        assert!(put().await.unwrap_err().is_retryable());
    }
    assert!(matches!(put().await, Ok(Put::Stored(_))));
}

#[tokio::test]
async fn an_endless_conflict_is_given_up() {
    let proxy = Proxy::start(0, |_, _| Turn::Answer(409, "ConditionalRequestConflict")).await;
    let error = through(&proxy).put("k", noise(1, 10).into(), Condition::IfAbsent).await.unwrap_err();
    assert_eq!(error, BlobError::Unavailable("another put of the key was under way".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_a_conditional_put_is_exists() {
    let rig = Rig::start().await;
    let lose = |n, _: &Request| if n == 0 { Turn::LoseAnswer } else { Turn::Pass };
    for (key, body) in [("bytes", noise(1, MIB).into()), ("stream", streamed(&noise(1, MIB), 10_000))] {
        let proxy = Proxy::start(rig.ministack.port(), lose).await;
        assert_eq!(through(&proxy).put(key, body, Condition::IfAbsent).await, Ok(Put::Exists), "{key}");
        assert!(read(&rig.blobs(), key, None, u64::MAX).await.unwrap().1 == noise(1, MIB));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_stores_nothing() {
    let rig = Rig::start().await;
    let old = stored(&rig.blobs(), "k", &noise(2, 10)).await;
    for cut in [0, 1, MIB / 2, MIB - 1] {
        let script = move |_, request: &Request| if request.is("PUT") { Turn::CutUpload(cut) } else { Turn::Pass };
        let proxy = Proxy::start(rig.ministack.port(), script).await;
        for (key, condition) in [("k", Condition::Always), ("new", Condition::IfAbsent)] {
            let error = through(&proxy).put(key, streamed(&noise(1, MIB), 10_000), condition).await.unwrap_err();
            assert!(matches!(error, BlobError::Unavailable(_)), "{cut}: {error:?}");
        }
    }
    assert_eq!(rig.blobs().head("new").await, Ok(None));
    assert_eq!(rig.blobs().head("k").await.unwrap().unwrap().etag, old);
}

/// The source gives its next piece only when the store has most of the earlier ones: whoever collects first waits forever.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_stream_is_not_collected_first() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(rig.ministack.port(), |_, _| Turn::Pass).await;
    let content = noise(1, 40 * MIB);
    let pieces = content.chunks(64 << 10).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let (received, sent) = (proxy.received(), 0_usize);
    let source = stream::iter(pieces).scan((received, sent), |(received, sent), piece| {
        let (mut received, before) = (received.clone(), *sent);
        *sent += piece.len();
        async move {
            received.wait_for(|received| received + 16 * MIB >= before).await.unwrap();
            Some(Ok::<_, BlobError>(piece))
        }
    });
    let body =
        Body::Stream { len: content.len() as u64, sha256: Sha256::digest(&content).into(), stream: source.boxed() };
    let blobs = through(&proxy);
    let put = timeout(Duration::from_secs(120), blobs.put("k", body, Condition::Always)).await.expect("it streams");
    assert!(matches!(put, Ok(Put::Stored(_))), "{put:?}");
    assert_eq!(rig.blobs().head("k").await.unwrap().unwrap().len, content.len() as u64);
}
