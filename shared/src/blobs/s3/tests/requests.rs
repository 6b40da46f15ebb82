//! What the emulator does not enforce: the headers of every request, and what an enforcing S3 answers.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{
    super::super::{BlobError, Blobs, Condition, Put, conformance::streamed, read},
    BUCKET, Rig, S3Blobs, S3Options, noise,
    proxy::{Proxy, Request, Turn},
    s3_client, sdk_config, stored, through,
};

const OWNER: &str = "123456789012";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0b3f";

/// Every kind of call, once or more.
async fn all_calls(blobs: &dyn Blobs) {
    let content = noise(1, 1 << 20);
    let etag = stored(blobs, "k/bytes", &content).await;
    blobs.put("k/stream", streamed(&content, 100_000), Condition::IfAbsent).await.unwrap();
    read(blobs, "k/bytes", Some(&etag), 1 << 20).await.unwrap();
    for range in [0..10, 10..10] {
        blobs.get("k/bytes", Some(range), Some(&etag)).await.unwrap();
    }
    blobs.head("k/bytes").await.unwrap();
    blobs.list("k/", Some("k/a"), 1).await.unwrap();
    blobs.delete("k/bytes").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_names_the_owner_and_every_put_its_checksum_and_key() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(rig.ministack.port(), |_, _| Turn::Pass).await;
    let options = S3Options { expected_owner: Some(OWNER.to_owned()), kms_key: Some(KEY.to_owned()) };
    all_calls(&S3Blobs::new(s3_client(&sdk_config(&proxy.endpoint())), BUCKET, options)).await;
    let seen = proxy.seen();
    assert_eq!(seen.len(), 9, "{seen:#?}");
    for request in &seen {
        assert_eq!(request.header("x-amz-expected-bucket-owner"), Some(OWNER), "{}", request.line);
    }
    let puts: Vec<&Request> = seen.iter().filter(|request| request.is("PUT")).collect();
    let sha256 = STANDARD.encode(Sha256::digest(noise(1, 1 << 20)));
    for put in &puts {
        assert_eq!(put.header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(put.header("x-amz-server-side-encryption-aws-kms-key-id"), Some(KEY));
        assert_eq!(put.header("x-amz-checksum-sha256"), Some(&*sha256));
        assert_eq!(put.header("content-length"), Some("1048576"), "not chunked");
        assert!(put.header("authorization").unwrap().contains("x-amz-checksum-sha256"), "the checksum is signed");
    }
    assert_eq!(puts.iter().map(|put| put.header("if-none-match")).collect::<Vec<_>>(), [None, Some("*")]);
    let gets: Vec<&Request> =
        seen.iter().filter(|request| request.line.contains("k/bytes") && request.is("GET")).collect();
    assert!(gets.iter().all(|get| get.header("if-match").is_some()));
    assert_eq!(gets[0].header("x-amz-checksum-mode"), Some("ENABLED"));
    assert_eq!(gets[1].header("range"), Some("bytes=0-9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_options_nothing_is_claimed() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(rig.ministack.port(), |_, _| Turn::Pass).await;
    all_calls(&through(&proxy)).await;
    for name in ["x-amz-expected-bucket-owner", "x-amz-server-side-encryption"] {
        assert!(proxy.seen().iter().all(|request| request.header(name).is_none()), "{name}");
    }
}

#[tokio::test]
async fn another_owner_or_a_missing_right_is_told_by_its_code_only() {
    let proxy = Proxy::start(0, |_, _| Turn::Answer(403, "AccessDenied")).await;
    let blobs = through(&proxy);
    let denied = BlobError::Unavailable("HTTP 403 AccessDenied".to_owned());
    assert_eq!(read(&blobs, "secret-key", None, 1).await.unwrap_err(), denied);
    assert_eq!(blobs.put("secret-key", noise(1, 1).into(), Condition::Always).await.unwrap_err(), denied);
    assert_eq!(
        blobs.put("secret-key", streamed(&noise(1, 500_000), 9999), Condition::IfAbsent).await,
        Err(denied.clone())
    );
    assert_eq!(blobs.list("secret", None, 1).await.unwrap_err(), denied);
    assert_eq!(blobs.delete("secret-key").await.unwrap_err(), denied);
    assert_eq!(proxy.seen().len(), 5, "a refusal is not retried");
}

#[tokio::test]
async fn a_delete_that_was_refused_is_an_error() {
    let rig = Rig::start().await;
    stored(&rig.blobs(), "k", &noise(1, 1)).await;
    let refused = "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>";
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{refused}", refused.len());
    let script = move |_, request: &Request| match request.is("POST") {
        true => Turn::Raw(answer.clone().into_bytes()),
        false => Turn::Pass,
    };
    let proxy = Proxy::start(rig.ministack.port(), script).await;
    let error = through(&proxy).delete("k").await.unwrap_err();
    assert_eq!(error, BlobError::Unavailable("not deleted: AccessDenied".to_owned()));
}

#[tokio::test]
async fn a_put_that_was_damaged_on_its_way_is_told() {
    let proxy = Proxy::start(0, |_, _| Turn::Answer(400, "BadDigest")).await;
    let error = through(&proxy).put("k", noise(1, 1).into(), Condition::Always).await.unwrap_err();
    assert!(matches!(error, BlobError::Damaged(_)), "{error:?}");
    // The emulator checks the checksum as S3 does.
    let rig = Rig::start().await;
    let put = rig.client.put_object().bucket(BUCKET).key("k").checksum_sha256(STANDARD.encode([7; 32]));
    put.body(noise(1, 10).into()).send().await.unwrap_err();
    assert!(matches!(rig.blobs().put("k", noise(1, 1).into(), Condition::IfAbsent).await, Ok(Put::Stored(_))));
}
