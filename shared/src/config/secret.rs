//! Secrets: never in the configuration itself, only named by it, as `NAME_env` or `NAME_file`.

use std::fs;

use secrecy::SecretString;

use super::{Reader, tree::Node};

impl Reader<'_> {
    /// The secret that `NAME_env` or `NAME_file` names, if one of them is set.
    ///
    /// A file's trailing line break is not part of the secret.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        let (variable, file) = (format!("{name}_env"), format!("{name}_file"));
        if self.node(name).is_some() {
            let advice = format!("a secret does not belong in the configuration; name it with {variable} or {file}");
            self.reject_hidden(name, None, &advice);
        }
        if self.is_set(&variable) && self.is_set(&file) {
            self.reject_hidden(&file, None, &format!("{variable} is set as well; keep one of them"));
        }
        let from_variable = self.secret_variable(&variable);
        let from_file = self.secret_file(&file);
        from_variable.or(from_file)
    }

    /// Like [`Reader::secret`], for one that has to be set.
    pub fn required_secret(&self, name: &str) -> Option<SecretString> {
        let (variable, file) = (format!("{name}_env"), format!("{name}_file"));
        if ![name, &variable, &file].into_iter().any(|key| self.is_set(key)) {
            self.missing(&variable, &format!("the name of a variable that holds the secret (or {file}, a path)"));
        }
        self.secret(name)
    }

    fn secret_variable(&self, key: &str) -> Option<SecretString> {
        let expected = "the name of an environment variable, in capitals, such as \"ERP_SECRET\"";
        let name = self.convert(
            key,
            expected,
            |name: &String| name.as_str().into(),
            |node| node.text().filter(|name| is_variable_name(name)).map(str::to_owned),
        )?;
        self.document.notes.borrow_mut().secret_variables.insert(name.clone());
        match self.document.environment.get(&name) {
            Some(secret) if !secret.is_empty() => return Some(secret.into()),
            Some(_) => self.reject_hidden(key, Some(format!("{name:?}")), "that environment variable is empty"),
            None => self.reject_hidden(key, Some(format!("{name:?}")), "that environment variable is not set"),
        }
        None
    }

    fn secret_file(&self, key: &str) -> Option<SecretString> {
        let path = self.convert(
            key,
            "a path in quotes",
            |path: &std::path::PathBuf| path.to_string_lossy().as_ref().into(),
            |node: &Node| node.text().filter(|text| !text.is_empty()).map(|text| self.resolve(node, text)),
        )?;
        // The value is not shown: it may be a secret that was taken for its file.
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Some(text.trim_end_matches(['\r', '\n']).into()),
            Ok(_) => self.reject_hidden(key, None, "that file is empty"),
            Err(error) => self.reject_hidden(key, None, &format!("expected a text file that can be read: {error}")),
        }
        None
    }
}

/// Capitals only: what is shown as a variable's name must not be a secret by mistake.
fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
