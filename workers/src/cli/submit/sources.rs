//! Where mails come from: files, directories, an mbox, standard input.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use mail_parser::mailbox::mbox::MessageIterator;

use super::CommandError;

/// A raw mail and what to call it.
pub(super) struct Mail {
    pub(super) name: String,
    pub(super) raw: Vec<u8>,
}

/// Everything that was named, in order.
pub(super) struct Sources(Vec<Result<PathBuf, CommandError>>);

impl Sources {
    /// Looks into directories; opens nothing else yet.
    pub(super) fn find(paths: &[PathBuf]) -> Self {
        let mut found = Vec::new();
        for path in paths {
            if is_stdin(path) {
                found.push(Ok(path.clone()));
            } else if let Err(error) = collect(path, &mut found) {
                found.push(Err(unreadable(path, &error)));
            }
        }
        Self(found)
    }

    /// How many files there are; an mbox counts as one.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The mails one after the other, none longer than `max` bytes in memory (and one more, to tell).
    pub(super) fn mails(self, max: u64) -> impl Iterator<Item = Result<Mail, CommandError>> {
        self.0.into_iter().flat_map(move |path| match path {
            Ok(path) => open(&path, max).unwrap_or_else(|error| one(Err(unreadable(&path, &error)))),
            Err(error) => one(Err(error)),
        })
    }
}

type Mails = Box<dyn Iterator<Item = Result<Mail, CommandError>>>;

fn one(mail: Result<Mail, CommandError>) -> Mails {
    Box::new(std::iter::once(mail))
}

fn open(path: &Path, max: u64) -> io::Result<Mails> {
    if is_stdin(path) {
        read("standard input".to_owned(), BufReader::new(io::stdin()), max)
    } else {
        read(name(path), BufReader::new(File::open(path)?), max)
    }
}

fn read(name: String, mut from: impl BufRead + 'static, max: u64) -> io::Result<Mails> {
    if from.fill_buf()?.starts_with(b"From ") {
        return Ok(Box::new(mbox(name, from)));
    }
    let mut raw = Vec::new();
    from.take(max.saturating_add(1)).read_to_end(&mut raw)?;
    Ok(one(Ok(Mail { name, raw })))
}

fn mbox(name: String, from: impl BufRead + 'static) -> impl Iterator<Item = Result<Mail, CommandError>> {
    MessageIterator::new(from).enumerate().map(move |(i, message)| {
        let name = format!("{name}#{}", i + 1);
        match message {
            Ok(message) => Ok(Mail { name, raw: message.unwrap_contents() }),
            Err(error) => Err(CommandError::data(format!("{name}: not an mbox: {error}"))),
        }
    })
}

fn collect(path: &Path, found: &mut Vec<Result<PathBuf, CommandError>>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        found.push(Ok(path.to_owned()));
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.retain(|path| !name(path).starts_with('.'));
    entries.sort();
    for entry in entries {
        if let Err(error) = collect(&entry, found) {
            found.push(Err(unreadable(&entry, &error)));
        }
    }
    Ok(())
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn unreadable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::no_input(format!("{}: {error}", path.display()))
}
