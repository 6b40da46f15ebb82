use proptest::prelude::*;
use serde_json::{Value, json};
use shared::pii::Pii;

use super::*;

mod hostile;
mod samples;

/// Reads a sample that announces one thing.
fn one(body: &Value) -> Announcement {
    let mut all = read(&body.to_string()).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn stored(body: &Value) -> Stored {
    match one(body) {
        Announcement::Stored(stored) => stored,
        other => panic!("{other:?}"),
    }
}

fn inline(body: &Value) -> Inline {
    match one(body) {
        Announcement::Inline(inline) => inline,
        other => panic!("{other:?}"),
    }
}

fn refused(body: &Value) -> String {
    read(&body.to_string()).unwrap_err().to_string()
}

/// A sample with one place of it changed.
fn with(mut sample: Value, pointer: &str, value: Value) -> Value {
    *sample.pointer_mut(pointer).unwrap() = value;
    sample
}

fn without(mut sample: Value, holder: &str, name: &str) -> Value {
    sample.pointer_mut(holder).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    sample
}

#[test]
fn an_s3_event_announces_its_objects() {
    let found = stored(&samples::s3_event());
    assert_eq!(found.bucket.as_str(), "mail-111122223333");
    assert_eq!(found.key, "raw/o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1");
    assert_eq!((found.size, found.etag.as_deref()), (Some(4631), Some("b21b84d653bb07b05b1e6b33684dc11b")));
    assert_eq!(found.version.as_deref(), Some("wlDoWTdvnfEyX5Yo7JSAS7P35zK5cpWy"));
    assert_eq!(found.sequencer.as_deref(), Some("00C70AB0A1B4E5C2"));
    assert_eq!((found.envelope, found.ses), (SmtpEnvelope::default(), None));
}

#[test]
fn every_record_of_an_s3_event_counts() {
    let mut event = samples::s3_event();
    let record = event["Records"][0].clone();
    let removed = with(record.clone(), "/eventName", json!("ObjectRemoved:DeleteMarkerCreated"));
    let copied = with(record.clone(), "/eventName", json!("ObjectCreated:CompleteMultipartUpload"));
    event["Records"] = json!([record, removed, copied]);
    let all = read(&event.to_string()).unwrap();
    assert_eq!(all.len(), 3);
    assert!(matches!((&all[0], &all[2]), (Announcement::Stored(_), Announcement::Stored(_))));
    assert_eq!(all[1], Announcement::Ignored { why: Why::NotCreated });
}

#[test]
fn minor_versions_pass_and_majors_do_not() {
    for (version, ok) in [("2.0", true), ("2.4", true), ("2", true), ("3.0", false), ("1.0", false), ("20.1", false)] {
        let event = with(samples::s3_event(), "/Records/0/eventVersion", json!(version));
        assert_eq!(read(&event.to_string()).is_ok(), ok, "{version}");
    }
}

#[test]
fn an_s3_key_is_decoded_once() {
    let cases = [
        ("raw/a+b", "raw/a b"),
        ("raw/a%2Bb", "raw/a+b"),
        ("raw/a%252Bb", "raw/a%2Bb"),
        ("raw/a%20b", "raw/a b"),
        ("raw/%C3%A4%E2%82%AC.eml", "raw/ä€.eml"),
        ("raw/100%", "raw/100%"),
        ("raw/%zz", "raw/%zz"),
        ("raw/..%2F..%2Fetc", "raw/../../etc"),
        ("raw/a%00b", "raw/a\0b"),
    ];
    for (encoded, key) in cases {
        let event = with(samples::s3_event(), "/Records/0/s3/object/key", json!(encoded));
        assert_eq!(stored(&event).key, key);
    }
}

#[test]
fn an_event_bridge_key_is_not_encoded() {
    let found = stored(&samples::event_bridge());
    assert_eq!((found.bucket.as_str(), found.size), ("mail-111122223333", Some(4631)));
    assert_eq!(found.etag.as_deref(), Some("b21b84d653bb07b05b1e6b33684dc11b"));
    assert_eq!(found.version.as_deref(), Some("wlDoWTdvnfEyX5Yo7JSAS7P35zK5cpWy"));
    for key in ["raw/a+b", "raw/a%2Bb", "raw/a b"] {
        assert_eq!(stored(&with(samples::event_bridge(), "/detail/object/key", json!(key))).key, key);
    }
    let deleted = with(samples::event_bridge(), "/detail-type", json!("Object Deleted"));
    assert_eq!(one(&deleted), Announcement::Ignored { why: Why::NotCreated });
}

#[test]
fn an_ses_receipt_names_the_object_and_the_envelope() {
    let found = stored(&samples::ses_s3());
    assert_eq!(found.key, "raw/o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1");
    assert_eq!((found.size, found.etag, found.version), (None, None, None));
    assert_eq!(found.envelope.from.unwrap().expose(), "alice@example.com");
    let to: Vec<&str> = found.envelope.to.iter().map(|to| to.expose().as_str()).collect();
    assert_eq!(to, ["task+notion@inbound.example.org", "hidden@inbound.example.org"]);
    let ses = found.ses.unwrap();
    assert_eq!((ses.spam, ses.virus, ses.spf), (Some(Status::Pass), Some(Status::Pass), Some(Status::Gray)));
    assert_eq!((ses.dkim, ses.dmarc), (Some(Status::ProcessingFailed), Some(Status::Fail)));
    assert_eq!(ses.dmarc_policy, Some(DmarcPolicy::Reject));
}

#[test]
fn an_ses_key_has_its_prefix_once() {
    let bare = with(samples::ses_s3(), "/receipt/action/objectKey", json!("o3vrnil0e2"));
    assert_eq!(stored(&bare).key, "raw/o3vrnil0e2");
    let unprefixed = without(bare, "/receipt/action", "objectKeyPrefix");
    assert_eq!(stored(&unprefixed).key, "o3vrnil0e2");
}

#[test]
fn an_unknown_verdict_is_no_pass_and_a_missing_one_is_none() {
    let new = with(samples::ses_s3(), "/receipt/spamVerdict/status", json!("SPLENDID"));
    assert_eq!(stored(&new).ses.unwrap().spam, Some(Status::Unknown));
    let old = without(without(samples::ses_s3(), "/receipt", "dmarcVerdict"), "/receipt", "dmarcPolicy");
    let ses = stored(&old).ses.unwrap();
    assert_eq!((ses.dmarc, ses.dmarc_policy), (None, None));
}

#[test]
fn the_null_sender_is_a_sender() {
    for source in ["<>", ""] {
        let bounce = with(samples::ses_s3(), "/mail/source", json!(source));
        assert_eq!(stored(&bounce).envelope.from, Some(Pii::default()));
    }
    assert_eq!(stored(&without(samples::ses_s3(), "/mail", "source")).envelope.from, None);
}

#[test]
fn inline_content_is_taken_in_either_encoding() {
    let raw = "Subject: grüße\r\n\r\nHello\r\n";
    for (encoding, content) in [
        (json!("UTF8"), json!(raw)),
        (json!("UTF-8"), json!(raw)),
        (Value::Null, json!(raw)),
        (json!("BASE64"), json!("U3ViamVjdDogZ3LDvMOfZQ0K\r\nDQpIZWxsbw0K\r\n")),
        (json!("Base64"), json!("U3ViamVjdDogZ3LDvMOfZQ0KDQpIZWxsbw0K")),
    ] {
        let sample = with(samples::ses_inline(), "/receipt/action/encoding", encoding);
        let found = inline(&with(sample, "/content", content));
        assert_eq!(found.raw.expose(), raw.as_bytes());
        assert_eq!(found.message.as_str(), "d6iitobk75ur44p8kdnnp7g2n800");
        assert_eq!(found.message.key(), "inline/d6iitobk75ur44p8kdnnp7g2n800");
        assert_eq!(found.envelope.to[0].expose(), "orders@inbound.example.org");
        shared::blobs::check_key(&found.message.key()).unwrap();
    }
}

#[test]
fn an_sns_envelope_is_taken_off_once() {
    for sample in [samples::s3_event(), samples::event_bridge(), samples::ses_s3(), samples::ses_inline()] {
        assert_eq!(read(&samples::sns(&sample).to_string()), read(&sample.to_string()));
    }
    let twice = samples::sns(&samples::sns(&samples::s3_event()));
    assert_eq!(refused(&twice), format!("$.Message: {}", Problem::UnknownShape));
}

#[test]
fn what_only_tests_a_set_up_is_ignored() {
    use Why::{NoMail, SetupNotification, TestEvent};
    let key = json!("raw/AMAZON_SES_SETUP_NOTIFICATION");
    let cases = [
        (samples::s3_test(), TestEvent),
        (samples::sns(&samples::s3_test()), TestEvent),
        (with(samples::s3_event(), "/Records/0/s3/object/key", key.clone()), SetupNotification),
        (with(samples::event_bridge(), "/detail/object/key", key.clone()), SetupNotification),
        (with(samples::ses_s3(), "/receipt/action/objectKey", key), SetupNotification),
        (with(samples::ses_s3(), "/mail/messageId", json!(SETUP_NOTIFICATION)), SetupNotification),
        (json!({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "…"}), SetupNotification),
        (with(samples::ses_s3(), "/receipt/action", json!({"type": "Lambda", "functionArn": "…"})), NoMail),
        (with(samples::ses_s3(), "/receipt/action", json!({"type": "Bounce", "sender": "…"})), NoMail),
    ];
    for (body, why) in cases {
        assert_eq!(one(&body), Announcement::Ignored { why });
    }
}

#[test]
fn an_error_names_the_field() {
    let s3 = samples::s3_event;
    let ses = samples::ses_s3;
    let invalid_utf8 = with(s3(), "/Records/0/s3/object/key", json!("raw/%FF%FE"));
    let cases = [
        (
            json!({}),
            "$: is not an S3 event, an EventBridge event, an SES receipt or an SNS envelope around one of these",
        ),
        (
            json!([s3()]),
            "$: is not an S3 event, an EventBridge event, an SES receipt or an SNS envelope around one of these",
        ),
        (json!({"Records": []}), "$.Records: is empty"),
        (json!({"Records": {}}), "$.Records: has to be a list"),
        (json!({"Event": "s3:Other"}), "$.Event: has to be \"s3:TestEvent\""),
        (with(s3(), "/Records/0/eventSource", json!("aws:ses")), "$.Records[0].eventSource: has to be \"aws:s3\""),
        (with(s3(), "/Records/0/eventVersion", json!(2.1)), "$.Records[0].eventVersion: has to be a text"),
        (without(s3(), "/Records/0/s3", "bucket"), "$.Records[0].s3.bucket: is missing"),
        (
            with(s3(), "/Records/0/s3/bucket/name", json!("Not/A")),
            "$.Records[0].s3.bucket.name: has to be the name of a bucket",
        ),
        (
            with(s3(), "/Records/0/s3/object/size", json!(-1)),
            "$.Records[0].s3.object.size: has to be a whole number, not negative",
        ),
        (with(s3(), "/Records/0/s3/object/key", json!("")), "$.Records[0].s3.object.key: is empty"),
        (with(s3(), "/Records/0/s3/object/key", json!("x".repeat(1025))), "$.Records[0].s3.object.key: is too long"),
        (invalid_utf8.clone(), "$.Records[0].s3.object.key: does not decode to UTF-8"),
        (samples::sns(&invalid_utf8), "$.Message.Records[0].s3.object.key: does not decode to UTF-8"),
        (
            with(s3(), "/Records/0/s3/object/key", json!("ends/4fa0/parse")),
            "$.Records[0].s3.object.key: is under a prefix of the fleet's own; the notification has to be filtered by the prefix of raw mail",
        ),
        (with(samples::event_bridge(), "/source", json!("aws.ec2")), "$.source: has to be \"aws.s3\""),
        (with(ses(), "/notificationType", json!("Bounce")), "$.notificationType: has to be \"Received\""),
        (with(ses(), "/receipt/recipients", json!([])), "$.receipt.recipients: is empty"),
        (
            with(ses(), "/receipt/recipients/1", json!("a\r\nb@c")),
            "$.receipt.recipients[1]: has to be without control characters",
        ),
        (with(ses(), "/receipt/recipients/0", json!("a".repeat(513))), "$.receipt.recipients[0]: is too long"),
        (
            with(ses(), "/receipt/action/type", json!("Teleport")),
            "$.receipt.action.type: has to be a known action, such as \"S3\" or \"SNS\"",
        ),
        (
            with(ses(), "/receipt/dmarcPolicy", json!("maybe")),
            "$.receipt.dmarcPolicy: has to be \"none\", \"quarantine\" or \"reject\"",
        ),
        (without(samples::ses_inline(), "", "content"), "$.content: is missing"),
        (with(samples::ses_inline(), "/content", Value::Null), "$.content: is missing"),
        (with(samples::ses_inline(), "/receipt/action/encoding", json!("BASE64")), "$.content: is not Base64"),
        (
            with(samples::ses_inline(), "/receipt/action/encoding", json!("ROT13")),
            "$.receipt.action.encoding: has to be \"UTF-8\" or \"Base64\"",
        ),
        (
            with(samples::ses_inline(), "/mail/messageId", json!("../x")),
            "$.mail.messageId: has to be letters, digits, \"-\" and \"_\"",
        ),
        (with(samples::sns(&s3()), "/Type", json!("SubscriptionConfirmation")), "$.Type: has to be \"Notification\""),
        (with(samples::sns(&s3()), "/Message", json!("hello")), "$.Message: is not JSON, or too deep"),
        (without(samples::sns(&s3()), "", "TopicArn"), "$.TopicArn: is missing"),
    ];
    for (body, error) in cases {
        assert_eq!(refused(&body), error);
    }
    assert_eq!(read("not JSON").unwrap_err().to_string(), "$: is not JSON, or too deep");
    assert_eq!(read(&"[".repeat(100_000)).unwrap_err().problem, Problem::NotJson);
    assert_eq!(read(&" ".repeat(MAX_BODY + 1)).unwrap_err().problem, Problem::TooLong);
}

proptest! {
    #[test]
    fn any_key_round_trips_through_an_s3_event(key in proptest::collection::vec(any::<char>(), 1..200).prop_map(String::from_iter)) {
        // As S3 encodes: a form's encoding, with `/` left as it is.
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>().replace("%2F", "/");
        let event = with(samples::s3_event(), "/Records/0/s3/object/key", json!(encoded));
        match one(&event) {
            Announcement::Stored(found) => prop_assert_eq!(found.key, key),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
