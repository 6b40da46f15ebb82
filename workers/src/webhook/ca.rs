//! A destination's own certificate authorities, from a PEM file.

use std::path::Path;

use reqwest::Certificate;

use super::BuildError;

/// The certificates in the file; never none.
pub(super) fn read(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let pem = std::fs::read(path).map_err(|error| BuildError::CaUnreadable(error.kind()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| BuildError::CaInvalid)?;
    if certificates.is_empty() { Err(BuildError::CaInvalid) } else { Ok(certificates) }
}
