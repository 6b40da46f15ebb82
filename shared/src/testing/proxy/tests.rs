//! Each fault, before a server that answers with the body that it got.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::any};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Answer, Fault, Proxy, Rule};

const SOON: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(20);

/// A proxy before an echo server.
async fn echo() -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(async |body: String| body))).await });
    Proxy::start(upstream).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.endpoint().trim_start_matches("http://").parse::<SocketAddr>().unwrap()).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str, body: &str) {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nhost: a\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until the answer ends with `end`.
async fn ends_with(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn without_a_rule_everything_passes_on_one_connection() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    for body in ["one", "two", &"x".repeat(1 << 20)] {
        let answered = tokio::spawn({
            let body = body.to_owned();
            async move {
                ask(&mut stream, "/a", &body).await;
                ends_with(&mut stream, &body).await;
                stream
            }
        });
        stream = timeout(LATE, answered).await.unwrap().unwrap();
    }
    assert_eq!((proxy.requests("POST /a"), proxy.requests("GET")), (3, 0));
}

#[tokio::test]
async fn a_share_hits_every_nth_request_that_matches() {
    let proxy = echo().await;
    proxy.rules([Rule::share("/b", 0.25, Fault::Answer(Answer::aws_json(503, "Slow")))]);
    let mut statuses = Vec::new();
    for n in 0..8 {
        let mut stream = connect(&proxy).await;
        ask(&mut stream, "/a", "free").await;
        ends_with(&mut stream, "free").await;
        ask(&mut stream, "/b", "body").await;
        let end = if n % 4 == 3 { "injected\"}" } else { "body" };
        statuses.push(ends_with(&mut stream, end).await.contains("HTTP/1.1 503 "));
    }
    assert_eq!(statuses, [false, false, false, true, false, false, false, true]);
}

#[tokio::test]
async fn cuts_and_resets_end_the_answer_early() {
    let proxy = echo().await;
    proxy.rules([Rule::all("/cut", Fault::CutAfter(20)), Rule::all("/reset", Fault::ResetAfter(20))]);
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "/cut", "a body of some length").await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.len(), 20);

    let mut stream = connect(&proxy).await;
    ask(&mut stream, "/reset", "a body of some length").await;
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn holes_swallow_and_latency_and_throttling_delay() {
    let proxy = echo().await;
    for fault in [Fault::BlackHole, Fault::LoseAnswer] {
        proxy.rules([Rule::all("", fault)]);
        let mut stream = connect(&proxy).await;
        ask(&mut stream, "/", "body").await;
        assert!(timeout(SOON, stream.read_u8()).await.is_err(), "nothing comes, and the connection stays");
    }
    // An answer of 3,000 bytes and its head.
    for fault in [Fault::Latency(SOON), Fault::Throttle(5_000)] {
        proxy.rules([Rule::all("", fault)]);
        let (mut stream, body, start) = (connect(&proxy).await, "x".repeat(3_000), Instant::now());
        ask(&mut stream, "/", &body).await;
        timeout(LATE, ends_with(&mut stream, &body)).await.unwrap();
        assert!(start.elapsed() >= SOON);
    }
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_that_often_and_answered_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let (seen, upstream) = (Arc::clone(&count), listener.local_addr().unwrap());
    let app = Router::new().fallback(any(async move |body: String| {
        seen.fetch_add(1, Ordering::SeqCst);
        body
    }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let proxy = Proxy::start(upstream).await.unwrap();
    proxy.rules([Rule::all("", Fault::Repeat(3))]);
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "/", "body").await;
    ends_with(&mut stream, "body").await;
    assert_eq!(count.load(Ordering::SeqCst), 3);
    proxy.rules([]);
    ask(&mut stream, "/", "next").await;
    ends_with(&mut stream, "next").await;
    assert_eq!(count.load(Ordering::SeqCst), 4);
}
