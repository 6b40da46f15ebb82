//! What can be wrong with a configuration, in lines that an operator can act on.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::path::KeyPath;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file.
    File {
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Where.
    pub key: KeyPath,
    /// What stands there, as it may be shown; never a secret.
    pub value: Option<String>,
    /// What is wrong, or what would be right.
    pub message: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: the configuration cannot be read: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: not valid TOML: {message}", file.display())]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What the parser says. Never the line itself, which may hold a secret.
        message: String,
    },
    /// Keys or values are wrong.
    #[error("{}", listing(file.as_deref(), issues))]
    Invalid {
        /// The file, if there is one.
        file: Option<PathBuf>,
        /// Everything that is wrong.
        issues: Vec<Issue>,
    },
}

fn listing(file: Option<&Path>, issues: &[Issue]) -> String {
    let count = match issues.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    let lines = issues.iter().map(|issue| format!("\n  {}: {issue}", place(file, &issue.origin)));
    format!("{count} in the configuration:{}", lines.collect::<String>())
}

fn place(file: Option<&Path>, origin: &Origin) -> String {
    match (origin, file) {
        (Origin::Environment { variable }, _) => format!("environment {variable}"),
        (Origin::File { line }, Some(file)) => format!("{}:{line}", file.display()),
        (_, Some(file)) => file.display().to_string(),
        (_, None) => "no file".to_owned(),
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}
