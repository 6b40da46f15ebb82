//! The port on ministack: the conformance suite, then what goes wrong.

mod faults;
mod load;
mod scripted;

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::{
        MAX_BODY, MAX_WAIT, Outgoing, Queue, QueueError, Received,
        conformance::{MAX_RECEIVES, Rig, conformance_tests, message},
    },
    SqsQueue, check, client, seconds,
};
use crate::{
    envelope::body,
    testing::ministack::{Ministack, sdk_config},
};

const LONG: Duration = Duration::from_secs(600);

/// The ministack that the tests which run now share; the last of them ends it.
async fn ministack() -> Arc<Ministack> {
    static SHARED: Mutex<Weak<Ministack>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(Ministack::start().await.unwrap_or_else(|error| panic!("{error}")));
    *shared = Arc::downgrade(&started);
    started
}

/// A new queue's URL.
async fn create(ministack: &Ministack, name: &str, attributes: &[(QueueAttributeName, String)]) -> String {
    let client = client(&ministack.sdk_config());
    let request = client.create_queue().queue_name(name).set_attributes(Some(attributes.iter().cloned().collect()));
    request.send().await.unwrap().queue_url.unwrap()
}

/// A name that no other test has.
fn fresh_name() -> String {
    Uuid::now_v7().simple().to_string()
}

async fn rig() -> Rig {
    let ministack = ministack().await;
    let (name, client) = (fresh_name(), client(&ministack.sdk_config()));
    let dead_url = create(&ministack, &format!("{name}-dlq"), &[]).await;
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}-dlq");
    let redrive = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{MAX_RECEIVES}"}}"#);
    let url = create(&ministack, &name, &[(QueueAttributeName::RedrivePolicy, redrive)]).await;
    Rig {
        queue: Arc::new(SqsQueue::new(client.clone(), url, "work")),
        dead_letter: Arc::new(SqsQueue::new(client, dead_url, "work-dlq")),
        keep: Box::new(ministack),
    }
}

conformance_tests!(rig, ());

/// A queue on ministack that is reached at `endpoint`.
async fn queue_behind(ministack: &Ministack, endpoint: &str) -> Arc<SqsQueue> {
    let url = create(ministack, &fresh_name(), &[]).await;
    Arc::new(SqsQueue::new(client(&sdk_config(endpoint)), url, "work"))
}

fn address(ministack: &Ministack) -> SocketAddr {
    ([127, 0, 0, 1], ministack.port()).into()
}

async fn poll(queue: &dyn Queue, wait: Duration) -> Result<Vec<Received>, QueueError> {
    queue.receive(10, wait, LONG, &CancellationToken::new()).await
}

#[test]
fn seconds_are_rounded_up() {
    let rounded = [0, 1, 999, 1_000, 1_001, 900_000].map(|ms| seconds(Duration::from_millis(ms)));
    assert_eq!(rounded, [0, 1, 1, 1, 2, 900]);
}

#[tokio::test]
async fn the_group_arrives_as_the_message_group_of_a_standard_queue() {
    let ministack = ministack().await;
    let queue = queue_behind(&ministack, &ministack.endpoint()).await;
    let of = |group: &str| Outgoing { group: group.into(), ..message("a") };
    assert_eq!(queue.send(&[of("acme-1"), of("")]).await, [Ok(()), Ok(())]);
    let request = queue.client.receive_message().queue_url(&queue.url).max_number_of_messages(10);
    let received = request.message_system_attribute_names("MessageGroupId".into()).send().await.unwrap();
    let groups = received.messages().iter().map(|message| {
        message.attributes.as_ref().and_then(|attributes| attributes.get(&"MessageGroupId".into()).cloned())
    });
    assert_eq!(groups.collect::<Vec<_>>(), [Some("acme-1".to_owned()), None]);
}

#[tokio::test]
async fn a_lease_counts_from_before_its_receive() {
    let ministack = ministack().await;
    let queue = queue_behind(&ministack, &ministack.endpoint()).await;
    let before = tokio::time::Instant::now();
    let (received, ()) = tokio::join!(poll(&*queue, MAX_WAIT), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(queue.send(&[message("a")]).await, [Ok(())]);
    });
    let leased_at = received.unwrap()[0].leased_at;
    assert!((before..before + Duration::from_millis(900)).contains(&leased_at), "not when the message came");
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_unavailable_and_so_is_one_that_nobody_serves() {
    let ministack = ministack().await;
    let missing =
        SqsQueue::new(client(&ministack.sdk_config()), format!("{}/000000000000/none", ministack.endpoint()), "none");
    let unavailable = |error: &QueueError| matches!(error, QueueError::Unavailable(why) if why == "NonExistentQueue" || why == "QueueDoesNotExist");
    assert!(unavailable(&missing.depth().await.unwrap_err()), "{:?}", missing.depth().await);
    assert!(unavailable(&poll(&missing, Duration::ZERO).await.unwrap_err()));
    assert!(unavailable(missing.send(&[message("a")]).await[0].as_ref().unwrap_err()));

    let nobody = SqsQueue::new(client(&sdk_config("http://127.0.0.1:1")), "http://127.0.0.1:1/0/none", "none");
    let error = nobody.depth().await.unwrap_err();
    assert!(matches!(&error, QueueError::Unavailable(why) if why.contains("no connection")), "{error}");
}

/// No error repeats what was sent.
#[tokio::test]
async fn errors_carry_no_bodies() {
    let canary = "canary-5b1c";
    let ministack = ministack().await;
    let queue = queue_behind(&ministack, "http://127.0.0.1:1").await;
    let invalid = message(format!("{canary}\u{FFFE}"));
    let heavy = message(canary.repeat(MAX_BODY / canary.len() + 1));
    let mut results = queue.send(&[message(canary), invalid]).await;
    results.extend(queue.send(&[heavy]).await);
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert!(!format!("{results:?} {queue:?}").contains(canary));
}

/// SQS refuses some characters, JSON allows any: what is written as a body passes, and reads as it was.
#[tokio::test]
async fn a_body_may_speak_of_any_character() {
    let ministack = ministack().await;
    let queue = queue_behind(&ministack, &ministack.endpoint()).await;
    let plain = message("\u{FFFF}");
    assert!(matches!(queue.send(&[plain]).await[..], [Err(QueueError::Invalid(_))]));
    let every = (0..=0x1_0000).filter_map(char::from_u32).chain(['\u{10FFFE}', '\u{10FFFF}']).collect::<String>();
    assert_eq!(queue.send(&[message(body(&every).unwrap())]).await, [Ok(())]);
    let received = poll(&*queue, MAX_WAIT).await.unwrap();
    assert!(serde_json::from_str::<String>(&received[0].body).unwrap() == every, "altered");
}

proptest! {
    #[test]
    fn no_body_holds_a_character_that_sqs_refuses(text in any::<String>(), refused in "[\u{0}-\u{20}\u{FFFE}\u{FFFF}\\\\\"]{1,8}") {
        let value = serde_json::json!({ &refused: [&text, &refused] });
        let body = body(&value).unwrap();
        prop_assert!(check::outgoing(&[message(body.clone())]).verdicts[0].is_ok());
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), value);
    }
}
