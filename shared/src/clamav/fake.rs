//! A clamd that misbehaves by a script, and what the client must make of it: never a clean verdict.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    ScanError, Verdict,
    clamd::{Clamd, Deadlines},
    conformance::{AMPLE, content as content_of, pieces},
    endpoint::Endpoint,
    selftest::{SelfTestError, self_test},
    testing::{Options, TestClamd},
};
use crate::blobs::{BlobError, conformance::noise};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Reads a command and a stream up to its terminator.
    ReadStream,
    /// Reads so many bytes.
    Read(usize),
    Send(&'static [u8]),
    /// Keeps the connection open, and reads nothing, until the client closes it.
    Hang,
    /// Reads until the client closes.
    ReadToEnd,
}

/// Serves one connection and returns what it read.
async fn fake(steps: &'static [Step]) -> (Clamd, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
    let served = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        for step in steps {
            perform(*step, &mut client, &mut seen).await;
        }
        seen
    });
    (Clamd::new(endpoint, AMPLE), served)
}

async fn perform(step: Step, client: &mut TcpStream, seen: &mut Vec<u8>) {
    let mut buffer = vec![0; 64 * 1024];
    let target = match step {
        Step::Send(bytes) => return client.write_all(bytes).await.unwrap(),
        Step::Hang => {
            client.ready(tokio::io::Interest::ERROR).await.unwrap();
            return;
        }
        Step::Read(count) => count,
        Step::ReadStream | Step::ReadToEnd => usize::MAX,
    };
    while seen.len() < target && !(matches!(step, Step::ReadStream) && content(seen).is_some()) {
        let room = buffer.len().min(target - seen.len());
        match client.read(&mut buffer[..room]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
}

/// The content of a stream with its terminator; `None` where that is missing.
fn content(seen: &[u8]) -> Option<Vec<u8>> {
    let mut rest = seen.strip_prefix(b"zINSTREAM\0")?;
    let mut content = Vec::new();
    loop {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (chunk, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).unwrap())?;
        if chunk.is_empty() {
            return after.is_empty().then_some(content);
        }
        content.extend_from_slice(chunk);
        rest = after;
    }
}

async fn real(options: Options) -> TestClamd {
    TestClamd::start(options).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_clamd_without_eicar_fails_the_self_test() {
    let mut clamd = real(Options::default()).await;
    let client = Clamd::new(clamd.endpoint_unix(), AMPLE);
    assert_eq!(self_test(&client).await, Ok(()));
    clamd.forget_eicar().unwrap();
    clamd.restart().await.unwrap();
    assert_eq!(self_test(&client).await, Err(SelfTestError::Missed("clean")));
}

#[tokio::test]
async fn a_killed_clamd_is_unavailable_until_it_is_back() {
    let mut clamd = real(Options::default()).await;
    let clients = [clamd.endpoint_unix(), clamd.endpoint_tcp()].map(|endpoint| Clamd::new(endpoint, AMPLE));
    clamd.kill().unwrap();
    assert_eq!(clamd.pid(), None);
    for client in &clients {
        assert!(matches!(client.scan(pieces(b"x", 1)).await, Err(ScanError::Unreachable(_))));
        assert!(matches!(client.version().await, Err(ScanError::Unreachable(_))));
    }
    clamd.restart().await.unwrap();
    for client in &clients {
        assert_eq!(client.scan(pieces(b"x", 1)).await, Ok(Verdict::Clean));
    }
}

#[tokio::test]
async fn an_exact_answer_to_the_whole_stream_is_believed() {
    let bytes = noise(1, 300_000);
    for piece in [1000, 70_000, 300_000] {
        let (client, served) = fake(&[Step::ReadStream, Step::Send(b"stream: OK\0")]).await;
        assert_eq!(client.scan(pieces(&bytes, piece)).await, Ok(Verdict::Clean));
        assert!(content(&served.await.unwrap()).unwrap() == bytes, "pieces of {piece} arrived as they are");
    }
}

#[tokio::test]
async fn answers_that_are_not_exact_are_garbled() {
    for steps in [
        &[Step::ReadStream, Step::Send(b"stream: OK")][..],
        &[Step::ReadStream, Step::Send(b"stream: O")],
        &[Step::ReadStream, Step::Send(b"stream: OK\n")],
        &[Step::ReadStream, Step::Send(b"stream: OK\0"), Step::Send(b"stream: OK\0")],
        &[Step::ReadStream, Step::Send(b"stream: OK\0stream: Eicar FOUND\0")],
        &[Step::ReadStream, Step::Send(b"\0\0\0")],
        &[Step::ReadStream, Step::Send(b"220 mail.example ESMTP\r\n")],
        &[Step::ReadStream, Step::Send(&[b'x'; 5000])],
        &[Step::ReadStream, Step::Send(&[0; 100_000])],
    ] {
        let (client, _served) = fake(steps).await;
        let verdict = client.scan(pieces(b"content", 3)).await;
        assert_eq!(verdict, Err(ScanError::Garbled), "{steps:?}");
    }
}

#[tokio::test]
async fn a_closed_connection_is_unavailable() {
    for steps in [&[][..], &[Step::Read(3)], &[Step::Read(14)], &[Step::Read(100_000)], &[Step::ReadStream]] {
        let (client, _served) = fake(steps).await;
        let verdict = client.scan(pieces(&noise(1, 5_000_000), 65_536)).await;
        assert!(matches!(verdict, Err(ScanError::Unavailable(_))), "{steps:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_verdict_on_a_part_is_not_believed() {
    for reply in [b"stream: OK\0" as &[u8], b"stream: Eicar FOUND\0"] {
        let steps: &[Step] = vec![Step::Read(100_000), Step::Send(reply)].leak();
        let (client, _served) = fake(steps).await;
        let verdict = client.scan(pieces(&noise(1, 50_000_000), 65_536)).await;
        assert_eq!(verdict, Err(ScanError::Garbled), "{reply:?}");
        // Also where it reads on, and closes in order.
        let steps: &[Step] = vec![Step::Read(100), Step::Send(reply), Step::ReadStream].leak();
        let (client, served) = fake(steps).await;
        let verdict = client.scan(pieces(&noise(1, 5_000_000), 65_536)).await;
        assert_eq!(verdict, Err(ScanError::Garbled), "{reply:?}");
        assert!(content(&served.await.unwrap()).is_none());
    }
    let (client, _served) = fake(&[Step::Read(100_000), Step::Send(b"INSTREAM size limit exceeded. ERROR\0")]).await;
    let verdict = client.scan(pieces(&noise(1, 50_000_000), 65_536)).await;
    assert!(matches!(verdict, Ok(Verdict::LimitsExceeded { .. })), "{verdict:?}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline_of_the_step() {
    let short = Duration::from_millis(300);
    let scan = Deadlines { scan: short, ..AMPLE };
    for (len, steps) in [
        // More than the buffers of a connection hold: it ends while it writes.
        (20_000_000, &[Step::Hang][..]),
        (10, &[Step::ReadStream, Step::Hang]),
        (10, &[Step::ReadStream, Step::Send(b"stream: OK\0"), Step::Hang]),
    ] {
        let (client, served) = fake(steps).await;
        let client = Clamd::new(client.endpoint().clone(), scan);
        let verdict = client.scan(pieces(&noise(1, len), 1 << 20)).await;
        assert_eq!(verdict, Err(ScanError::Deadline), "{steps:?}");
        // The connection is closed, not left behind.
        served.await.unwrap();
    }
    let (client, served) = fake(&[Step::Hang]).await;
    let client = Clamd::new(client.endpoint().clone(), Deadlines { write: short, ..AMPLE });
    let verdict = client.scan(pieces(&noise(1, 20_000_000), 1 << 20)).await;
    assert!(matches!(verdict, Err(ScanError::Unavailable(_))), "{verdict:?}");
    served.await.unwrap();
    let (client, served) = fake(&[Step::Hang]).await;
    let client = Clamd::new(client.endpoint().clone(), Deadlines { connect: short, ..AMPLE });
    assert!(matches!(client.version().await, Err(ScanError::Unavailable(why)) if why.contains("no answer within")));
    served.await.unwrap();
}

#[tokio::test]
async fn a_stalled_source_meets_the_deadline() {
    let (client, served) = fake(&[Step::ReadToEnd]).await;
    let client = Clamd::new(client.endpoint().clone(), Deadlines { scan: Duration::from_millis(50), ..AMPLE });
    let source = stream::iter([Ok(Bytes::from_static(b"some, but not all"))]).chain(stream::pending());
    assert_eq!(client.scan(content_of(17, source.boxed())).await, Err(ScanError::Deadline));
    assert!(content(&served.await.unwrap()).is_none());
}

#[tokio::test]
async fn a_broken_source_never_sends_the_terminator() {
    let (client, served) = fake(&[Step::ReadToEnd]).await;
    let pieces = [Ok(noise(1, 100_000)), Ok(noise(2, 10)), Err(BlobError::Damaged("truncated"))];
    let source = content_of(100_010, stream::iter(pieces).boxed());
    assert_eq!(client.scan(source).await, Err(ScanError::Source(BlobError::Damaged("truncated"))));
    let seen = served.await.unwrap();
    assert!(seen.starts_with(b"zINSTREAM\0") && content(&seen).is_none());
}

#[tokio::test]
async fn versions_are_read_with_the_same_care() {
    let (client, served) = fake(&[Step::Read(9), Step::Send(b"ClamAV 1.4.3/27500/Mon Jan  6 09:42:49 2025\0")]).await;
    let version = client.version().await.unwrap();
    assert_eq!((version.engine.as_str(), version.database.as_deref()), ("ClamAV 1.4.3", Some("27500")));
    assert_eq!(served.await.unwrap(), b"zVERSION\0");
    for steps in
        [&[Step::Read(9), Step::Send(b"ClamAV 1.4.3")][..], &[Step::Read(9)], &[Step::Read(9), Step::Send(b"PONG\0")]]
    {
        let (client, _served) = fake(steps).await;
        assert_eq!(client.version().await, Err(ScanError::Garbled), "{steps:?}");
    }
}
