//! What the documents say is there, is there.

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every Rust source of the workspace in one text.
fn sources() -> String {
    fn collect(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut all = String::new();
    ["shared/src", "shared/tests", "workers/src", "workers/tests", "tests/tests"]
        .iter()
        .for_each(|folder| collect(&root().join(folder), &mut all));
    all
}

/// The words in backquotes of a document.
fn quoted(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_test_that_a_security_claim_names_exists() {
    let sources = sources();
    let is_test = |word: &&String| {
        word.matches('_').count() >= 3
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let claims = quoted("SECURITY.md");
    let named: Vec<&String> = claims.iter().filter(is_test).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "SECURITY.md names {name}, which is no test");
    }
}

#[test]
fn every_claim_of_the_policy_has_a_proof() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2).collect();
    assert!(rows.len() > 12);
    let bare: Vec<&&str> = rows.iter().skip(2).filter(|row| !row.ends_with("` |") && !row.contains('`')).collect();
    assert!(bare.is_empty(), "{bare:?}");
    assert!(!text.contains("PROOF_"));
}

#[test]
fn every_file_that_a_document_names_exists() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        for word in quoted(document) {
            let is_path = ["workers/", "shared/src", "tests/", "k8s/"].iter().any(|top| word.starts_with(top));
            if is_path && !word.contains(['*', ' ', '<']) {
                assert!(root().join(&word).exists(), "{document} names {word}");
            }
        }
    }
}

/// The names of metrics in a text, each where a quotation mark or a brace ends it.
fn metrics(text: &str) -> BTreeSet<&str> {
    let end = |name: &str| name.find(|c: char| !c.is_ascii_lowercase() && c != '_' && !c.is_ascii_digit());
    let names = text.match_indices("mailtri_").map(|(at, _)| &text[at..]);
    names.map(|name| &name[..end(name).unwrap_or(name.len())]).collect()
}

#[test]
fn the_metrics_that_are_exported_are_those_that_are_documented() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let source = read("shared/src/telemetry/metric.rs");
    let described = source.split_once("pub fn describe()").unwrap().1.split_once("\n}\n").unwrap().0;
    let (described, set) = (metrics(described), metrics(source.split_once("\n}\n").unwrap().1));
    assert!(described.len() > 20);
    assert_eq!(described, set, "what is described, and what is set");
    let manual = read("k8s/README.md");
    let table = manual.split_once("## Metrics").unwrap().1.split_once("\n## ").unwrap().0;
    assert_eq!(metrics(table), described, "the table in k8s/README.md");
    for document in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "mailtri.example.toml"] {
        let text = read(document);
        let unknown: Vec<&str> = metrics(&text).difference(&described).copied().collect();
        assert!(unknown.is_empty(), "{document} names {unknown:?}");
    }
}
