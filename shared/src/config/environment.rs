//! Overrides by environment: `PREFIX_SECTION__KEY=value`, whatever the case, `-` in a name written as `_`.

use std::{collections::HashMap, env, fmt};

use super::{
    error::{Issue, Origin},
    path::KeyPath,
    tree::{Node, Table, Value},
};

/// What separates section from key in a variable's name.
const SEPARATOR: &str = "__";

/// The environment's variables, and how those that override keys are called.
#[derive(Default)]
pub struct Environment {
    prefix: String,
    reserved: Vec<String>,
    variables: HashMap<String, String>,
}

/// The process's own variables. One that is not UTF-8 cannot be a setting and is left out.
pub fn process_variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Environment {
    /// Variables that start with `prefix` override keys; those in `reserved` mean something else to the program.
    pub fn new(prefix: &str, reserved: &[&str], variables: impl Iterator<Item = (String, String)>) -> Self {
        let reserved = reserved.iter().map(|name| (*name).to_owned()).collect();
        Self { prefix: prefix.to_owned(), reserved, variables: variables.collect() }
    }

    /// A variable's value.
    pub(super) fn get(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str)
    }

    /// Writes the overrides into the tree; says which of them cannot be.
    pub(super) fn apply(&self, root: &mut Table) -> Vec<Issue> {
        let mut overrides: Vec<(&String, Vec<String>)> =
            self.variables.keys().filter_map(|name| Some((name, self.steps(name)?))).collect();
        overrides.sort();
        overrides
            .into_iter()
            .filter_map(|(name, steps)| {
                let value = self.variables.get(name)?;
                let message = insert(root, &steps, name, value).err()?;
                let key = steps.iter().fold(KeyPath::default(), |path, step| path.key(step));
                Some(Issue { key, value: None, message, origin: Origin::Environment { variable: name.clone() } })
            })
            .collect()
    }

    fn steps(&self, variable: &str) -> Option<Vec<String>> {
        let head = variable.get(..self.prefix.len())?;
        let is_ours = head.eq_ignore_ascii_case(&self.prefix)
            && !self.reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(variable))
            && !is_service_link(variable);
        let path = variable.get(self.prefix.len()..)?;
        is_ours.then(|| path.to_lowercase().split(SEPARATOR).map(str::to_owned).collect())
    }
}

/// Shows no value: any of them may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Whether Kubernetes made this variable to announce a service whose name starts like ours:
/// `X_SERVICE_HOST`, `X_SERVICE_PORT…`, `X_PORT`, `X_PORT_80_TCP…`. Those are in every pod of the namespace.
fn is_service_link(variable: &str) -> bool {
    let has = |part: &str| variable.contains(part);
    !has(SEPARATOR)
        && (variable.ends_with("_SERVICE_HOST")
            || has("_SERVICE_PORT")
            || variable.ends_with("_PORT")
            || (has("_PORT_") && ["_TCP", "_UDP", "_SCTP"].into_iter().any(has)))
}

fn insert(table: &mut Table, steps: &[String], variable: &str, value: &str) -> Result<(), String> {
    let (Some(first), rest) = (steps.first(), steps.get(1..).unwrap_or_default()) else { return Ok(()) };
    if first.is_empty() {
        return Err("names no key".to_owned());
    }
    let name = existing(table, first).unwrap_or_else(|| first.clone());
    let origin = Origin::Environment { variable: variable.to_owned() };
    if rest.is_empty() {
        return insert_leaf(table, name, Node { value: Value::Text(value.to_owned()), origin });
    }
    if table.get(&name).is_none() {
        table.insert(name.clone(), Node { value: Value::Table(Table::default()), origin });
    }
    match table.get_mut(&name).map(|node| &mut node.value) {
        Some(Value::Table(inner)) => insert(inner, rest, variable, value),
        _ => Err(format!("\"{name}\" is no section, so nothing can be set in it")),
    }
}

fn insert_leaf(table: &mut Table, name: String, node: Node) -> Result<(), String> {
    match table.get(&name) {
        Some(Node { value: Value::Table(_), .. }) => {
            Err(format!("\"{name}\" is a section: write its key after \"__\""))
        }
        Some(Node { origin: Origin::Environment { variable }, .. }) => Err(format!("already set by {variable}")),
        _ => {
            table.insert(name, node);
            Ok(())
        }
    }
}

/// The key that a lower-case variable part means: case and `-` do not survive in variable names.
fn existing(table: &Table, part: &str) -> Option<String> {
    table
        .entries()
        .map(|(key, _)| key)
        .find(|key| key.to_lowercase().replace('-', "_") == part.replace('-', "_"))
        .cloned()
}
