//! Whether a clamd says so when it did not look at everything. As it is installed it often does not: past a limit, or in
//! front of a password, it answers "OK".
//!
//! Each probe is small and settles one line of `clamd.conf`; ours is in `k8s/clamav/`.

use super::{Content, ScanError, Verdict, clamd::Clamd, zip::zip};

/// A stored zip member under a password, as `zip -0 -P` writes it.
pub(super) const ENCRYPTED_ZIP: &[u8] = include_bytes!("fixtures/encrypted.zip");

/// One level more than the largest `MaxRecursion` that clamd takes.
const DEPTH: usize = 101;

/// Why a clamd is not to be trusted with mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// It gave no answer.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It lets through what it cannot look into.
    #[error("it calls an encrypted archive {0}: clamd.conf needs the line \"AlertEncrypted yes\"")]
    Encrypted(&'static str),
    /// It lets through what it does not look into.
    #[error("it calls an archive nested beyond its limits {0}: clamd.conf needs the line \"AlertExceedsMax yes\"")]
    Exceeded(&'static str),
    /// It refuses what is no longer than mails may be.
    #[error(
        "it does not take {0} bytes, which a mail may have: clamd.conf needs the line \"StreamMaxLength {0}\" at least"
    )]
    StreamTooShort(u64),
}

/// Shows a clamd an encrypted archive, one that is nested too deep, and the length of the longest content, in bytes.
///
/// # Errors
/// [`ProbeError`]; its text says what to change.
pub async fn probe(clamd: &Clamd, longest: u64) -> Result<(), ProbeError> {
    match clamd.scan(Content::bytes(ENCRYPTED_ZIP.into())).await? {
        Verdict::Encrypted { .. } => {}
        other => return Err(ProbeError::Encrypted(other.name())),
    }
    match clamd.scan(Content::bytes(nested(DEPTH).into())).await? {
        Verdict::LimitsExceeded { .. } => {}
        other => return Err(ProbeError::Exceeded(other.name())),
    }
    match u32::try_from(longest) {
        Ok(len) if clamd.takes(len).await? => Ok(()),
        _ => Err(ProbeError::StreamTooShort(longest)),
    }
}

/// A small zip under a password.
#[cfg(any(test, feature = "testing"))]
pub const fn encrypted_zip() -> &'static [u8] {
    ENCRYPTED_ZIP
}

/// A harmless text in a zip in a zip and so on.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"Nothing to be found here.\n".to_vec(), |inner, _| zip(&[("a.zip", &inner)]))
}
