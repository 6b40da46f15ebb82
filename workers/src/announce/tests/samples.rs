//! One body of every shape, as the services send them.

use serde_json::{Value, json};

pub(super) fn s3_event() -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-03-01T12:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"}, "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURI"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "mail",
            "bucket": {
                "name": "mail-111122223333", "arn": "arn:aws:s3:::mail-111122223333",
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            },
            "object": {
                "key": "raw/o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1", "size": 4631,
                "eTag": "b21b84d653bb07b05b1e6b33684dc11b", "versionId": "wlDoWTdvnfEyX5Yo7JSAS7P35zK5cpWy",
                "sequencer": "00C70AB0A1B4E5C2",
            },
        },
        "aFieldOfTheFuture": {"nested": [1, 2, 3]},
    }]})
}

pub(super) fn s3_test() -> Value {
    json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-01T12:00:00.000Z",
        "Bucket": "mail-111122223333", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3e",
    })
}

pub(super) fn event_bridge() -> Value {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2026-03-01T12:00:00Z", "region": "eu-west-1",
        "resources": ["arn:aws:s3:::mail-111122223333"],
        "detail": {
            "version": "0", "bucket": {"name": "mail-111122223333"},
            "object": {
                "key": "raw/o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1", "size": 4631,
                "etag": "b21b84d653bb07b05b1e6b33684dc11b", "version-id": "wlDoWTdvnfEyX5Yo7JSAS7P35zK5cpWy",
                "sequencer": "00C70AB0A1B4E5C2",
            },
            "request-id": "N4N7GDK58NMKJ12R", "requester": "111122223333", "source-ip-address": "192.0.2.1",
            "reason": "PutObject",
        },
    })
}

pub(super) fn ses_s3() -> Value {
    json!({
        "notificationType": "Received",
        "receipt": {
            "timestamp": "2026-03-01T12:00:00.000Z", "processingTimeMillis": "574",
            "recipients": ["task+notion@inbound.example.org", "hidden@inbound.example.org"],
            "spamVerdict": {"status": "PASS"}, "virusVerdict": {"status": "PASS"}, "spfVerdict": {"status": "GRAY"},
            "dkimVerdict": {"status": "PROCESSING_FAILED"}, "dmarcVerdict": {"status": "FAIL"}, "dmarcPolicy": "REJECT",
            "action": {
                "type": "S3", "topicArn": "arn:aws:sns:eu-west-1:111122223333:mail", "bucketName": "mail-111122223333",
                "objectKeyPrefix": "raw/", "objectKey": "raw/o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1",
            },
        },
        "mail": {
            "timestamp": "2026-03-01T12:00:00.000Z", "source": "alice@example.com",
            "messageId": "o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1", "destination": ["everyone@example.org"],
            "headersTruncated": false,
            "headers": [{"name": "To", "value": "everyone@example.org"}, {"name": "Subject", "value": "Hello"}],
            "commonHeaders": {"from": ["Alice <alice@example.com>"], "to": ["everyone@example.org"], "subject": "Hello"},
        },
    })
}

pub(super) fn ses_inline() -> Value {
    json!({
        "notificationType": "Received",
        "receipt": {
            "timestamp": "2026-03-01T12:00:00.000Z", "processingTimeMillis": 222,
            "recipients": ["orders@inbound.example.org"],
            "spamVerdict": {"status": "PASS"}, "virusVerdict": {"status": "PASS"}, "spfVerdict": {"status": "PASS"},
            "dkimVerdict": {"status": "PASS"}, "dmarcVerdict": {"status": "PASS"},
            "action": {
                "type": "SNS", "topicArn": "arn:aws:sns:eu-west-1:111122223333:mail", "encoding": "UTF8",
            },
        },
        "mail": {
            "timestamp": "2026-03-01T12:00:00.000Z", "source": "alice@example.com",
            "messageId": "d6iitobk75ur44p8kdnnp7g2n800", "destination": ["orders@inbound.example.org"],
            "headersTruncated": "true", "headers": [{"name": "Subject", "value": "Hello"}],
            "commonHeaders": {"subject": "Hello"},
        },
        "content": "From: alice@example.com\r\nTo: orders@inbound.example.org\r\nSubject: Hello\r\n\r\nHi.\r\n",
    })
}

/// The envelope that SNS puts around a message.
pub(super) fn sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:111122223333:mail", "Subject": "Amazon S3 Notification",
        "Message": message.to_string(), "Timestamp": "2026-03-01T12:00:00.000Z", "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/cert.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    })
}
