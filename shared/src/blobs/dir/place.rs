//! Giving names to finished files and taking them away, while others do the same.
//!
//! A name appears and disappears by one system call. A directory is pruned only by `rmdir`, which refuses one
//! that is in use; who loses that race makes the directory again.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    super::{BlobError, Condition, Put},
    Store,
    file::Draft,
    unavailable,
};

/// How often a name is tried whose directory others keep pruning: each try loses only to another key's delete.
const ATTEMPTS: usize = 1000;

/// Whether the key has an object.
pub(super) fn exists(store: &Store, key: &str) -> Result<bool, BlobError> {
    let path = store.path(key);
    let exists = path.try_exists().map_err(unavailable)?;
    if exists {
        settle(&path, &[]).map_err(unavailable)?;
    }
    Ok(exists)
}

/// Finishes the draft and makes it the key's object, durably.
pub(super) fn publish(store: &Store, key: &str, mut draft: Draft, condition: Condition) -> Result<Put, BlobError> {
    let meta = draft.finish()?;
    let path = store.path(key);
    let placed = place(store, &draft, &path, condition).map_err(unavailable)?;
    Ok(if placed { Put::Stored(meta) } else { Put::Exists })
}

fn place(store: &Store, draft: &Draft, path: &Path, condition: Condition) -> io::Result<bool> {
    let mut made = Vec::new();
    for _ in 0..ATTEMPTS {
        let named = match condition {
            Condition::Always => fs::rename(draft.path(), path),
            Condition::IfAbsent => fs::hard_link(draft.path(), path),
        };
        match named {
            Ok(()) => return settle(path, &made).map(|()| true),
            // The object that is there counts as stored for the caller, so it has to be durable as well.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return settle(path, &made).map(|()| false),
            Err(error) if error.kind() == ErrorKind::NotFound => make_parents(store, path, &mut made)?,
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the object's directory keeps vanishing"))
}

/// Makes the directories above `path`, as far as nobody prunes them meanwhile, and adds those it made to `made`.
fn make_parents(store: &Store, path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let parents: Vec<&Path> = path.ancestors().skip(1).take_while(|dir| *dir != store.objects).collect();
    for dir in parents.into_iter().rev() {
        match make_dir(dir, false) {
            Ok(()) => made.push(dir.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes durable the name `path` and those of the directories that were `made` for it.
fn settle(path: &Path, made: &[PathBuf]) -> io::Result<()> {
    for entry in std::iter::once(path).chain(made.iter().rev().map(PathBuf::as_path)) {
        match entry.parent().map_or(Ok(()), sync_dir) {
            // A delete of the same key came in between.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Removes the key's object, if there is one, and the directories that this leaves empty.
pub(super) fn remove(store: &Store, key: &str) -> io::Result<()> {
    let path = store.path(key);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    settle(&path, &[])?;
    let parents = path.ancestors().skip(1).take_while(|dir| *dir != store.objects);
    // It ends at the first directory that is in use, or that another delete has pruned. An empty directory that
    // stays for any other reason does no harm.
    for dir in parents {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
    Ok(())
}

/// Makes a directory that only its owner may enter.
pub(super) fn make_dir(dir: &Path, with_parents: bool) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(with_parents).create(dir)
}

/// Makes the entries of a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
