//! The document as a tree in which every value knows where it came from.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::error::{ConfigError, Origin};

/// The longest piece of a value that an error shows, in characters.
const SHOWN: usize = 80;

/// A section: its keys, and which of them a reader asked for.
#[derive(Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Node>,
    asked: RefCell<Option<BTreeSet<String>>>,
}

/// A value with its origin.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A value as it is written.
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// A number or date of a kind that no key takes, as written.
    Other(String),
    List(Vec<Node>),
    Table(Table),
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: String, node: Node) {
        self.entries.insert(key, node);
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.entries.iter()
    }

    /// Notes that a reader reads this section.
    pub(super) fn visit(&self) {
        self.asked.borrow_mut().get_or_insert_default();
    }

    /// Notes that a reader knows this key.
    pub(super) fn ask(&self, key: &str) {
        self.asked.borrow_mut().get_or_insert_default().insert(key.to_owned());
    }

    /// The keys that readers know; nothing when no reader came here.
    pub(super) fn asked(&self) -> Option<BTreeSet<String>> {
        self.asked.borrow().clone()
    }
}

impl Value {
    /// The value as an error shows it: short, on one line.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => shortened(&format!("{text:?}")),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Other(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.shown()).collect();
                shortened(&format!("[{}]", items.join(", ")))
            }
            Self::Table(_) => "{…}".to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Why a text is not TOML, and where (line and column from 1).
pub(super) struct SyntaxAt {
    line: usize,
    column: usize,
    message: String,
}

impl SyntaxAt {
    pub(super) fn in_file(self, file: &Path) -> ConfigError {
        let Self { line, column, message } = self;
        ConfigError::Syntax { file: file.to_owned(), line, column, message }
    }
}

/// Parses TOML 1.1.
pub(super) fn parse(text: &str) -> Result<Table, SyntaxAt> {
    let source = Source::new(text);
    let document = DeTable::parse(text).map_err(|error| {
        let (line, column) = source.position(error.span().map_or(0, |span| span.start));
        SyntaxAt { line, column, message: error.message().to_owned() }
    })?;
    Ok(source.table(document.into_inner()))
}

/// The text, and where its lines start.
struct Source<'t> {
    text: &'t str,
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    fn new(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, lines: [0].into_iter().chain(after_breaks).collect() }
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default();
        (line, self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1)
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::File { line: self.position(span.start).0 }
    }

    fn table(&self, parsed: DeTable<'_>) -> Table {
        let entries = parsed.into_iter().map(|(key, value)| {
            let origin = self.origin(&key.span());
            (key.into_inner().into_owned(), Node { value: self.value(value), origin })
        });
        Table { entries: entries.collect(), asked: RefCell::default() }
    }

    fn value(&self, parsed: Spanned<DeValue<'_>>) -> Value {
        let span = parsed.span();
        let as_written = || Value::Other(self.text.get(span).unwrap_or_default().to_owned());
        match parsed.into_inner() {
            DeValue::String(string) => Value::Text(string.into_owned()),
            DeValue::Boolean(flag) => Value::Boolean(flag),
            DeValue::Integer(number) => integer(&number).map_or_else(as_written, Value::Integer),
            DeValue::Float(_) | DeValue::Datetime(_) => as_written(),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.item(item)).collect()),
            DeValue::Table(inner) => Value::Table(self.table(inner)),
        }
    }

    fn item(&self, item: Spanned<DeValue<'_>>) -> Node {
        let origin = self.origin(&item.span());
        Node { value: self.value(item), origin }
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
