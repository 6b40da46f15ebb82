//! The suites that `mail-auth` ships, read from its sources where cargo keeps them, through our own functions.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use mailtri::auth::results::{ArcResult, Dkim, DkimResult, SpfResult, Why};
use shared::testing::dns::{DnsStub, Fault, Record};

use crate::world::{World, ses};

/// The folder of the crate's resources.
fn resources() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let told = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let packages = told["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "mail-auth").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).parent().unwrap().join("resources")
}

/// What is known of a session, line by line.
#[derive(Default)]
struct Session {
    domain: String,
    sender: String,
    ip: String,
}

pub(crate) async fn the_suite_of_spf_passes() {
    let folder = resources().join("spf");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut run = 0;
    for file in files {
        run += sessions(&file.display().to_string(), &fs::read_to_string(&file).unwrap()).await;
    }
    assert!(run >= 130, "only {run} cases were run");
}

/// Runs a file: records stay for everything below them, each `expect` is a case.
async fn sessions(file: &str, text: &str) -> usize {
    let mut published: BTreeMap<(String, String), String> = BTreeMap::new();
    let (mut session, mut world, mut run) = (Session::default(), None, 0);
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "domain" => value.clone_into(&mut session.domain),
            "sender" => value.clone_into(&mut session.sender),
            "ip" => value.clone_into(&mut session.ip),
            "expect" => {
                let world = match &mut world {
                    Some(world) => world,
                    none => none.insert(publish(&published).await),
                };
                run += usize::from(check(file, world, &session, value.split(' ').next().unwrap()).await);
            }
            kind @ ("spf" | "exp" | "a" | "aaaa" | "mx" | "ptr") => {
                let (name, rest) = value.split_once(' ').unwrap_or((value, ""));
                published.insert((kind.to_owned(), name.to_owned()), rest.to_owned());
                world = None;
            }
            _ => {}
        }
    }
    run
}

async fn publish(records: &BTreeMap<(String, String), String>) -> World {
    let world = World::new().await;
    for ((kind, name), rest) in records {
        record(&world.dns, kind, name, rest);
    }
    world
}

fn record(dns: &DnsStub, kind: &str, name: &str, rest: &str) {
    let items = || rest.split(',').map(str::trim).filter(|item| !item.is_empty());
    match kind {
        "spf" | "exp" | "txt" => dns.txt(name, rest),
        "a" | "aaaa" => items().for_each(|item| dns.host(name, item.parse().unwrap())),
        "mx" => items().zip(1..).for_each(|(item, i)| {
            let host = format!("mx{i}.{name}");
            dns.host(&host, item.parse().unwrap());
            dns.add(name, Record::Mx(i, host));
        }),
        "ptr" => items().for_each(|item| dns.ptr(name.parse().unwrap(), item)),
        _ => panic!("a record of kind {kind}"),
    }
}

/// Whether the case is one that a session can have, and how it went.
async fn check(file: &str, world: &World, session: &Session, expected: &str) -> bool {
    let Session { domain, sender, ip } = session;
    // We ask about the sender's domain alone, and never about a name that no session can have.
    if sender.rsplit('@').next() != Some(domain) || domain.len() > 200 {
        return false;
    }
    if expected == "temperror" {
        world.dns.fault(domain, Fault::Fails);
    }
    let literal = if ip.contains(':') { format!("IPv6:{ip}") } else { ip.clone() };
    let raw = ses(&literal, domain, sender, "From: a@b.example\r\n\r\nHi.\r\n")
        .replace(&format!("client-ip={literal}"), &format!("client-ip={ip}"));
    let spf = world.check(&raw).await.spf;
    assert_eq!(spf.result, SpfResult::of_word(expected).unwrap(), "{file}: {sender} from {ip} {:?}", spf.why);
    true
}

pub(crate) async fn the_suites_of_dkim_and_arc_pass() {
    for (folder, files) in [("dkim", 6), ("arc", 2)] {
        let mut run = 0;
        for entry in fs::read_dir(resources().join(folder)).unwrap() {
            let file = entry.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            let (records, raw) = text.split_once("\n\n").unwrap();
            let world = World::new().await;
            for record in records.lines() {
                let (name, text) = record.split_once(' ').unwrap();
                world.dns.txt(name, text);
            }
            let results = world.check(&raw.replace('\n', "\r\n")).await;
            // One of the mails is past its time, which is looked at before its signature.
            let good = |one: &Dkim| one.result == DkimResult::Pass || one.why == Some(Why::Expired);
            assert!(results.dkim.iter().any(good), "{}: {:?}", file.display(), results.dkim);
            if folder == "arc" {
                assert_eq!(results.arc.result, ArcResult::Pass, "{}", file.display());
            }
            run += 1;
        }
        assert_eq!(run, files);
    }
}
