//! Reads through a connection that breaks: all of an object or an error, never less.

use std::time::Duration;

use aws_sdk_s3::{Client, config::StalledStreamProtectionConfig, types::ChecksumAlgorithm};
use futures::{StreamExt, future::join, stream};
use tokio::time::{Instant, sleep};

use super::{
    super::super::{BlobError, Blobs, Condition, read},
    BUCKET, Rig, S3Blobs, S3Options, noise,
    proxy::{Proxy, Request, Turn},
    sdk_config, stored, through,
};
use crate::aws::{S3_CALL_TIMEOUT, s3_config};

#[tokio::test(flavor = "multi_thread")]
async fn no_cut_is_taken_for_an_end() {
    let rig = Rig::start().await;
    let content = noise(1, 300_000);
    stored(&rig.blobs(), "k", &content).await;
    let cuts = [0, 1, 8191, 65_536, 150_000, 299_999];
    let proxy = Proxy::start(rig.ministack.port(), move |n, _| Turn::Cut(cuts[n % cuts.len()])).await;
    let blobs = through(&proxy);
    for cut in cuts {
        let error = read(&blobs, "k", None, u64::MAX).await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable(_)) && error.is_retryable(), "{cut}: {error:?}");
    }
    for _ in cuts {
        let part = blobs.get("k", Some(0..300_000), None).await.unwrap();
        assert!(part.body.any(async |piece| piece.is_err()).await);
    }
}

#[tokio::test]
async fn an_answer_of_the_wrong_length_or_range_is_an_error() {
    let answers = [
        // The end of the connection is the end of the body: nothing tells a cut.
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\n\r\nfive!",
        // A range, and the server did not do it, or did another one.
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 5\r\n\r\nfive!",
        "HTTP/1.1 206 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 4\r\ncontent-range: bytes 0-3/9\r\n\r\nfive",
        "HTTP/1.1 206 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 5\r\ncontent-range: bytes 1-5/9\r\n\r\nfive!",
        "HTTP/1.1 206 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 4\r\ncontent-range: bytes 0-4/9\r\n\r\nfive",
    ];
    let proxy = Proxy::start(0, move |n, _| Turn::Raw(answers[n].into())).await;
    let blobs = through(&proxy);
    let whole = read(&blobs, "k", None, 100).await;
    assert!(matches!(whole, Err(BlobError::Damaged(_))), "{whole:?}");
    for answer in &answers[1..] {
        let read = async {
            let object = blobs.get("k", Some(0..5), None).await?;
            object.body.map(|piece| piece.map(drop)).fold(Ok(()), async |all, piece| all.and(piece)).await
        };
        assert!(read.await.is_err(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_fails_the_checksum() {
    let rig = Rig::start().await;
    let content = noise(1, 100_000);
    stored(&rig.blobs(), "k", &content).await;
    // What others put, such as SES, has the checksum of their SDK or S3's own.
    let others = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Sha256];
    for algorithm in &others {
        let put = rig.client.put_object().bucket(BUCKET).key(algorithm.as_str()).checksum_algorithm(algorithm.clone());
        put.body(content.clone().into()).send().await.unwrap();
    }
    let proxy = Proxy::start(rig.ministack.port(), |n, _| Turn::Flip([0, 50_000, 99_999][n % 3])).await;
    for key in others.iter().map(ChecksumAlgorithm::as_str).chain(["k"; 3]) {
        assert!(read(&rig.blobs(), key, None, u64::MAX).await.unwrap().1 == content);
        let error = read(&through(&proxy), key, None, u64::MAX).await.unwrap_err();
        assert_eq!(error, BlobError::Damaged("the recorded checksum is another one"), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_of_answers_5xx_loses_nothing() {
    let rig = Rig::start().await;
    let errors = [(500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable"), (502, "BadGateway")];
    let script = move |n: usize, _: &Request| match n % 5 {
        0 => Turn::Answer(errors[n / 5 % 4].0, errors[n / 5 % 4].1),
        _ => Turn::Pass,
    };
    let proxy = Proxy::start(rig.ministack.port(), script).await;
    let blobs = through(&proxy);
    let mails = stream::iter(0..100).map(|n| {
        let (blobs, key, content) = (&blobs, format!("mail/{n}"), noise(n, 20_000));
        async move {
            // Whoever gets four 5xx in a row repeats the call, as a job does.
            patiently(async || blobs.put(&key, content.clone().into(), Condition::IfAbsent).await).await;
            let (_, back) = patiently(async || read(blobs, &key, None, u64::MAX).await).await;
            assert!(back == content, "{key}");
        }
    });
    assert_eq!(mails.buffer_unordered(16).count().await, 100);
    assert_eq!(rig.blobs().list("mail/", None, 1000).await.unwrap().keys.len(), 100);
    assert!(proxy.seen().len() > 240, "a fifth was answered 5xx: {}", proxy.seen().len());
}

async fn patiently<T>(call: impl AsyncFn() -> Result<T, BlobError>) -> T {
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_large_object_arrives() {
    let rig = Rig::start().await;
    let content = noise(1, 25_000_000);
    stored(&rig.blobs(), "k", &content).await;
    // Longer than the SDK's own grace of 5 s, well within this fleet's.
    let pause = |_, _: &Request| Turn::Pause(10_000_000, Duration::from_secs(8));
    let proxy = Proxy::start(rig.ministack.port(), pause).await;
    let impatient = aws_sdk_s3::config::Builder::from(&sdk_config(&proxy.endpoint())).force_path_style(true).build();
    let impatient = S3Blobs::new(Client::from_conf(impatient), BUCKET, S3Options::default());
    let patient = through(&proxy);
    let (patient, impatient) = join(read(&patient, "k", None, u64::MAX), read(&impatient, "k", None, u64::MAX)).await;
    assert!(patient.unwrap().1 == content);
    let stood_still = BlobError::Unavailable("the body broke off or stood still".to_owned());
    assert_eq!(impatient.unwrap_err(), stood_still, "the pause is one that the default does not bear");
}

/// A reader that is busy elsewhere (a scanner, a slow destination) is no stalled stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_cut_off() {
    let rig = Rig::start().await;
    let content = noise(1, 25_000_000);
    stored(&rig.blobs(), "k", &content).await;
    let grace = Duration::from_millis(500);
    let strict = StalledStreamProtectionConfig::enabled().grace_period(grace).build();
    let strict = s3_config(&rig.ministack.sdk_config()).stalled_stream_protection(strict).build();
    let mut object =
        S3Blobs::new(Client::from_conf(strict), BUCKET, S3Options::default()).get("k", None, None).await.unwrap();
    let mut seen = object.body.next().await.unwrap().unwrap().to_vec();
    for _ in 0..2 {
        sleep(grace * 4).await;
        seen.extend_from_slice(&object.body.next().await.unwrap().unwrap());
    }
    while let Some(piece) = object.body.next().await {
        seen.extend_from_slice(&piece.unwrap());
    }
    assert!(seen == content);
}

/// On a paused clock: what is waited for is the timeouts alone.
#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up() {
    let proxy = Proxy::start(0, |_, _| Turn::Hang).await;
    let began = Instant::now();
    let error = read(&through(&proxy), "k", None, 1).await.unwrap_err();
    assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
    let read_for = began.elapsed();
    let put = through(&proxy).put("k", noise(1, 1).into(), Condition::Always).await;
    assert!(matches!(put, Err(BlobError::Unavailable(_))), "{put:?}");
    let put_for = began.elapsed() - read_for;
    // A stage that waits for longer than its job may be silent loses the lease, which is held against the mail.
    assert!(read_for.max(put_for) <= S3_CALL_TIMEOUT + Duration::from_secs(1), "{read_for:?} {put_for:?}");
}
