//! Answers that ministack cannot be brought to give, scripted.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing::{Dispatch, instrument::WithSubscriber};
use tracing_subscriber::{filter::filter_fn, layer::SubscriberExt};

use super::{super::client, LONG, MAX_WAIT, Queue, QueueError, SqsQueue, message, poll, sdk_config};
use crate::{
    queue::Receipt,
    telemetry::is_loggable,
    testing::proxy::{Answer, Fault, Proxy, Rule},
};

/// A queue that answers everything so.
async fn answering(answer: Answer) -> (Proxy, SqsQueue) {
    // Nothing is passed on: the proxy stands before one that listens and is silent.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    proxy.rules([Rule::all("", Fault::Answer(answer))]);
    let queue = SqsQueue::new(client(&sdk_config(&proxy.endpoint())), "http://127.0.0.1/0/work", "work");
    (proxy, queue)
}

fn json(body: &str) -> Answer {
    Answer { body: body.to_owned(), ..Answer::aws_json(200, "") }
}

fn failed(entries: &[(&str, &str, bool)], succeeded: &[&str]) -> Answer {
    let failed = entries.iter().map(|(id, code, sender)| {
        format!(r#"{{"Id":"{id}","Code":"{code}","SenderFault":{sender},"Message":"about canary-5b1c"}}"#)
    });
    let succeeded = succeeded.iter().map(|id| format!(r#"{{"Id":"{id}","MessageId":"m","MD5OfMessageBody":"0"}}"#));
    let (failed, succeeded) = (failed.collect::<Vec<_>>().join(","), succeeded.collect::<Vec<_>>().join(","));
    json(&format!(r#"{{"Successful":[{succeeded}],"Failed":[{failed}]}}"#))
}

fn unavailable(code: &str) -> Result<(), QueueError> {
    Err(QueueError::Unavailable(code.to_owned()))
}

#[tokio::test]
async fn each_entry_of_a_send_has_its_own_result() {
    let answer = failed(
        &[
            ("1", "InvalidMessageContents", true),
            ("2", "InternalError", false),
            ("3", "KmsThrottled", true),
            ("6", "InvalidParameterValue", false),
            ("nonsense", "InternalError", false),
            ("17", "InternalError", false),
        ],
        &["4", "0"],
    );
    let (_proxy, queue) = answering(answer).await;
    let results = queue.send(&vec![message("a"); 7]).await;
    assert_eq!(results[..1], [Ok(())]);
    assert!(matches!(results[1], Err(QueueError::Invalid(_))));
    assert_eq!(results[2..5], [unavailable("InternalError"), unavailable("KmsThrottled"), Ok(())]);
    assert_eq!(results[5], unavailable("no result for this entry"), "in neither list");
    assert_eq!(results[6], unavailable("InvalidParameterValue"), "not the sender's fault");
    assert!(!format!("{results:?}").contains("canary"));
}

#[tokio::test]
async fn refused_entries_do_not_shift_the_results_of_the_others() {
    let (_proxy, queue) = answering(failed(&[("1", "InternalError", false)], &["0"])).await;
    let results = queue.send(&[message("a"), message(""), message("b")]).await;
    assert!(
        matches!(&results[..], [Ok(()), Err(QueueError::Invalid(_)), Err(QueueError::Unavailable(_))]),
        "{results:?}"
    );
}

#[tokio::test]
async fn receipt_problems_are_told_from_passing_ones() {
    let entries = [
        ("0", "ReceiptHandleIsInvalid", true),
        ("1", "InvalidParameterValue", true),
        ("2", "AWS.SimpleQueueService.MessageNotInflight", true),
        ("3", "InternalError", false),
        ("4", "a code <with> canary-5b1c", false),
    ];
    let expected = [
        Err(QueueError::ReceiptExpired),
        Err(QueueError::ReceiptExpired),
        Err(QueueError::ReceiptExpired),
        unavailable("InternalError"),
        unavailable("an error without a code"),
        Ok(()),
    ];
    let (_proxy, queue) = answering(failed(&entries, &["5"])).await;
    let receipts: Vec<_> = (0..6).map(|n| Receipt(format!("r{n}"))).collect();
    assert_eq!(queue.delete(&receipts).await, expected);
    let changes: Vec<_> = receipts.into_iter().map(|receipt| (receipt, LONG)).collect();
    assert_eq!(queue.change_visibility(&changes).await, expected);
}

#[tokio::test]
async fn a_failed_call_is_the_result_of_every_entry() {
    for (status, code, expected) in [
        (400, "com.amazonaws.sqs#BatchRequestTooLong", None),
        (403, "AccessDenied", Some("AccessDenied")),
        (400, "com.amazonaws.sqs#KmsDisabled", Some("KmsDisabled")),
        (500, "", Some("an error without a code")),
    ] {
        let (_proxy, queue) = answering(Answer::aws_json(status, code)).await;
        for result in queue.send(&[message("a"), message("b")]).await {
            match expected {
                Some(code) => assert_eq!(result, unavailable(code)),
                None => assert!(matches!(result, Err(QueueError::Invalid(_))), "{result:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_empty_answer_to_a_batch_is_no_success() {
    let (_proxy, queue) = answering(json("{}")).await;
    assert_eq!(queue.delete(&[Receipt("r".into())]).await, [unavailable("no result for this entry")]);
    assert!(matches!(queue.depth().await, Err(QueueError::Unavailable(_))), "no attributes are no empty queue");
}

#[tokio::test]
async fn the_in_flight_limit_is_told_once_and_not_tried_again() {
    let (proxy, queue) = answering(Answer::aws_json(400, "com.amazonaws.sqs#OverLimit")).await;
    for _ in 0..2 {
        let error = poll(&queue, MAX_WAIT).await.unwrap_err();
        assert_eq!(error, QueueError::Unavailable("OverLimit".into()));
    }
    assert_eq!(proxy.requests("ReceiveMessage"), 2);
    assert!(!queue.limit.reached(), "no news");
    assert!(!queue.limit.received(0), "an empty answer does not end it");
    let message = r#"{"MessageId":"m","ReceiptHandle":"r","Body":"a","Attributes":{"ApproximateReceiveCount":"7"}}"#;
    proxy.rules([Rule::all("", Fault::Answer(json(&format!(r#"{{"Messages":[{message}]}}"#))))]);
    let received = poll(&queue, Duration::ZERO).await.unwrap();
    assert_eq!((received[0].body.as_str(), received[0].receive_count), ("a", 7));
    assert!(queue.limit.reached(), "news again");
}

#[tokio::test]
async fn a_message_that_cannot_be_handled_is_left_to_come_again() {
    let whole = r#"{"MessageId":"m","ReceiptHandle":"r","Body":"a","Attributes":{"ApproximateReceiveCount":"1"}}"#;
    let uncounted = r#"{"MessageId":"n","ReceiptHandle":"s","Body":"b"}"#;
    let (_proxy, queue) = answering(json(&format!(r#"{{"Messages":[{uncounted},{whole}]}}"#))).await;
    let received = poll(&queue, Duration::ZERO).await.unwrap();
    assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn a_long_poll_that_only_looks_empty_at_the_limit_is_told_by_the_depth() {
    let attributes = |in_flight: u32| {
        json(&format!(
            r#"{{"Attributes":{{"ApproximateNumberOfMessages":"5","ApproximateNumberOfMessagesNotVisible":"{in_flight}","ApproximateNumberOfMessagesDelayed":"0"}}}}"#
        ))
    };
    let (proxy, queue) = answering(attributes(119_500)).await;
    assert_eq!(queue.depth().await.unwrap().in_flight, 119_500);
    assert!(!queue.limit.reached(), "it was told already");
    proxy.rules([Rule::all("", Fault::Answer(attributes(100)))]);
    queue.depth().await.unwrap();
    assert!(queue.limit.reached(), "it had ended");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Not even when everything is logged.
#[tokio::test]
async fn no_log_holds_a_body_a_receipt_or_what_an_error_quotes() {
    let message = r#"{"MessageId":"m","ReceiptHandle":"canary-5b1c","Body":"canary-5b1c","Attributes":{"ApproximateReceiveCount":"1"}}"#;
    let log = Log::default();
    let writer = log.clone();
    let everything = tracing_subscriber::fmt().with_env_filter("trace").with_writer(move || writer.clone()).finish();
    let everything = Dispatch::new(everything.with(filter_fn(is_loggable)));
    // While there is one subscriber only, an event that another test emits first, without one, is off for this test too.
    let _second = Dispatch::new(tracing_subscriber::registry());
    let calls = async {
        for answer in [
            json(&format!(r#"{{"Messages":[{message}]}}"#)),
            json(&message.replace("Body", "Bo")),
            json("{\"Messages\": canary-5b1c"),
            Answer { body: r#"{"__type":"OverLimit","message":"canary-5b1c"}"#.into(), ..Answer::aws_json(400, "") },
            failed(&[("0", "InternalError", false)], &[]),
        ] {
            let (_proxy, queue) = answering(answer).await;
            drop(poll(&queue, Duration::ZERO).await);
            queue.send(&[super::message("canary-5b1c")]).await;
            queue.delete(&[Receipt("canary-5b1c".into())]).await;
        }
    };
    calls.with_subscriber(everything).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("nothing more is received") && log.contains("SQS.SendMessageBatch"), "{log}");
    let leaks: Vec<_> = log.lines().filter(|line| line.contains("canary")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
