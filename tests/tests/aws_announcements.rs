//! Whatever announces an object, and however often: it is one mail.

use std::time::Duration;

use serde_json::{Value, json};
use shared::blobs::Meta;
use tests::{
    aws::Scene,
    fleet::Fleet,
    mails::{Mail, Mails},
    soak::{seeded, within},
};

const LIMIT: Duration = Duration::from_secs(180);
const LEASE: Duration = Duration::from_secs(6);
const TIME: &str = "2026-11-03T09:00:00.000Z";

/// An object as its announcements name it.
struct Object<'a> {
    bucket: String,
    key: String,
    meta: &'a Meta,
}

impl Object<'_> {
    fn record(&self) -> Value {
        let object = json!({
            "key": self.key, "size": self.meta.len, "eTag": self.meta.etag.0.trim_matches('"'),
            "versionId": self.meta.version, "sequencer": "00C70AB0A1B4E5C2",
        });
        json!({
            "eventVersion": "2.3", "eventSource": "aws:s3", "eventTime": TIME, "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": object},
        })
    }

    fn event_bridge(&self) -> Value {
        let object = json!({
            "key": self.key, "size": self.meta.len, "etag": self.meta.etag.0.trim_matches('"'),
            "version-id": self.meta.version,
        });
        json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": TIME,
            "detail": {"version": "0", "bucket": {"name": self.bucket}, "object": object, "reason": "PutObject"},
        })
    }

    fn ses(&self) -> Value {
        let action = json!({"type": "S3", "bucketName": self.bucket, "objectKeyPrefix": "raw/", "objectKey": self.key});
        receipt("o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1", &action)
    }

    /// One body of every shape.
    fn announcements(&self) -> Vec<Value> {
        let one = json!({"Records": [self.record()]});
        vec![
            sns(&one),
            one,
            json!({"Records": [self.record(), self.record()]}),
            self.event_bridge(),
            sns(&self.event_bridge()),
            self.ses(),
            sns(&self.ses()),
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": TIME, "Bucket": self.bucket}),
        ]
    }
}

fn receipt(message: &str, action: &Value) -> Value {
    let pass = json!({"status": "PASS"});
    json!({
        "notificationType": "Received",
        "receipt": {
            "timestamp": TIME, "processingTimeMillis": 574, "recipients": ["desk@mail.example"],
            "spamVerdict": pass, "virusVerdict": pass, "spfVerdict": pass, "dkimVerdict": pass, "dmarcVerdict": pass,
            "action": action,
        },
        "mail": {"timestamp": TIME, "source": "ada@sender.example", "messageId": message, "destination": []},
    })
}

/// A receipt that holds the mail itself.
fn inline(mail: &Mail) -> Value {
    let action = json!({"type": "SNS", "topicArn": "arn:aws:sns:us-east-1:000000000000:mail", "encoding": "UTF8"});
    let mut receipt = receipt("d6iitobk75ur44p8kdnnp7g2n800", &action);
    receipt["content"] = String::from_utf8(mail.raw.clone()).unwrap().into();
    receipt
}

fn sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:mail", "Message": message.to_string(), "Timestamp": TIME,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcements_of_every_shape_of_one_object_are_one_mail() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let cloud = &scene.cloud;
        let fleet = Fleet::new(&scene.config(LEASE, &cloud.endpoint()));
        let _workers = fleet.workers(3).await;
        let mut source = Mails::new("said", seeded("announcements"));
        let (stored, held) = (source.text(), source.html());

        scene.receiver.expect("/hook", &stored);
        let meta = cloud.put(&stored).await;
        scene.receiver.wait_complete(LIMIT).await;
        let object =
            Object { bucket: cloud.output("MailBucket"), key: format!("raw/tests/{}", stored.name), meta: &meta };
        for body in object.announcements() {
            cloud.send("parse", body.to_string()).await;
        }
        scene.receiver.expect("/hook", &held);
        for body in [inline(&held), sns(&inline(&held))] {
            cloud.send("parse", body.to_string()).await;
            scene.receiver.wait_complete(LIMIT).await;
        }
        cloud.drained().await;
        let report = scene.receiver.report();
        report.assert_sound();
        assert_eq!((report.delivered, report.duplicates), (2, 0), "{report}");
        // Nothing but the receipt announces what came inside it: its envelope is the mail's.
        scene.receiver.book(|book| {
            let came = book.arrivals().iter().find(|arrival| arrival.sha256 == held.sha256()).unwrap();
            assert_eq!(came.payload["data"]["envelope"]["to"], json!(["desk@mail.example"]));
        });
        for stage in ["parse", "scan", "route", "deliver"] {
            assert_eq!(cloud.depth(&format!("{stage}-dlq")).await.total(), 0, "dead letters of {stage}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcements_that_come_at_once_are_one_mail() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let cloud = &scene.cloud;
        let fleet = Fleet::new(&scene.config(LEASE, &cloud.endpoint()));
        let mut source = Mails::new("once", seeded("announcements at once"));
        for mail in (0..5).map(|_| source.any()) {
            scene.receiver.expect("/hook", &mail);
            let meta = cloud.put(&mail).await;
            let object =
                Object { bucket: cloud.output("MailBucket"), key: format!("raw/tests/{}", mail.name), meta: &meta };
            for body in object.announcements() {
                cloud.send("parse", body.to_string()).await;
            }
        }
        let _workers = fleet.workers(3).await;
        scene.receiver.wait_complete(LIMIT).await;
        cloud.drained().await;
        let report = scene.receiver.report();
        eprintln!("announced nine times each: {report}");
        report.assert_sound();
        assert_eq!(report.duplicates, 0, "{report}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_of_a_foreign_bucket_or_of_no_known_shape_is_a_dead_letter() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let cloud = &scene.cloud;
        let fleet = Fleet::new(&scene.config(LEASE, &cloud.endpoint()));
        let _workers = fleet.workers(1).await;
        let mail = Mails::new("odd", seeded("foreign announcements")).text();
        scene.receiver.expect("/hook", &mail);
        let meta = cloud.put(&mail).await;
        let foreign = Object { bucket: "somebody-elses".into(), key: "raw/x".into(), meta: &meta };
        cloud.send("parse", json!({"Records": [foreign.record()]}).to_string()).await;
        cloud.send("parse", json!({"what": "is this"}).to_string()).await;
        scene.receiver.wait_complete(LIMIT).await.assert_sound();
        cloud.drained().await;
        assert_eq!(cloud.depth("parse-dlq").await.total(), 2);
        let listed = fleet.run(&["dlq", "list", "--json"]).await;
        assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
    })
    .await;
}
