//! The fuzzer's collected inputs, as an ordinary test: each is run through its target (`tests/fuzz/src/lib.rs`).

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(unreachable_pub, reason = "a library of its own for the fuzzer")]
#[path = "../../tests/fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("mime", fuzz::mime),
    ("sanitise", fuzz::sanitise),
    ("names", fuzz::names),
    ("job", fuzz::job),
    ("announcement", fuzz::announcement),
    ("clamd_reply", fuzz::clamd_reply),
    ("frame", fuzz::frame),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_collected_input_holds_what_its_target_asks() {
    for (name, target) in TARGETS {
        let inputs = files(&folder().join("corpus").join(name));
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for input in inputs {
            println!("{}", input.display());
            let bytes = fs::read(&input).unwrap();
            target(&bytes);
            // And what is near it.
            target(&bytes[..bytes.len() / 2]);
            target(&bytes.iter().rev().copied().collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_target_is_fuzzed_and_has_a_corpus() {
    let mut named: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    named.sort();
    let stems = |folder: &Path| {
        files(folder).iter().map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stems(&folder().join("fuzz_targets")), named);
    assert_eq!(stems(&folder().join("corpus")), named);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in named {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not built");
    }
}

/// What a fixture holds is the best start for the fuzzer, and has to hold as well.
#[test]
fn every_fixture_holds_what_the_targets_ask() {
    for file in files(&folder().join("../fixtures")) {
        if file.extension().is_some_and(|extension| extension == "eml") {
            fuzz::mime(&fs::read(&file).unwrap());
        }
    }
}
