//! The version of the signatures in a folder, as freshclam writes them.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::ReloadError;

/// The database whose version clamd names, by its endings: signed, patched by freshclam, unsigned.
const DAILY: [&str; 3] = ["daily.cvd", "daily.cld", "daily.cud"];
/// The header of a database, in bytes: fields with a colon between, blanks to its end.
const HEADER: u64 = 512;

/// The version of the newest `daily` database in a folder: what a clamd that loads it answers to VERSION.
///
/// # Errors
/// [`ReloadError::Database`] where there is none, or its header is none.
pub fn version_in(folder: &Path) -> Result<u64, ReloadError> {
    let failed = |path: &Path, error| ReloadError::Database { path: path.to_owned(), error };
    let mut newest = None;
    for name in DAILY {
        let path = folder.join(name);
        match header(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => newest = newest.max(Some(other.map_err(|error| failed(&path, error))?)),
        }
    }
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no daily.cvd, daily.cld or daily.cud");
    newest.ok_or_else(|| failed(folder, missing()))
}

/// `ClamAV-VDB`, when it was built, its version, and more.
fn header(path: &Path) -> io::Result<u64> {
    let mut header = Vec::new();
    File::open(path)?.take(HEADER).read_to_end(&mut header)?;
    let mut fields = header.split(|byte| *byte == b':');
    let is_one = fields.next() == Some(b"ClamAV-VDB");
    let version = fields.nth(1).and_then(|field| std::str::from_utf8(field).ok()?.parse().ok());
    version.filter(|_| is_one).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no header of a database"))
}
