//! The operations port of a worker, and what it says.

use std::net::TcpListener;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A worker's operations port.
#[derive(Debug, Clone, Copy)]
pub struct Metrics(u16);

impl Metrics {
    /// A port that nobody listens on.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn free_port() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port())
    }

    /// The key of `[telemetry]` that has it served.
    #[must_use]
    pub fn section(self) -> String {
        format!("listen = \"127.0.0.1:{}\"", self.0)
    }

    /// All metrics, as they are scraped.
    ///
    /// # Panics
    /// When the worker does not answer.
    pub async fn get(self) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.0)).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
