//! Typed getters over one section. None of them fails: each notes what is wrong and answers the default.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    Document, Entry, Issue, KeyPath, Origin, Setting, setting,
    tree::{Node, Table, Value},
};

/// The reader of one section.
#[derive(Clone)]
pub struct Reader<'d> {
    pub(super) document: &'d Document,
    path: KeyPath,
    table: Option<&'d Table>,
    origin: Origin,
}

impl<'d> Reader<'d> {
    pub(super) fn new(document: &'d Document, path: KeyPath, table: Option<&'d Table>, origin: Origin) -> Self {
        if let Some(table) = table {
            table.visit();
        }
        Self { document, path, table, origin }
    }

    /// The reader of a section in this one; an empty one where it is not written.
    pub fn section(&self, key: &str) -> Self {
        match self.node(key) {
            None => Self::new(self.document, self.path.key(key), None, Origin::Default),
            Some(node) => self.below(self.path.key(key), node),
        }
    }

    /// The sections in section `key`, by name. A name that only the environment gives has `-` for every `_`.
    pub fn subsections(&self, key: &str) -> Vec<(String, Self)> {
        let parent = self.section(key);
        let entries = parent.table.into_iter().flat_map(Table::entries);
        entries
            .map(|(raw, node)| (parent.named(raw, node), node))
            .map(|(name, node)| {
                let reader = parent.below(parent.path.key(&name), node);
                (name, reader)
            })
            .collect()
    }

    /// The items of an array of tables, in order.
    pub fn tables(&self, key: &str) -> Vec<Self> {
        match self.node(key).map(|node| &node.value) {
            None => Vec::new(),
            Some(Value::List(items)) => {
                let path = self.path.key(key);
                items.iter().enumerate().map(|(index, item)| self.below(path.item(index), item)).collect()
            }
            Some(_) => {
                self.reject(key, &format!("expected an array of sections, each opened by [[{key}]]"));
                Vec::new()
            }
        }
    }

    /// Every key of this section with its text: a map whose keys the operator chooses.
    pub fn texts(&self) -> Vec<(String, String)> {
        let keys: Vec<&String> = self.table.into_iter().flat_map(Table::entries).map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| Some((key.clone(), self.get::<String>(key)?))).collect()
    }

    /// A value, if it is set.
    pub fn get<T: Setting>(&self, key: &str) -> Option<T> {
        self.convert(key, T::EXPECTED, T::show, |node| setting::read(&node.value, node.is_from_environment()))
    }

    /// A value, or its default.
    pub fn get_or<T: Setting>(&self, key: &str, default: T) -> T {
        self.get(key).unwrap_or_else(|| {
            self.note_default(key, default.show());
            default
        })
    }

    /// A text that `parse` understands, if it is set.
    pub fn parsed<T>(&self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = |node: &Node| node.text().and_then(|text| Some((parse(text)?, text.to_owned())));
        self.convert(key, expected, |(_, text)| text.as_str().into(), text).map(|(value, _)| value)
    }

    /// A text that `parse` understands, or the default, given as text and as what it means.
    pub fn parsed_or<T>(&self, key: &str, expected: &str, default: (&str, T), parse: impl Fn(&str) -> Option<T>) -> T {
        self.parsed(key, expected, parse).unwrap_or_else(|| {
            self.note_default(key, default.0.into());
            default.1
        })
    }

    /// One of the words of a table, if it is set.
    pub fn one_of<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(key, &one_of(choices), |text| choice(choices, text))
    }

    /// One of the words of a table, or the first of them.
    pub fn one_of_or_first<T: Copy, const N: usize>(&self, key: &str, choices: [(&str, T); N]) -> T {
        const { assert!(N > 0, "a choice needs a default") };
        self.parsed_or(key, &one_of(&choices), choices[0], |text| choice(&choices, text))
    }

    /// A list of texts, each understood by `parse`; in a variable they are separated by commas.
    pub fn list<T>(&self, key: &str, default: &[&str], expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let expected = format!("a list, each item {expected}");
        let all = |node: &Node| {
            let words = node.words().filter(|_| node.text().is_none() || node.is_from_environment())?;
            let values: Option<Vec<T>> = words.iter().map(|word| parse(word)).collect();
            Some((values?, words))
        };
        self.convert(key, &expected, |(_, words)| words.clone().into(), all).map(|(values, _)| values).unwrap_or_else(
            || {
                self.note_default(key, default.to_vec().into());
                default.iter().filter_map(|word| parse(word)).collect()
            },
        )
    }

    /// One text or a list of them, at least one, if it is set.
    pub fn words(&self, key: &str) -> Option<Vec<String>> {
        let words = |node: &Node| node.words().filter(|words| !words.is_empty());
        let show = |words: &Vec<String>| match words.as_slice() {
            [word] => word.as_str().into(),
            _ => words.clone().into(),
        };
        self.convert(key, "a text in quotes, or a list of at least one", show, words)
    }

    /// One text or a list of them, or one by default.
    pub fn words_or(&self, key: &str, default: &str) -> Vec<String> {
        self.words(key).unwrap_or_else(|| {
            self.note_default(key, default.into());
            vec![default.to_owned()]
        })
    }

    /// A path, if it is set. One in the file is taken from the file's directory.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        let resolved = |node: &Node| node.text().filter(|text| !text.is_empty()).map(|text| self.resolve(node, text));
        self.convert(key, "a path in quotes", |path| path.to_string_lossy().as_ref().into(), resolved)
    }

    /// A path to a file that can be read now, if it is set.
    pub fn readable_file(&self, key: &str) -> Option<PathBuf> {
        let path = self.path(key)?;
        let opened = File::open(&path).and_then(|file| file.metadata());
        match opened {
            Ok(metadata) if metadata.is_file() => return Some(path),
            Ok(_) => self.reject(key, "expected a file, and this is none"),
            Err(error) => self.reject(key, &format!("expected a file that can be read: {error}")),
        }
        None
    }

    /// Notes that a key which has to be set is not.
    pub fn missing(&self, key: &str, expected: &str) {
        self.push(self.path.key(key), None, format!("not set; expected {expected}"), self.origin.clone());
    }

    /// Notes that a key's value is wrong, showing it unless the key looks like a secret's.
    pub fn reject(&self, key: &str, message: &str) {
        let value = self.peek(key).filter(|_| !looks_secret(key)).map(|node| node.value.shown());
        self.reject_hidden(key, value, message);
    }

    /// Notes that a key's value is wrong, showing `value` in its place.
    pub fn reject_hidden(&self, key: &str, value: Option<String>, message: &str) {
        let origin = self.peek(key).map_or_else(|| self.origin.clone(), |node| node.origin.clone());
        self.push(self.path.key(key), value, message.to_owned(), origin);
    }

    /// Notes that this section as a whole is wrong.
    pub fn reject_section(&self, message: &str) {
        self.push(self.path.clone(), None, message.to_owned(), self.origin.clone());
    }

    /// Whether the key is written, rightly or wrongly.
    pub fn is_set(&self, key: &str) -> bool {
        self.peek(key).is_some()
    }

    fn below(&self, path: KeyPath, node: &'d Node) -> Self {
        let table = match &node.value {
            Value::Table(table) => Some(table),
            // The value is not shown: it may be a secret whose section was forgotten.
            _ => {
                self.push(path.clone(), None, "expected a section with keys".to_owned(), node.origin.clone());
                None
            }
        };
        Self::new(self.document, path, table, node.origin.clone())
    }

    fn named(&self, raw: &str, node: &Node) -> String {
        self.node(raw);
        if node.is_from_environment() { raw.replace('_', "-") } else { raw.to_owned() }
    }

    /// The node of a key, which is thereby known.
    pub(super) fn node(&self, key: &str) -> Option<&'d Node> {
        let table = self.table?;
        table.ask(key);
        table.get(key)
    }

    fn peek(&self, key: &str) -> Option<&'d Node> {
        self.table.and_then(|table| table.get(key))
    }

    pub(super) fn convert<T>(
        &self,
        key: &str,
        expected: &str,
        show: impl Fn(&T) -> toml::Value,
        read: impl FnOnce(&Node) -> Option<T>,
    ) -> Option<T> {
        let Some(node) = self.node(key) else {
            self.note(key, None, Origin::Default);
            return None;
        };
        let value = read(node);
        match &value {
            Some(value) => self.note(key, Some(show(value)), node.origin.clone()),
            None => self.reject(key, &format!("expected {expected}")),
        }
        value
    }

    fn note(&self, key: &str, value: Option<toml::Value>, origin: Origin) {
        let entry = Entry { section: self.path.clone(), key: key.to_owned(), value, origin };
        self.document.notes.borrow_mut().entries.push(entry);
    }

    /// Puts the default in place of the entry that says the key is not set.
    fn note_default(&self, key: &str, default: toml::Value) {
        let mut notes = self.document.notes.borrow_mut();
        let unset = notes.entries.iter_mut().rfind(|entry| entry.section == self.path && entry.key == key);
        if let Some(entry) = unset {
            entry.value = Some(default);
        }
    }

    fn push(&self, key: KeyPath, value: Option<String>, message: String, origin: Origin) {
        self.document.notes.borrow_mut().issues.push(Issue { key, value, message, origin });
    }

    pub(super) fn resolve(&self, node: &Node, text: &str) -> PathBuf {
        let base = self.document.file.as_deref().and_then(Path::parent).filter(|_| !node.is_from_environment());
        base.map_or_else(|| PathBuf::from(text), |base| base.join(text))
    }
}

impl Node {
    pub(super) fn is_from_environment(&self) -> bool {
        matches!(self.origin, Origin::Environment { .. })
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One text, or a list of texts.
    fn words(&self) -> Option<Vec<String>> {
        match &self.value {
            Value::Text(text) if self.is_from_environment() => {
                Some(text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
            }
            Value::Text(text) => Some(vec![text.clone()]),
            Value::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
            _ => None,
        }
    }
}

fn one_of<T>(choices: &[(&str, T)]) -> String {
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    format!("one of {}", words.join(", "))
}

fn choice<T: Copy>(choices: &[(&str, T)], text: &str) -> Option<T> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// Whether a key is called like something that must not be shown, or by mistake may hold it.
fn looks_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["secret", "password", "passphrase", "token", "credential"].iter().any(|word| key.contains(word))
        || key.ends_with("key")
        || key.ends_with("_env")
}
