//! What every [`Scanner`] must do, in front of a real clamd that finds EICAR.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{
    Content, ScanError, Scanner, Verdict, clamd::Deadlines, probes::ENCRYPTED_ZIP, selftest::eicar,
    testing::EICAR_NAME, zip::zip,
};
use crate::blobs::{BlobError, ByteStream, conformance::noise};

/// The `StreamMaxLength` that the suite expects of the clamd behind the scanner.
pub const STREAM_MAX: usize = 1 << 20;

/// Ample: no case is about time, but those that say so.
pub const AMPLE: Deadlines = {
    let ample = Duration::from_secs(60);
    Deadlines { connect: ample, write: ample, scan: ample }
};

/// Runs every case.
pub async fn all(scanner: &dyn Scanner) {
    verdicts(scanner).await;
    pieces_of_any_size(scanner).await;
    too_long_is_a_limit(scanner).await;
    a_broken_source_is_an_error(scanner).await;
    many_at_once(scanner).await;
    let version = scanner.engine().await.unwrap();
    assert!(version.engine.starts_with("ClamAV "), "{version:?}");
}

/// `bytes` in pieces of at most `piece`.
pub fn pieces(bytes: &[u8], piece: usize) -> Content<'static> {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    content(bytes.len(), stream::iter(pieces).boxed())
}

/// What comes out of a stream.
pub fn content(len: usize, stream: ByteStream) -> Content<'static> {
    Content::new(len as u64, async { Ok(stream) })
}

async fn verdict(scanner: &dyn Scanner, content: Content<'_>) -> Result<Verdict, ScanError> {
    Ok(scanner.scan(content).await?.verdict)
}

/// What the scanner must say of the EICAR test file.
pub fn infected() -> Result<Verdict, ScanError> {
    Ok(Verdict::Infected { signature: EICAR_NAME.to_owned() })
}

async fn verdicts(scanner: &dyn Scanner) {
    let encrypted = Ok(Verdict::Encrypted { reason: "Heuristics.Encrypted.Zip".to_owned() });
    let harmless = b"Dear reader, all is well.\n".to_vec();
    for (name, bytes, expected) in [
        ("text", harmless.clone(), Ok(Verdict::Clean)),
        ("empty", Vec::new(), Ok(Verdict::Clean)),
        ("EICAR", eicar(), infected()),
        ("EICAR and a newline", [eicar(), b"\n".to_vec()].concat(), infected()),
        ("zipped text", zip(&[("note.txt", &harmless)]), Ok(Verdict::Clean)),
        ("zipped EICAR", zip(&[("eicar.com", &eicar())]), infected()),
        ("EICAR zipped twice", zip(&[("a.zip", &zip(&[("eicar.com", &eicar())]))]), infected()),
        ("encrypted zip", ENCRYPTED_ZIP.to_vec(), encrypted),
        ("as long as is allowed", noise(1, STREAM_MAX).to_vec(), Ok(Verdict::Clean)),
    ] {
        assert_eq!(verdict(scanner, pieces(&bytes, 128 * 1024)).await, expected, "{name}");
    }
}

async fn pieces_of_any_size(scanner: &dyn Scanner) {
    let archive = zip(&[("noise", &noise(2, 600_000)), ("eicar.com", &eicar())]);
    for piece in [1000, 65_535, 65_536, 65_537, 1 << 20] {
        assert_eq!(verdict(scanner, pieces(&archive, piece)).await, infected(), "pieces of {piece}");
    }
    assert_eq!(verdict(scanner, pieces(&eicar(), 1)).await, infected(), "single bytes");
    // An empty piece ends nothing: what follows it is scanned.
    let split = eicar().chunks(34).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let with_gaps = [Bytes::new(), split[0].clone(), Bytes::new(), Bytes::new(), split[1].clone(), Bytes::new()];
    assert_eq!(
        verdict(scanner, content(68, stream::iter(with_gaps.map(Ok)).boxed())).await,
        infected(),
        "empty pieces"
    );
}

async fn too_long_is_a_limit(scanner: &dyn Scanner) {
    for len in [STREAM_MAX + 1, STREAM_MAX + 4096, 2 * STREAM_MAX, 20 * STREAM_MAX] {
        for piece in [4096, 256 * 1024] {
            let verdict = verdict(scanner, pieces(&noise(3, len), piece)).await;
            assert!(matches!(verdict, Ok(Verdict::LimitsExceeded { .. })), "{len} bytes by {piece}: {verdict:?}");
        }
    }
}

async fn a_broken_source_is_an_error(scanner: &dyn Scanner) {
    let broken = BlobError::Damaged("truncated");
    for good in [0, 10, 200_000] {
        let noise = noise(4, good);
        let source = stream::iter([Ok(noise), Err(broken.clone())]).boxed();
        let verdict = verdict(scanner, content(good, source)).await;
        assert_eq!(verdict, Err(ScanError::Source(broken.clone())), "{good} good bytes");
    }
    let unopened = Content::new(3, async { Err(BlobError::NotFound) });
    assert_eq!(verdict(scanner, unopened).await, Err(ScanError::Source(BlobError::NotFound)));
}

async fn many_at_once(scanner: &dyn Scanner) {
    let scans = (0..20).map(async |n: u32| {
        let (bytes, expected) = match n % 2 {
            0 => (eicar(), infected()),
            _ => (noise(n, 50_000).to_vec(), Ok(Verdict::Clean)),
        };
        assert_eq!(verdict(scanner, pieces(&bytes, 8192)).await, expected, "{n}");
    });
    join_all(scans).await;
}
