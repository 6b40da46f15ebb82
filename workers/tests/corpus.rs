//! The fuzzer's collected inputs, as an ordinary test: each is run through its target (`tests/fuzz/src/lib.rs`).

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(unreachable_pub, reason = "a library of its own for the fuzzer")]
#[path = "../../tests/fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("mime", fuzz::mime),
    ("sanitise", fuzz::sanitise),
    ("names", fuzz::names),
    ("job", fuzz::job),
    ("announcement", fuzz::announcement),
    ("clamd_reply", fuzz::clamd_reply),
    ("frame", fuzz::frame),
    ("verify", fuzz::verify),
    ("walk", fuzz::walk),
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
            target(&fs::read(&input).unwrap());
        }
    }
}

/// What stands in for the fuzzer where there is none: it has no eyes, but its seed makes it repeat itself.
#[test]
fn what_is_near_the_collected_inputs_holds_as_well() {
    let rounds = if std::env::var_os("SOAK").is_some_and(|soak| soak == "1") { 20_000 } else { 40 };
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for (name, target) in TARGETS {
        let inputs: Vec<_> =
            files(&folder().join("corpus").join(name)).iter().map(|input| fs::read(input).unwrap()).collect();
        for round in 0..rounds {
            let mut bytes = inputs[rng.random_range(0..inputs.len())].clone();
            for _ in 0..rng.random_range(1..6) {
                let other = &inputs[rng.random_range(0..inputs.len())];
                bytes = altered(bytes, other, &mut rng);
            }
            let holds = std::panic::catch_unwind(|| target(&bytes));
            assert!(holds.is_ok(), "{name}, round {round}: {}", bytes.escape_ascii());
        }
    }
}

/// One step away: a byte changed, a piece taken out, said twice, or put in from another input.
fn altered(mut bytes: Vec<u8>, other: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut cut = |len: usize| {
        let (a, b) = (rng.random_range(0..=len), rng.random_range(0..=len));
        a.min(b)..a.max(b)
    };
    let (range, from) = (cut(bytes.len()), cut(other.len()));
    match rng.random_range(0..5) {
        0 if !bytes.is_empty() => {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        1 => drop(bytes.drain(range)),
        2 => bytes.extend_from_within(range),
        3 => drop(bytes.splice(range, other[from].iter().copied())),
        _ => bytes.insert(range.start, b"\r\n\0=\"<>;:-("[rng.random_range(0..11)]),
    }
    bytes
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
