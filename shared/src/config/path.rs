//! Where a key stands, as people write it: `stage.parse.visibility`, `rule[0].when.subject`.

use std::fmt;

/// The path of a key or section from the document's root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Item(usize),
}

impl KeyPath {
    /// The path of a key in this section.
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The path of an item of this array, counted from 0.
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The header that opens this section in TOML; none for the root.
    pub(super) fn header(&self) -> Option<String> {
        let last = self.0.last()?;
        let keys: Vec<String> = self
            .0
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(quoted(key)),
                Step::Item(_) => None,
            })
            .collect();
        let name = keys.join(".");
        Some(if matches!(last, Step::Item(_)) { format!("[[{name}]]") } else { format!("[{name}]") })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(&quoted(key))?,
                Step::Key(key) => write!(f, ".{}", quoted(key))?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it: in quotes where it is no bare key.
pub(super) fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { toml::Value::from(key).to_string() }
}
