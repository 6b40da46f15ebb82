//! Bells: how a process tells the others that a queue has news, with neither side polling.
//!
//! Each queue has a small file. Ringing writes to it; every process watches the folder (inotify). A bell says "look
//! again", never more: a ring too many costs one look, and a ring lost with a killed process delays what it had sent
//! until the polls under way end.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, futures::Notified};

/// One queue's bell.
pub(super) struct Bell {
    file: File,
    rung: Notify,
}

impl Bell {
    /// Wakes who waits for it, in this process and in the others.
    pub(super) fn ring(&self) {
        self.rung.notify_waiters();
        if let Err(error) = self.file.write_at(b"!", 0) {
            tracing::warn!(%error, "other processes cannot be told of new messages at once");
        }
    }

    /// Completes at the next ring after this call, whenever it is first polled.
    pub(super) fn rung(&self) -> Notified<'_> {
        self.rung.notified()
    }
}

#[derive(Default)]
struct Known(Mutex<HashMap<String, Arc<Bell>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Bell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what the watcher heard; if it may have missed something, everybody looks again.
    fn hear(&self, heard: &notify::Result<Event>) {
        let bells = self.lock();
        match heard {
            Ok(event) if !event.need_rescan() => event
                .paths
                .iter()
                .filter(|_| event.kind.is_modify())
                .filter_map(|path| bells.get(path.file_name()?.to_str()?))
                .for_each(|bell| bell.rung.notify_waiters()),
            _ => bells.values().for_each(|bell| bell.rung.notify_waiters()),
        }
    }
}

/// The bells of one folder and the watch over it.
pub(super) struct Bells {
    folder: PathBuf,
    known: Arc<Known>,
    _watcher: RecommendedWatcher,
}

impl Bells {
    /// Watches `folder`, creating it if need be.
    pub(super) fn open(folder: &Path) -> notify::Result<Self> {
        fs::create_dir_all(folder)?;
        let known = Arc::new(Known::default());
        let hears = Arc::clone(&known);
        let mut watcher = notify::recommended_watcher(move |heard| hears.hear(&heard))?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { folder: folder.to_owned(), known, _watcher: watcher })
    }

    /// The bell of that queue, whose name must be fit for a file.
    pub(super) fn get(&self, name: &str) -> io::Result<Arc<Bell>> {
        Ok(match self.known.lock().entry(name.to_owned()) {
            Entry::Occupied(bell) => Arc::clone(bell.get()),
            Entry::Vacant(vacant) => {
                let file = File::options().create(true).truncate(false).write(true).open(self.folder.join(name))?;
                Arc::clone(vacant.insert(Arc::new(Bell { file, rung: Notify::new() })))
            }
        })
    }
}
