//! Configuration: one TOML file, overridden by environment variables, every error reported at once.
//!
//! A [`Document`] is loaded, read section by section through [`Reader`]s, and finished. A reader's getters never
//! fail: they note an [`Issue`] and go on, so that one run shows everything that is wrong, each with its key, its
//! value and what would be right. Invariant: no secret is ever part of an issue or of the [`Effective`]
//! configuration.

mod effective;
mod environment;
mod error;
mod path;
mod reader;
mod secret;
mod setting;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
pub mod units;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

pub use effective::{Effective, Entry};
pub use environment::{Environment, process_variables};
pub use error::{ConfigError, Issue, Origin};
pub use path::KeyPath;
pub use reader::Reader;
pub use setting::{Setting, Size};

use tree::{Node, Table, Value};

/// A configuration that is being read.
pub struct Document {
    file: Option<PathBuf>,
    environment: Environment,
    root: Table,
    notes: RefCell<Notes>,
}

/// What the readers noticed so far.
#[derive(Default)]
struct Notes {
    issues: Vec<Issue>,
    entries: Vec<Entry>,
    /// Variables that hold a secret that a key names: those are no overrides, whatever they are called.
    secret_variables: BTreeSet<String>,
}

impl Document {
    /// Reads the file, if there is one, and applies the environment's overrides.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML. What is wrong with its keys is said by [`Document::finish`].
    pub fn load(file: Option<&Path>, environment: Environment) -> Result<Self, ConfigError> {
        let mut root = match file {
            None => Table::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
                tree::parse(&text).map_err(|at| at.in_file(path))?
            }
        };
        let issues = environment.apply(&mut root);
        let notes = RefCell::new(Notes { issues, ..Notes::default() });
        Ok(Self { file: file.map(Path::to_owned), environment, root, notes })
    }

    /// The reader of the whole document.
    pub fn root(&self) -> Reader<'_> {
        Reader::new(self, KeyPath::default(), Some(&self.root), Origin::Default)
    }

    /// Ends the reading: keys that nobody asked for are errors as well.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every issue, in the order of the file.
    pub fn finish(self) -> Result<Effective, ConfigError> {
        let mut notes = self.notes.into_inner();
        unknown_keys(&self.root, &KeyPath::default(), &mut notes);
        if notes.issues.is_empty() {
            return Ok(Effective { entries: notes.entries });
        }
        notes.issues.sort_by_key(|issue| match &issue.origin {
            Origin::File { line } => (0, *line),
            Origin::Default => (1, 0),
            Origin::Environment { .. } => (2, 0),
        });
        Err(ConfigError::Invalid { file: self.file, issues: notes.issues })
    }
}

/// Shows where it came from and nothing of what it holds.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("file", &self.file).finish_non_exhaustive()
    }
}

fn unknown_keys(table: &Table, path: &KeyPath, notes: &mut Notes) {
    let Some(asked) = table.asked() else { return };
    for (key, node) in table.entries() {
        if asked.contains(key) {
            unknown_below(node, &path.key(key), notes);
        } else if !is_secret_variable(&node.origin, notes) {
            let message = suggest::unknown(key, &asked);
            notes.issues.push(Issue { key: path.key(key), value: None, message, origin: node.origin.clone() });
        }
    }
}

fn unknown_below(node: &Node, path: &KeyPath, notes: &mut Notes) {
    match &node.value {
        Value::Table(table) => unknown_keys(table, path, notes),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                unknown_below(item, &path.item(index), notes);
            }
        }
        _ => {}
    }
}

fn is_secret_variable(origin: &Origin, notes: &Notes) -> bool {
    matches!(origin, Origin::Environment { variable } if notes.secret_variables.contains(variable))
}
