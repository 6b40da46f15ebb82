//! Certificates: only the right host's, from a known authority.

use std::{io, time::Duration};

use mailtri::webhook::{BuildError, Delivery, DestinationHttp, FailureKind, WebhookClient};

use crate::support::{Authority, Receiver, client, send, status};

const TLS: Delivery = Delivery::Failed { kind: FailureKind::Tls };

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let receiver = Receiver::start(status("200 OK"), Some(unknown.acceptor("localhost", &[]))).await;
    let mut destination = receiver.destination("https", "localhost");
    assert_eq!(send(&client(&destination)).await, TLS);
    destination.ca_file = Some(known.file());
    assert_eq!(send(&client(&destination)).await, TLS);
    destination.ca_file = Some(unknown.file());
    assert_eq!(send(&client(&destination)).await, Delivery::Delivered { status: 200 });
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn another_hosts_certificate_is_refused() {
    let authority = Authority::new();
    for (certified, host, outcome) in [
        ("example.com", "localhost", TLS),
        ("localhost", "127.0.0.1", TLS),
        ("127.0.0.1", "localhost", TLS),
        ("127.0.0.1", "127.0.0.1", Delivery::Delivered { status: 200 }),
        ("localhost", "localhost", Delivery::Delivered { status: 200 }),
    ] {
        let receiver = Receiver::start(status("200 OK"), Some(authority.acceptor(certified, &[]))).await;
        let mut destination = receiver.destination("https", host);
        destination.ca_file = Some(authority.file());
        assert_eq!(send(&client(&destination)).await, outcome, "{certified} {host}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let receiver = Receiver::start(status("200 OK"), None).await;
    let outcome = send(&client(&receiver.destination("https", "localhost"))).await;
    assert!(matches!(outcome, Delivery::Failed { kind: FailureKind::Tls | FailureKind::Connect }), "{outcome:?}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_at_the_connect_timeout() {
    // The kernel completes the TCP connection; nobody accepts it.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", silent.local_addr().unwrap().port()).parse().unwrap();
    let allow_cidrs = vec!["127.0.0.1/32".parse().unwrap()];
    let connect_timeout = Duration::from_millis(300);
    let destination = DestinationHttp { allow_cidrs, connect_timeout, ..DestinationHttp::new(url) };
    assert_eq!(send(&client(&destination)).await, Delivery::Failed { kind: FailureKind::ConnectTimeout });
}

#[test]
fn a_ca_file_that_gives_no_certificate_is_said_at_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let error = |name: &str, content: Option<&str>| {
        let file = dir.path().join(name);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let url = "https://example.com/".parse().unwrap();
        WebhookClient::new(&DestinationHttp { ca_file: Some(file), ..DestinationHttp::new(url) }).unwrap_err()
    };
    assert_eq!(error("missing.pem", None), BuildError::CaUnreadable(io::ErrorKind::NotFound));
    assert_eq!(error("empty.pem", Some("")), BuildError::CaInvalid);
    assert_eq!(error("text.pem", Some("not PEM")), BuildError::CaInvalid);
    let broken = "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
    assert_eq!(error("broken.pem", Some(broken)), BuildError::CaInvalid);
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(error("other.pem", Some(no_certificate)), BuildError::Tls);
}
