//! Whether a scanner works: it finds the EICAR test file and lets a harmless one pass.
//!
//! A clamd without signatures answers every command and calls everything clean.

use std::hint::black_box;

use bytes::Bytes;

use super::{Content, ScanError, Verdict, clamd::Clamd};

/// The two halves of the EICAR test file, each backwards: the program that carries them is no positive itself.
const HALVES: [&str; 2] = ["$}7)CC7)^P(45XZP\\4[PA@%P!O5X", "*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE"];

const HARMLESS: &[u8] = b"Nothing to be found here.\n";

/// Why a scanner is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestError {
    /// It gave no verdict.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It did not call the EICAR test file infected: its signatures are missing.
    #[error("the scanner called the EICAR test file {0}")]
    Missed(&'static str),
    /// It did not call a harmless file clean.
    #[error("the scanner called a harmless file {0}")]
    FalseAlarm(&'static str),
}

/// The 68 bytes of the EICAR anti-malware test file (<https://www.eicar.org/download-anti-malware-testfile/>), made at
/// run time.
pub fn eicar() -> Vec<u8> {
    HALVES.iter().flat_map(|half| black_box(half).bytes().rev()).collect()
}

/// Scans the EICAR test file and a harmless one.
///
/// # Errors
/// [`SelfTestError`] if a verdict is missing or wrong.
pub async fn self_test(clamd: &Clamd) -> Result<(), SelfTestError> {
    let found = clamd.scan(Content::bytes(eicar().into())).await?;
    let passed = clamd.scan(Content::bytes(Bytes::from_static(HARMLESS))).await?;
    judge(&found, &passed)
}

const fn judge(eicar: &Verdict, harmless: &Verdict) -> Result<(), SelfTestError> {
    match (eicar, harmless) {
        (Verdict::Infected { .. }, Verdict::Clean) => Ok(()),
        (Verdict::Infected { .. }, other) => Err(SelfTestError::FalseAlarm(other.name())),
        (other, _) => Err(SelfTestError::Missed(other.name())),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn both_verdicts_have_to_be_right() {
        let infected = Verdict::Infected { signature: "Eicar".to_owned() };
        let encrypted = Verdict::Encrypted { reason: "x".to_owned() };
        for (eicar, harmless, expected) in [
            (&infected, &Verdict::Clean, Ok(())),
            (&Verdict::Clean, &Verdict::Clean, Err(SelfTestError::Missed("clean"))),
            (&encrypted, &Verdict::Clean, Err(SelfTestError::Missed("encrypted"))),
            (&infected, &infected, Err(SelfTestError::FalseAlarm("infected"))),
        ] {
            assert_eq!(judge(eicar, harmless), expected);
        }
    }

    #[test]
    fn the_test_file_is_right_and_not_in_the_program() {
        let eicar = eicar();
        let sha256: String = Sha256::digest(&eicar).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sha256, "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f");
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!program.windows(eicar.len()).any(|window| window == eicar));
    }
}
