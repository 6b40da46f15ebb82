//! `DIR/incoming`: mails that other programs put there as files.
//!
//! A file is taken when it was closed after writing or moved there; names that begin with a dot are somebody's
//! unfinished work. It is removed only after the mail was taken in, and its key comes from the file itself, so that
//! a crash in between makes no second mail.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notify::{
    EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use shared::ids::JobId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    intake::{Intake, IntakeError},
    jobs::SmtpEnvelope,
};

/// A file that was there at the start and was written to within this time may still be in somebody's hands: its
/// close is awaited.
const SETTLED: Duration = Duration::from_secs(10);

/// A watched folder.
#[derive(Debug)]
pub struct Incoming {
    folder: PathBuf,
    files: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: notify::RecommendedWatcher,
}

impl Incoming {
    /// Starts watching `folder`, and finds what lies there already.
    ///
    /// # Errors
    /// When the folder cannot be watched or read.
    pub fn watch(folder: &Path) -> io::Result<Self> {
        let (sender, files) = mpsc::unbounded_channel();
        let found = sender.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if is_complete(event.kind) => {
                for path in event.paths {
                    // The receiver is gone only when the process stops.
                    let _ = found.send(path);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the incoming folder can no longer be watched"),
        })
        .map_err(io::Error::other)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
        for path in settled_files(folder)? {
            let _ = sender.send(path);
        }
        Ok(Self { folder: folder.to_owned(), files, _watcher: watcher })
    }

    /// Takes files in, one after the other, until the process drains; one that was begun is finished.
    pub async fn take_all(mut self, intake: &Intake, draining: &CancellationToken) {
        while let Some(Some(path)) = draining.run_until_cancelled(self.files.recv()).await {
            if is_hidden(&path) || !path.is_file() {
                continue;
            }
            match take(&path, intake).await {
                Ok(mail) => tracing::info!(%mail, "taken in"),
                Err(error @ (IntakeError::Empty | IntakeError::NotAMail | IntakeError::TooLarge { .. })) => {
                    tracing::warn!(%error, "a file is set aside in incoming/.refused");
                    self.set_aside(&path);
                }
                Err(error) => tracing::error!(%error, "a file could not be taken in; it stays where it is"),
            }
        }
    }

    fn set_aside(&self, path: &Path) {
        let refused = self.folder.join(".refused");
        let moved = fs::create_dir_all(&refused)
            .and_then(|()| fs::rename(path, refused.join(path.file_name().unwrap_or(OsStr::new("file")))));
        if let Err(error) = moved {
            tracing::error!(%error, "a refused file could not be set aside");
        }
    }
}

async fn take(path: &Path, intake: &Intake) -> Result<shared::ids::WorkId, IntakeError> {
    let unreadable = |error: io::Error| shared::blobs::BlobError::Unavailable(error.kind().to_string());
    let meta = fs::metadata(path).map_err(unreadable)?;
    let raw = tokio::fs::read(path).await.map_err(unreadable)?;
    let identity = format!("{}:{}:{}.{}", meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec());
    let key = format!("raw/incoming/{}", JobId::derive(&[identity.as_bytes(), &raw]));
    let mail = intake.accept(&key, raw.into(), SmtpEnvelope::default()).await?;
    fs::remove_file(path).map_err(unreadable)?;
    Ok(mail)
}

const fn is_complete(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Any))
    )
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn settled_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let modified = entry.metadata()?.modified()?;
        if SystemTime::now().duration_since(modified).is_ok_and(|age| age >= SETTLED) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
