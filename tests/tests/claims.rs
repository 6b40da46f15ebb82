//! A mail whose jobs fit no message, on both planes: they go by stored claims, through every stage, the dead-letter
//! queue and the desk.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use serde_json::{Value, json};
use shared::{
    blobs::{Blobs, Condition, dir::DirBlobs},
    clock::Clock,
    envelope::{Carried, DeadLetter},
    queue::{Outgoing, Queue, sqlite::SqliteQueues},
};
use tests::{
    aws::Scene,
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, Mails, base64_lines},
    receiver::{Answer, Receiver},
    soak::{seeded, within},
};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(180);
const LEASE: Duration = Duration::from_secs(6);
/// So many that the announcement itself just fits.
const RECIPIENTS: usize = 24_000;
/// Of a message: 1 MiB. The announcement is below it, what the next stages get is above.
const MOST: usize = 1 << 20;
/// Not under `raw/`: the announcement is the only one.
const KEY: &str = "held/large";

/// A plane with a fleet on it.
struct Plane {
    fleet: Fleet,
    bucket: String,
    blobs: Arc<dyn Blobs>,
    parse: Arc<dyn Queue>,
    dead: Arc<dyn Queue>,
}

impl Plane {
    async fn announce(&self, mail: &Mail) {
        self.blobs.put(KEY, mail.raw.clone().into(), Condition::IfAbsent).await.unwrap();
        let body = receipt(&self.bucket).to_string();
        assert!((MOST / 10 * 8..MOST).contains(&body.len()), "{}", body.len());
        let message = Outgoing { body, delay: Duration::ZERO, group: String::new() };
        assert_eq!(self.parse.send(&[message]).await, [Ok(())]);
    }

    async fn claims(&self) -> usize {
        self.blobs.list("claims/", None, 100).await.unwrap().keys.len()
    }

    async fn desk(&self, args: &[&str]) -> Value {
        let ran = self.fleet.run(&[&["dlq"], args].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

/// The announcement of a mail with so many recipients that they fill a message.
fn receipt(bucket: &str) -> Value {
    let pass = json!({"status": "PASS"});
    let recipients: Vec<String> = (0..RECIPIENTS).map(|n| format!("recipient-number-{n:06}@mailbox.example")).collect();
    json!({
        "notificationType": "Received",
        "receipt": {
            "timestamp": "2026-11-03T09:00:00.000Z", "processingTimeMillis": 574, "recipients": recipients,
            "spamVerdict": pass, "virusVerdict": pass, "spfVerdict": pass, "dkimVerdict": pass, "dmarcVerdict": pass,
            "action": {"type": "S3", "bucketName": bucket, "objectKey": KEY},
        },
        "mail": {
            "timestamp": "2026-11-03T09:00:00.000Z", "source": "ada@sender.example",
            "messageId": "d6iitobk75ur44p8kdnnp7g2n800", "destination": [],
        },
    })
}

/// The mail is delivered in the end, after the destination was gone once.
async fn passes(plane: &Plane, receiver: &Receiver) {
    let noise: Vec<u8> = seeded("claims").random_iter().take(80 << 10).collect();
    let mail = Mails::new("large", seeded("claims")).with_text(&base64_lines(&noise));
    receiver.plan("/hook", &[Answer::Status(410)], Answer::Status(200));
    receiver.expect("/hook", &mail);
    let _worker = plane.fleet.worker(&["parse", "scan", "route", "deliver"]).await;
    plane.announce(&mail).await;

    let never = CancellationToken::new();
    let wait = async {
        loop {
            let got = plane.dead.receive(1, Duration::from_secs(5), Duration::from_secs(60), &never).await.unwrap();
            if let Some(message) = got.into_iter().next() {
                let visible = plane.dead.change_visibility(&[(message.receipt, Duration::ZERO)]).await;
                assert_eq!(visible, [Ok(())]);
                return message.body;
            }
        }
    };
    let body = wait.await;
    let DeadLetter::Job(letter) = DeadLetter::decode(&body) else { panic!("no job: {} bytes", body.len()) };
    assert_eq!(letter.dead.as_ref().map(|dead| dead.class.as_str()), Some("gone"));
    assert!(matches!(letter.job, Carried::Stored(_)), "{} bytes", body.len());
    assert_eq!(plane.claims().await, 3, "the jobs of scan, route and deliver");

    let each = plane.desk(&["list", "--each", "--json", "--fresh", "0"]).await;
    assert_eq!((&each["class"], &each["raw"]["key"]), (&json!("gone"), &json!(KEY)));
    let shown = plane.desk(&["show", each["id"].as_str().unwrap(), "--content", "--json"]).await;
    assert_eq!(shown["content"]["envelope"]["to"].as_array().map(Vec::len), Some(RECIPIENTS));
    assert_eq!(plane.desk(&["requeue", "--all", "--json"]).await, json!({"sent_back": 1}));
    receiver.wait_complete(LIMIT).await.assert_sound();
    assert_eq!(plane.claims().await, 3, "what goes back refers to what is stored");
    assert_eq!(plane.dead.depth().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_jobs_fit_no_message_is_delivered_by_stored_claims_on_the_embedded_plane() {
    within(LIMIT, async {
        let (clamd, receiver) = tokio::join!(Clamd::start(), Receiver::start());
        let fleet = Fleet::new(&Config::simple(&clamd, &receiver).short_leases(LEASE, 10));
        let queues = SqliteQueues::open(&fleet.data().join("queue"), Clock::system()).unwrap();
        let plane = Plane {
            bucket: "local".to_owned(),
            blobs: Arc::new(DirBlobs::open(&fleet.data().join("blobs")).unwrap()),
            parse: queues.queue("parse", None).unwrap(),
            dead: queues.queue("deliver-dlq", None).unwrap(),
            fleet,
        };
        passes(&plane, &receiver).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_jobs_fit_no_message_is_delivered_by_stored_claims_on_aws() {
    within(LIMIT, async {
        let scene = Scene::start().await;
        let cloud = &scene.cloud;
        let plane = Plane {
            fleet: Fleet::new(&scene.config(LEASE, &cloud.endpoint())),
            bucket: cloud.output("MailBucket"),
            blobs: Arc::new(cloud.bucket().clone()),
            parse: Arc::new(cloud.queue("parse")),
            dead: Arc::new(cloud.queue("deliver-dlq")),
        };
        passes(&plane, &scene.receiver).await;
    })
    .await;
}
