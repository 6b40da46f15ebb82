//! No connection to what is denied, asserted at the socket that would have got it.
//!
//! 127.0.0.1 plays the denied address and 127.0.0.2, where nobody listens, the allowed one: no packet leaves the machine.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use mailtri::webhook::{
    BuildError, Delivery, DestinationHttp, FailureKind, WebhookClient,
    egress::{Lookup, Range, UrlError},
};

use crate::support::{Receiver, client, send, status};

/// A name server that gives another answer each time, and the last one for ever.
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        Arc::new(Self(Mutex::new(answers)))
    }
}

#[async_trait]
impl Lookup for Script {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(host, "hooks.example.com");
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.ok_or_else(|| io::Error::other("no such name"))
    }
}

fn scripted(receiver: &Receiver, allowed: &str, answers: &[&[&str]]) -> WebhookClient {
    let mut destination = receiver.destination("http", "hooks.example.com");
    destination.allow_cidrs = vec![allowed.parse().unwrap()];
    WebhookClient::with_lookup(&destination, Script::new(answers)).unwrap()
}

const DENIED: Delivery = Delivery::Failed { kind: FailureKind::DeniedAddress };

#[tokio::test]
async fn a_name_that_is_rebound_to_a_denied_address_is_never_connected_to() {
    let receiver = Receiver::start(status("200 OK"), None).await;
    let client =
        scripted(&receiver, "127.0.0.2/32", &[&["127.0.0.2"], &["127.0.0.1"], &["::ffff:127.0.0.1"], &["::1"]]);
    // The first answer passes and is connected to: refused, since nobody listens there.
    assert_eq!(send(&client).await, Delivery::Failed { kind: FailureKind::Connect });
    for _ in 0..5 {
        assert_eq!(send(&client).await, DENIED);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_with_mixed_addresses_is_connected_to_at_the_allowed_ones_only() {
    let receiver = Receiver::start(status("200 OK"), None).await;
    let mixed: &[&str] = &["127.0.0.1", "::1", "127.0.0.2", "::ffff:127.0.0.1", "169.254.169.254"];
    let other = scripted(&receiver, "127.0.0.2/32", &[mixed]);
    assert_eq!(send(&other).await, Delivery::Failed { kind: FailureKind::Connect });
    assert_eq!(receiver.connections(), 0);

    let same = scripted(&receiver, "127.0.0.1/32", &[mixed]);
    assert_eq!(send(&same).await, Delivery::Delivered { status: 200 });
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_apart_from_a_denied_one() {
    let receiver = Receiver::start(status("200 OK"), None).await;
    let dns = Delivery::Failed { kind: FailureKind::Dns };
    assert_eq!(send(&scripted(&receiver, "127.0.0.2/32", &[])).await, dns);
    assert_eq!(send(&scripted(&receiver, "127.0.0.2/32", &[&[]])).await, dns);
    assert_eq!(send(&scripted(&receiver, "127.0.0.2/32", &[&["10.0.0.1", "fe80::1"]])).await, DENIED);
}

#[tokio::test]
async fn the_loopback_is_reached_only_by_the_allow_list() {
    let receiver = Receiver::start(status("200 OK"), None).await;
    let mut named = receiver.destination("http", "localhost");
    named.allow_cidrs.clear();
    assert_eq!(send(&client(&named)).await, DENIED);
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.2"] {
        let mut literal = receiver.destination("http", host);
        literal.allow_cidrs = vec!["10.0.0.0/8".parse().unwrap()];
        let error = WebhookClient::new(&literal).unwrap_err();
        assert_eq!(error, BuildError::Url(UrlError::Denied(Range::Loopback)), "{host}");
    }
    assert_eq!(receiver.connections(), 0);
    for host in ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let answer = send(&client(&receiver.destination("http", host))).await;
        assert_eq!(answer, Delivery::Delivered { status: 200 }, "{host}");
    }
    assert_eq!(receiver.connections(), 5);
}

#[test]
fn plain_http_needs_the_development_switch() {
    let url = "http://example.com/".parse().unwrap();
    let error = WebhookClient::new(&DestinationHttp::new(url)).unwrap_err();
    assert_eq!(error, BuildError::Url(UrlError::Scheme));
}
