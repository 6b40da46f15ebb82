//! HTTP/2, where one connection carries every request: one that stands still must not take all of them along.

use std::{future::pending, sync::Arc, time::Duration};

use mailtri::webhook::{Delivery, DestinationHttp};
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::support::{Authority, client, send};

/// Answers every request, but on its first connection only the first: after that the connection is open, and nobody
/// reads it.
async fn freezes_once(listener: TcpListener, tls: TlsAcceptor, frozen: Arc<Notify>) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
        let frozen = Arc::clone(&frozen);
        connections.spawn(async move {
            let mut http = h2::server::handshake(stream).await.unwrap();
            let mut answered = 0;
            while let Some(Ok((_, mut respond))) = http.accept().await {
                respond.send_response(Default::default(), true).unwrap();
                answered += 1;
                if connection == 0 && answered == 1 {
                    // What was answered leaves; the next request finds nobody.
                    let served = tokio::time::timeout(Duration::from_millis(200), http.accept()).await;
                    assert!(served.is_err(), "the client waits until it is told");
                    frozen.notify_one();
                    pending::<()>().await;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_connection_that_stands_still_is_given_up_for_another() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    let frozen = Arc::new(Notify::new());
    let _server = tokio::spawn(freezes_once(listener, authority.acceptor("localhost", &["h2"]), Arc::clone(&frozen)));
    let client = client(&DestinationHttp {
        ca_file: Some(authority.file()),
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        timeout: Duration::from_secs(1),
        ..DestinationHttp::new(url)
    });
    assert_eq!(send(&client).await, Delivery::Delivered { status: 200 });
    frozen.notified().await;
    let mut tries = Vec::new();
    while tries.len() < 8 && !matches!(tries.last(), Some(Delivery::Delivered { .. })) {
        tries.push(send(&client).await);
    }
    assert!(matches!(tries[0], Delivery::Failed { .. }), "nobody answers it: {tries:?}");
    assert!(matches!(tries.last(), Some(Delivery::Delivered { .. })), "all wait at the dead connection: {tries:?}");
}
