//! What every [`Scanner`] must do, in front of a real clamd that finds EICAR.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{
    ScanError, Scanner, Verdict,
    selftest::{eicar, self_test},
    testing::EICAR_NAME,
};
use crate::blobs::{BlobError, ByteStream, conformance::noise};

/// The `StreamMaxLength` that the suite expects of the clamd behind the scanner.
pub const STREAM_MAX: usize = 1 << 20;

/// Ample: no case is about time, but those that say so.
pub const AMPLE: Duration = Duration::from_secs(60);

/// A stored zip member under a password, as `zip -0 -P` writes it.
const ENCRYPTED_ZIP: &[u8] = include_bytes!("fixtures/encrypted.zip");

/// Runs every case.
pub async fn all(scanner: &dyn Scanner) {
    verdicts(scanner).await;
    pieces_of_any_size(scanner).await;
    too_long_is_a_limit(scanner).await;
    a_broken_source_is_an_error(scanner).await;
    a_stalled_source_meets_the_deadline(scanner).await;
    many_at_once(scanner).await;
    assert_eq!(self_test(scanner, AMPLE).await, Ok(()));
    let version = scanner.version(AMPLE).await.unwrap();
    assert!(version.engine.starts_with("ClamAV "), "{version:?}");
}

/// A stream of `bytes` in pieces of at most `piece`.
pub fn pieces(bytes: &[u8], piece: usize) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

/// What the scanner must say of the EICAR test file.
pub fn infected() -> Result<Verdict, ScanError> {
    Ok(Verdict::Infected { signature: EICAR_NAME.to_owned() })
}

/// A zip with these stored members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let len = u32::try_from(content.len()).unwrap().to_le_bytes();
        let name_len = u16::try_from(name.len()).unwrap().to_le_bytes();
        let at = u32::try_from(zip.len()).unwrap().to_le_bytes();
        // Version 1.0, no flags, stored, 1980-01-01, no extra field.
        let common =
            [&[10, 0, 0, 0, 0, 0, 0, 0, 33, 0][..], &crc32(content).to_le_bytes(), &len, &len, &name_len, &[0; 2]]
                .concat();
        directory.extend([b"PK\x01\x02\x0a\0", &common[..], &[0; 10], &at, name.as_bytes()].concat());
        zip.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
    }
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let [directory_len, directory_at] = [directory.len(), zip.len()].map(|n| u32::try_from(n).unwrap().to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &directory_len, &directory_at, &[0; 2]].concat();
    [zip, directory, end].concat()
}

/// CRC-32 as in zip (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
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
        assert_eq!(scanner.scan(pieces(&bytes, 128 * 1024), AMPLE).await, expected, "{name}");
    }
}

async fn pieces_of_any_size(scanner: &dyn Scanner) {
    let archive = zip(&[("noise", &noise(2, 600_000)), ("eicar.com", &eicar())]);
    for piece in [1000, 65_535, 65_536, 65_537, 1 << 20] {
        assert_eq!(scanner.scan(pieces(&archive, piece), AMPLE).await, infected(), "pieces of {piece}");
    }
    assert_eq!(scanner.scan(pieces(&eicar(), 1), AMPLE).await, infected(), "single bytes");
    // An empty piece ends nothing: what follows it is scanned.
    let split = eicar().chunks(34).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let with_gaps = [Bytes::new(), split[0].clone(), Bytes::new(), Bytes::new(), split[1].clone(), Bytes::new()];
    assert_eq!(scanner.scan(stream::iter(with_gaps.map(Ok)).boxed(), AMPLE).await, infected(), "empty pieces");
}

async fn too_long_is_a_limit(scanner: &dyn Scanner) {
    for len in [STREAM_MAX + 1, STREAM_MAX + 4096, 2 * STREAM_MAX, 20 * STREAM_MAX] {
        for piece in [4096, 256 * 1024] {
            let verdict = scanner.scan(pieces(&noise(3, len), piece), AMPLE).await;
            assert!(matches!(verdict, Ok(Verdict::LimitsExceeded { .. })), "{len} bytes by {piece}: {verdict:?}");
        }
    }
}

async fn a_broken_source_is_an_error(scanner: &dyn Scanner) {
    let broken = BlobError::Damaged("truncated");
    for good in [0, 10, 200_000] {
        let source = pieces(&noise(4, good), 50_000).chain(stream::iter([Err(broken.clone())]));
        assert_eq!(
            scanner.scan(source.boxed(), AMPLE).await,
            Err(ScanError::Source(broken.clone())),
            "{good} good bytes"
        );
    }
}

async fn a_stalled_source_meets_the_deadline(scanner: &dyn Scanner) {
    let source = pieces(b"some, but not all", 5).chain(stream::pending()).boxed();
    assert_eq!(scanner.scan(source, Duration::from_millis(50)).await, Err(ScanError::Deadline));
}

async fn many_at_once(scanner: &dyn Scanner) {
    let scans = (0..20).map(async |n: u32| {
        let (bytes, expected) = match n % 2 {
            0 => (eicar(), infected()),
            _ => (noise(n, 50_000).to_vec(), Ok(Verdict::Clean)),
        };
        assert_eq!(scanner.scan(pieces(&bytes, 8192), AMPLE).await, expected, "{n}");
    });
    join_all(scans).await;
}
