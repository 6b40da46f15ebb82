//! What the documents say is there, is there.

use std::{fs, path::Path};

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
