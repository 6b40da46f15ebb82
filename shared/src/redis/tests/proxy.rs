//! A TCP proxy that delays replies, and now and then holds one for longer than callers wait.

use std::time::Duration;

use rand::{random_bool, random_range};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};

/// How replies are delayed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delays {
    /// The usual delay is up to so long.
    pub(crate) usual: Duration,
    /// One in so many replies …
    pub(crate) one_in: u32,
    /// … is held so long.
    pub(crate) held: Duration,
}

/// A proxy to the port `to` of 127.0.0.1; its own URL.
pub(crate) async fn start(to: u16, delays: Delays) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(copy(from_client, to_server, None));
            tokio::spawn(copy(from_server, to_client, Some(delays)));
        }
    });
    url
}

/// Copies until either side has gone.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delays: Option<Delays>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(delays) = delays {
            sleep(delay(delays)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn delay(delays: Delays) -> Duration {
    if random_bool(1.0 / f64::from(delays.one_in)) {
        return delays.held;
    }
    delays.usual.mul_f64(random_range(0.0..=1.0))
}
