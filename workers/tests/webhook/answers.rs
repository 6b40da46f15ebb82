//! What the receiver may answer, and what it got.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use mailtri::webhook::{Delivery, FailureKind};
use standardwebhooks::Webhook;

use crate::support::{Answer, Authority, Receiver, SECRET, client, send, send_body, status};

#[tokio::test]
async fn a_signed_webhook_arrives_over_https_and_a_foreign_verifier_accepts_it() {
    let authority = Authority::new();
    let receiver = Receiver::start(status("202 Accepted"), Some(authority.acceptor("localhost", &[]))).await;
    let mut destination = receiver.destination("https", "localhost");
    destination.ca_file = Some(authority.file());
    let body = Bytes::from("é".repeat(300_000));
    assert_eq!(send_body(&client(&destination), body.clone()).await, Delivery::Delivered { status: 202 });

    let [request] = &receiver.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /hook?key=1 HTTP/1.1");
    assert_eq!(request.body, body);
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["user-agent"], concat!("mailtri/", env!("CARGO_PKG_VERSION")));
    assert_eq!(request.headers["webhook-id"], "mail_01-a");
    Webhook::new(SECRET).unwrap().verify(&request.body, &request.headers).unwrap();
    assert!(Webhook::new(SECRET).unwrap().verify(b"{}", &request.headers).is_err());
}

#[tokio::test]
async fn connections_are_reused() {
    let authority = Authority::new();
    // Longer than what happens to have been read along with the head.
    let answer = Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{:60000}", ""));
    let receiver = Receiver::start(answer, Some(authority.acceptor("localhost", &[]))).await;
    let mut destination = receiver.destination("https", "localhost");
    destination.ca_file = Some(authority.file());
    let client = client(&destination);
    for _ in 0..20 {
        assert_eq!(send(&client).await, Delivery::Delivered { status: 200 });
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 20));
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", &["h2", "http/1.1"]);
    let receiver = Receiver::start(status("200 OK"), Some(acceptor)).await;
    let mut destination = receiver.destination("https", "localhost");
    destination.ca_file = Some(authority.file());
    let client = client(&destination);
    for _ in 0..3 {
        assert_eq!(send(&client).await, Delivery::Delivered { status: 200 });
    }
    assert_eq!(receiver.connections(), 1);
    assert_eq!(receiver.requests().len(), 3);
    assert!(receiver.requests().iter().all(|r| r.line == "POST /hook HTTP/2.0"));
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_not_followed() {
    let target = Receiver::start(status("200 OK"), None).await;
    for code in ["301", "302", "303", "307", "308"] {
        let head = format!("{code} Moved\r\nlocation: http://{}/", target.address);
        let receiver = Receiver::start(status(&head), None).await;
        let answer = send(&client(&receiver.destination("http", "127.0.0.1"))).await;
        assert_eq!(answer, Delivery::Refused { status: code.parse().unwrap() });
        assert_eq!(receiver.requests().len(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn each_answer_has_its_outcome() {
    let minute = Some(Duration::from_secs(60));
    for (head, outcome) in [
        ("204 No Content\r\nx: y", Delivery::Delivered { status: 204 }),
        ("400 Bad Request", Delivery::Refused { status: 400 }),
        ("410 Gone", Delivery::Gone),
        ("429 Too Many\r\nretry-after: 60", Delivery::Throttled { status: 429, retry_after: minute }),
        ("429 Too Many", Delivery::Throttled { status: 429, retry_after: None }),
        ("500 Error\r\nretry-after: 60", Delivery::Refused { status: 500 }),
        ("502 Bad Gateway", Delivery::Throttled { status: 502, retry_after: None }),
        ("503 Unavailable", Delivery::Refused { status: 503 }),
        ("503 Unavailable\r\nretry-after: 60", Delivery::Throttled { status: 503, retry_after: minute }),
        ("504 Timeout", Delivery::Throttled { status: 504, retry_after: None }),
    ] {
        let receiver = Receiver::start(status(head), None).await;
        assert_eq!(send(&client(&receiver.destination("http", "127.0.0.1"))).await, outcome, "{head}");
    }
}

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_not_read() {
    for framing in ["content-length: 104857600", "x-length: unknown"] {
        let receiver = Receiver::start(Answer::Flood(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")), None).await;
        let answer = send(&client(&receiver.destination("http", "127.0.0.1"))).await;
        assert_eq!(answer, Delivery::Delivered { status: 200 });
        // What the sockets' buffers took in; the limit itself is 64 KiB.
        let flooded = receiver.seen.flooded.load(Ordering::SeqCst);
        assert!(flooded < 32 << 20, "{framing}: {flooded}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_finishes_its_answer_is_cut_at_the_timeout() {
    let head = || "HTTP/1.1 200 OK\r\nx-slow: ".to_owned();
    let continued = "HTTP/1.1 100 Continue\r\n\r\n".to_owned();
    for (case, answer) in [
        ("silent", Answer::Stall(String::new())),
        ("stalled", Answer::Stall(head())),
        ("continued", Answer::Stall(continued)),
        ("dripping", Answer::Drip(head())),
    ] {
        let receiver = Receiver::start(answer, None).await;
        let mut destination = receiver.destination("http", "127.0.0.1");
        destination.timeout = Duration::from_millis(300);
        assert_eq!(send(&client(&destination)).await, Delivery::Failed { kind: FailureKind::Timeout }, "{case}");
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_undo_the_answer() {
    let head = || "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\nabc".to_owned();
    for answer in [Answer::Stall(head()), Answer::Drip(head())] {
        let receiver = Receiver::start(answer, None).await;
        let mut destination = receiver.destination("http", "127.0.0.1");
        destination.timeout = Duration::from_millis(500);
        assert_eq!(send(&client(&destination)).await, Delivery::Delivered { status: 200 });
    }
}

#[tokio::test]
async fn a_broken_connection_and_an_answer_that_is_not_http_are_protocol_failures() {
    for answer in [Answer::Close, Answer::Bytes("220 smtp.example.com ESMTP\r\n".to_owned())] {
        let receiver = Receiver::start(answer, None).await;
        let outcome = send(&client(&receiver.destination("http", "127.0.0.1"))).await;
        assert_eq!(outcome, Delivery::Failed { kind: FailureKind::Protocol });
    }
}
