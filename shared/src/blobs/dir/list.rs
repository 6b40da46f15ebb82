//! Listing in the order of S3: by the bytes of the whole key, whatever the directories.
//!
//! `a.b`, `a/b` and `a0` follow each other in that order, so a directory sorts as its name with a `/`. Only
//! directories that can hold a key of the page are read.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{
    super::{BlobError, Page, check_key},
    MARK, unavailable,
};

/// At most `limit` keys with `prefix` after `after`, in order.
pub(super) fn page(objects: &Path, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, BlobError> {
    if limit == 0 {
        return Ok(Page::default());
    }
    let dir = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    // No key has such a directory, and `..` must not become a path.
    if !dir.is_empty() && check_key(&dir[..dir.len() - 1]).is_err() {
        return Ok(Page::default());
    }
    let mut walk = Walk { prefix, after, limit, keys: Vec::new(), more: false };
    walk.visit(&objects.join(dir), dir).map_err(unavailable)?;
    let next = if walk.more { walk.keys.last().cloned() } else { None };
    Ok(Page { keys: walk.keys, next })
}

struct Walk<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    keys: Vec<String>,
    more: bool,
}

/// An object (`name` is its key) or a directory (`name` is what its keys begin with, ending in `/`).
struct Entry {
    name: String,
    dir: Option<PathBuf>,
}

impl Walk<'_> {
    fn visit(&mut self, path: &Path, name: &str) -> io::Result<()> {
        for entry in self.entries(path, name)? {
            if self.more {
                break;
            }
            match entry.dir {
                Some(dir) => self.visit(&dir, &entry.name)?,
                None if self.keys.len() == self.limit => self.more = true,
                None => self.keys.push(entry.name),
            }
        }
        Ok(())
    }

    /// What in a directory is, or can hold, a key of the page, in the order of keys.
    fn entries(&self, path: &Path, name: &str) -> io::Result<Vec<Entry>> {
        let read = match fs::read_dir(path) {
            Ok(read) => read,
            // Nothing has that prefix, or a delete just pruned it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for found in read {
            let found = found?;
            entries.extend(entry(&found, name)?.filter(|entry| self.wants(entry)));
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn wants(&self, entry: &Entry) -> bool {
        let (name, is_dir) = (entry.name.as_str(), entry.dir.is_some());
        let in_prefix = name.starts_with(self.prefix) || (is_dir && self.prefix.starts_with(name));
        in_prefix && self.after.is_none_or(|after| name > after || (is_dir && after.starts_with(name)))
    }
}

/// Reads one directory entry; `None` for what is not ours.
fn entry(found: &fs::DirEntry, dir: &str) -> io::Result<Option<Entry>> {
    let file_name = found.file_name();
    let Some(name) = file_name.to_str() else { return Ok(None) };
    if let Some(name) = name.strip_suffix(MARK) {
        return Ok(Some(Entry { name: format!("{dir}{name}"), dir: None }));
    }
    let is_dir = found.file_type()?.is_dir();
    Ok(is_dir.then(|| Entry { name: format!("{dir}{name}/"), dir: Some(found.path()) }))
}
