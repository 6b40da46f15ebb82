//! `DIR/incoming`: mails that other programs put there as files.
//!
//! A file is taken when it was closed after writing or moved there, or when it has not changed for a while; names
//! that begin with a dot are somebody's unfinished work. It is claimed by renaming it out of everybody's way before it
//! is read, and removed only after the mail was taken in. Its key comes from the file itself, so that a crash in
//! between makes no second mail.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use shared::{
    blobs::BlobError,
    ids::{JobId, WorkId},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    intake::{Intake, IntakeError},
    jobs::SmtpEnvelope,
};

/// A file that looks the same in two sweeps is settled, however it came: nobody's close is awaited for ever.
const SWEEP: Duration = Duration::from_secs(5);

/// What a file looks like from outside: it changes when the file does.
type Look = (u64, i64, i64);

/// A watched folder.
#[derive(Debug)]
pub struct Incoming {
    folder: PathBuf,
    /// Complete files; `None` when events were lost and the folder has to be swept.
    files: mpsc::UnboundedReceiver<Option<PathBuf>>,
    seen: BTreeMap<PathBuf, Look>,
    _watcher: notify::RecommendedWatcher,
}

impl Incoming {
    /// Starts watching `folder`.
    ///
    /// # Errors
    /// When the folder cannot be watched, or the folders inside it cannot be made.
    pub fn watch(folder: &Path) -> io::Result<Self> {
        let (found, files) = mpsc::unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let tell = |path| {
                // The receiver is gone only when the process stops.
                let _ = found.send(path);
            };
            match event {
                Ok(event) if event.need_rescan() => tell(None),
                Ok(event) if is_complete(event.kind) => event.paths.into_iter().map(Some).for_each(tell),
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the incoming folder cannot be watched; it is swept"),
            }
        })
        .map_err(io::Error::other)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
        let incoming = Self { folder: folder.to_owned(), files, seen: BTreeMap::new(), _watcher: watcher };
        for inner in [incoming.taking(), incoming.refused()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(inner)?;
        }
        Ok(incoming)
    }

    /// Takes files in, one after the other, until the process drains; one that was begun is finished.
    pub async fn take_all(mut self, intake: &Intake, draining: &CancellationToken) {
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let file = tokio::select! {
                () = draining.cancelled() => return,
                Some(file) = self.files.recv() => file,
                _ = sweeps.tick() => None,
            };
            match file {
                Some(path) => self.claim_and_take(&path, intake).await,
                None => self.sweep(intake, draining).await,
            }
        }
    }

    /// What was claimed and not finished, and what has not changed since the last sweep.
    async fn sweep(&mut self, intake: &Intake, draining: &CancellationToken) {
        let claimed = self.listed(&self.taking());
        let look = |path: PathBuf| Some((look(&fs::metadata(&path).ok()?), path));
        let now: BTreeMap<PathBuf, Look> =
            self.listed(&self.folder).into_iter().filter_map(look).map(|(look, path)| (path, look)).collect();
        let settled: Vec<PathBuf> = now
            .iter()
            .filter(|(path, look)| self.seen.get(*path) == Some(look))
            .map(|(path, _)| path.clone())
            .collect();
        self.seen = now;
        for path in claimed {
            if draining.is_cancelled() {
                return;
            }
            self.take(&path, intake).await;
        }
        for path in settled {
            if draining.is_cancelled() {
                return;
            }
            self.claim_and_take(&path, intake).await;
        }
    }

    fn listed(&self, folder: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the incoming folder cannot be read");
                return Vec::new();
            }
        };
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !is_hidden(path) && path.is_file()).collect()
    }

    /// Renames the file out of everybody's way, so that whatever takes its name next is another file.
    async fn claim_and_take(&self, path: &Path, intake: &Intake) {
        if is_hidden(path) || !path.is_file() {
            return;
        }
        let claimed = self.taking().join(uuid::Uuid::now_v7().to_string());
        match fs::rename(path, &claimed) {
            Ok(()) => self.take(&claimed, intake).await,
            // Somebody else has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, "a file cannot be claimed; it is tried again"),
        }
    }

    async fn take(&self, claimed: &Path, intake: &Intake) {
        match take(claimed, intake).await {
            Ok(mail) => tracing::info!(%mail, "taken in"),
            Err(error @ (IntakeError::Empty | IntakeError::NotAMail | IntakeError::TooLarge { .. })) => {
                tracing::warn!(%error, "a file is set aside in incoming/.refused");
                self.set_aside(claimed);
            }
            Err(error @ IntakeError::OverLimit { .. }) => tracing::info!(%error, "a file waits; it is tried again"),
            Err(error) => tracing::error!(%error, "a file could not be taken in; it is tried again"),
        }
    }

    /// Its name is unique since it was claimed.
    fn set_aside(&self, claimed: &Path) {
        let aside = claimed.file_name().map(|name| fs::rename(claimed, self.refused().join(name)));
        if let Some(Err(error)) = aside {
            tracing::error!(%error, "a refused file could not be set aside");
        }
    }

    fn taking(&self) -> PathBuf {
        self.folder.join(".taking")
    }

    fn refused(&self) -> PathBuf {
        self.folder.join(".refused")
    }
}

async fn take(path: &Path, intake: &Intake) -> Result<WorkId, IntakeError> {
    let unreadable = |error: io::Error| BlobError::Unavailable(error.kind().to_string());
    let before = fs::metadata(path).map_err(unreadable)?;
    intake.check_size(before.len())?;
    let raw = tokio::fs::read(path).await.map_err(unreadable)?;
    if look(&fs::metadata(path).map_err(unreadable)?) != look(&before) {
        // Its writer still has it open; the next sweep looks again.
        return Err(BlobError::Unavailable("the file is still being written".to_owned()).into());
    }
    let identity = format!("{}:{}:{}.{}", before.dev(), before.ino(), before.mtime(), before.mtime_nsec());
    let key = format!("raw/incoming/{}", JobId::derive(&[identity.as_bytes(), &raw]));
    let mail = intake.accept(&key, raw.into(), SmtpEnvelope::default(), None).await?;
    fs::remove_file(path).map_err(unreadable)?;
    Ok(mail)
}

fn look(meta: &fs::Metadata) -> Look {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
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
