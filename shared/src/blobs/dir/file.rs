//! One object's file: a header of 48 bytes, then the content.
//!
//! The header is the magic `blob v1\n`, the content's length (8 bytes, big endian) and its SHA-256 (32 bytes). The
//! length tells a truncated file when it is opened; the SHA-256 is the ETag without reading the content, and
//! is verified whenever the whole of it is read: the last chunk is only handed out if all were right.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    super::{BlobError, ETag, Meta},
    unavailable,
};

/// How much is read, hashed or written at a time. Measured: within a tenth of a thread that reads ahead for each
/// reader (1.2 of 1.4 GB/s), which a slow reader would hold for as long as it takes.
pub(super) const CHUNK: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"blob v1\n";
const HEADER: usize = MAGIC.len() + 8 + 32;

/// What a file says of its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) len: u64,
    pub(super) sha256: [u8; 32],
}

impl Header {
    pub(super) fn of(content: &[u8]) -> Self {
        Self { len: content.len() as u64, sha256: Sha256::digest(content).into() }
    }

    pub(super) fn meta(&self) -> Meta {
        Meta { len: self.len, etag: self.etag(), version: None }
    }

    fn etag(&self) -> ETag {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let digits = self.sha256.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        ETag(digits.map(|digit| char::from(HEX[usize::from(digit)])).collect())
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.len.to_be_bytes());
        bytes[16..].copy_from_slice(&self.sha256);
        bytes
    }

    /// Reads the header, and checks that the file is as long as it says.
    fn read(file: &mut File) -> Result<Self, BlobError> {
        let (mut magic, mut len, mut sha256) = ([0; 8], [0; 8], [0; 32]);
        for part in [&mut magic[..], &mut len, &mut sha256] {
            file.read_exact(part).map_err(short)?;
        }
        let header = Self { len: u64::from_be_bytes(len), sha256 };
        let size = file.metadata().map_err(unavailable)?.len();
        if magic != MAGIC || size.checked_sub(HEADER as u64) != Some(header.len) {
            return Err(BlobError::Damaged("length or header"));
        }
        Ok(header)
    }
}

fn short(error: std::io::Error) -> BlobError {
    match error.kind() {
        ErrorKind::UnexpectedEof => BlobError::Damaged("truncated"),
        _ => unavailable(error),
    }
}

/// A file being read. It stays the same version whatever happens to its name meanwhile.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    left: u64,
    /// The running and the recorded hash, where the whole content is read.
    check: Option<(Sha256, [u8; 32])>,
}

impl Reader {
    /// Opens a file for reading all of it or a range.
    pub(super) fn open(
        path: &Path,
        range: Option<Range<u64>>,
        if_match: Option<&ETag>,
    ) -> Result<(Header, Self), BlobError> {
        let mut file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => BlobError::NotFound,
            _ => unavailable(error),
        })?;
        let header = Header::read(&mut file)?;
        if if_match.is_some_and(|etag| *etag != header.etag()) {
            return Err(BlobError::Changed);
        }
        let range = range.unwrap_or(0..header.len);
        if range.start > range.end || range.end > header.len {
            return Err(BlobError::Range);
        }
        file.seek(SeekFrom::Start(HEADER as u64 + range.start)).map_err(unavailable)?;
        let whole = range == (0..header.len);
        let check = whole.then(|| (Sha256::new(), header.sha256));
        Ok((header, Self { file, left: range.end - range.start, check }))
    }

    pub(super) const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The next bytes; `None` for an empty content.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        let size = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = Vec::with_capacity(size);
        (&self.file).take(size as u64).read_to_end(&mut chunk).map_err(unavailable)?;
        if chunk.len() < size {
            return Err(BlobError::Damaged("truncated"));
        }
        self.left -= size as u64;
        self.verify(&chunk)?;
        Ok((size > 0).then(|| chunk.into()))
    }

    fn verify(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        let Some((running, recorded)) = &mut self.check else { return Ok(()) };
        running.update(chunk);
        if self.left == 0 && running.finalize_reset()[..] != *recorded {
            return Err(BlobError::Damaged("checksum"));
        }
        Ok(())
    }
}

/// A file being written, under a name of its own. Dropping it removes that name.
#[derive(Debug)]
pub(super) struct Draft {
    header: Header,
    path: PathBuf,
    file: File,
    left: u64,
    running: Sha256,
}

impl Draft {
    /// Begins a file that will have exactly the content that `header` describes.
    pub(super) fn create(tmp: &Path, header: Header) -> Result<Self, BlobError> {
        let path = tmp.join(Uuid::now_v7().to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unavailable)?;
        let mut draft = Self { header, path, file, left: header.len, running: Sha256::new() };
        draft.file.write_all(&header.encode()).map_err(unavailable)?;
        Ok(draft)
    }

    /// Appends some of the content.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(BlobError::Damaged("longer than declared"))?;
        self.running.update(bytes);
        self.file.write_all(bytes).map_err(unavailable)
    }

    /// Checks that the content is what was declared and makes it durable.
    pub(super) fn finish(&mut self) -> Result<Meta, BlobError> {
        if self.left > 0 {
            return Err(BlobError::Damaged("shorter than declared"));
        }
        if self.running.finalize_reset()[..] != self.header.sha256 {
            return Err(BlobError::Damaged("checksum"));
        }
        self.file.sync_all().map_err(unavailable)?;
        Ok(self.header.meta())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; what cannot be removed is a leftover for the next opening.
        fs::remove_file(&self.path).ok();
    }
}
