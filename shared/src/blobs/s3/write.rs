//! Writing: one PUT whose SHA-256 S3 checks before anything is visible.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_s3::{
    config::{Builder, timeout::TimeoutConfig},
    error::SdkError,
    operation::put_object::PutObjectError,
    primitives::{self, SdkBody},
    types::ServerSideEncryption,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{
    super::{BlobError, Body, ByteStream, Condition, Meta, Put},
    S3Blobs,
    error::{status, translate},
    read::unquoted,
    upload::{Declared, Upload},
};
use crate::aws::{S3_ATTEMPT_TIMEOUT, S3_CALL_TIMEOUT};

/// A stream of at most so many bytes is collected: bytes in memory can be sent again, a stream cannot.
const COLLECT: u64 = 256 << 10;
/// Bytes a second below which an upload is given up.
const SLOWEST: u64 = 50_000;
/// How often a put is tried while another one holds the key.
const CONFLICT_TRIES: u32 = 6;
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// What one put came to.
enum Attempt {
    Done(Put),
    /// Another conditional put of this key was under way: HTTP 409.
    Conflict,
}

impl S3Blobs {
    pub(super) async fn write(&self, key: &str, body: Body, condition: Condition) -> Result<Put, BlobError> {
        match body {
            Body::Bytes(bytes) => self.write_bytes(key, bytes, condition).await,
            Body::Stream { len, sha256, stream } if len <= COLLECT => {
                let bytes = collect(Declared { len, sha256 }, stream).await?;
                self.write_bytes(key, bytes, condition).await
            }
            Body::Stream { len, sha256, stream } => {
                self.write_stream(key, Declared { len, sha256 }, stream, condition).await
            }
        }
    }

    async fn write_bytes(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Put, BlobError> {
        let declared = declare(&bytes).await?;
        for attempt in 0..CONFLICT_TRIES {
            if attempt > 0 {
                sleep(CONFLICT_PAUSE * 2_u32.pow(attempt - 1) + CONFLICT_PAUSE.mul_f64(rand::random())).await;
            }
            let answer = self.send(key, &declared, bytes.clone().into(), condition).await;
            if let Attempt::Done(put) = answer.map_err(translate)? {
                return Ok(put);
            }
        }
        Err(conflict())
    }

    /// The stream can be read once, so there is one attempt; the caller, who can open it again, may repeat it.
    async fn write_stream(
        &self,
        key: &str,
        declared: Declared,
        stream: ByteStream,
        condition: Condition,
    ) -> Result<Put, BlobError> {
        let fault = Arc::new(OnceLock::new());
        let body = SdkBody::from_body_1_x(Upload::new(&declared, stream, Arc::clone(&fault)));
        match self.send(key, &declared, body.into(), condition).await {
            Ok(Attempt::Done(put)) => Ok(put),
            Ok(Attempt::Conflict) => Err(conflict()),
            // The source failed, and the request with it.
            Err(error) => match fault.get() {
                Some(fault) => Err(fault.clone()),
                None => self.after_no_answer(key, error, condition).await,
            },
        }
    }

    /// S3 may refuse a conditional put before its body is sent and close the connection, which hides the answer.
    async fn after_no_answer(
        &self,
        key: &str,
        error: SdkError<PutObjectError>,
        condition: Condition,
    ) -> Result<Put, BlobError> {
        let unanswered = status(&error).is_none() && condition == Condition::IfAbsent;
        if unanswered && self.describe(key, None).await.is_ok() {
            return Ok(Put::Exists);
        }
        Err(translate(error))
    }

    async fn send(
        &self,
        key: &str,
        declared: &Declared,
        body: primitives::ByteStream,
        condition: Condition,
    ) -> Result<Attempt, SdkError<PutObjectError>> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).set_expected_bucket_owner(self.owner());
        let put = put
            .set_if_none_match((condition == Condition::IfAbsent).then(|| "*".to_owned()))
            .set_server_side_encryption(self.options.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms))
            .set_ssekms_key_id(self.options.kms_key.clone())
            .checksum_sha256(STANDARD.encode(declared.sha256))
            .set_content_length(i64::try_from(declared.len).ok())
            .body(body);
        let patience = patience(declared.len);
        let put = put.customize().config_override(Builder::new().timeout_config(patience));
        match put.send().await {
            Ok(answer) => {
                let etag = unquoted(answer.e_tag().unwrap_or_default());
                let version = answer.version_id.filter(|version| version != "null");
                Ok(Attempt::Done(Put::Stored(Meta { len: declared.len, etag, version })))
            }
            Err(error) if condition == Condition::IfAbsent && status(&error) == Some(412) => {
                Ok(Attempt::Done(Put::Exists))
            }
            Err(error) if status(&error) == Some(409) => Ok(Attempt::Conflict),
            Err(error) => Err(error),
        }
    }
}

/// The digest of much is made where it may take its time.
async fn declare(bytes: &Bytes) -> Result<Declared, BlobError> {
    if bytes.len() as u64 <= COLLECT {
        return Ok(Declared::of(bytes));
    }
    let bytes = bytes.clone();
    let stopped = |_| BlobError::Unavailable("the digest was stopped".to_owned());
    tokio::task::spawn_blocking(move || Declared::of(&bytes)).await.map_err(stopped)
}

/// How long one attempt, and all of them together, may take.
fn patience(len: u64) -> TimeoutConfig {
    let upload = Duration::from_secs(len / SLOWEST);
    TimeoutConfig::builder()
        .operation_attempt_timeout(S3_ATTEMPT_TIMEOUT + upload)
        .operation_timeout(S3_CALL_TIMEOUT + upload * 2)
        .build()
}

fn conflict() -> BlobError {
    BlobError::Unavailable("another put of the key was under way".to_owned())
}

async fn collect(declared: Declared, mut stream: ByteStream) -> Result<Bytes, BlobError> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = stream.try_next().await? {
        if bytes.len() as u64 + piece.len() as u64 > declared.len {
            return Err(BlobError::Damaged("longer than declared"));
        }
        bytes.extend_from_slice(&piece);
    }
    declared.check(bytes.len() as u64, Sha256::digest(&bytes).into()).map(|()| bytes.freeze())
}
