//! What a whole configuration means, and what is said about a broken one.

mod admission;
mod operations;

use std::{collections::BTreeSet, fs, path::PathBuf};

use shared::{
    clamav::endpoint::Endpoint,
    config::{Effective, Entry, Origin},
    policy::AutoVisibility,
};

use super::*;
use crate::{
    names::TenantName,
    pipeline::{PARSE, PIPELINE, SCAN},
    rules::{Facts, Outcome},
    webhook::Schedule,
};

mod scan;

/// A signing secret, so that it is one wherever a secret is wanted.
const CANARY: &str = "whsec_Y2FuYXJ5LTUxYzctY2FuYXJ5LTUxYzctY2FuYXJ5";
const EXAMPLE: &str = include_str!("../../../mailtri.example.toml");

struct Given {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Given {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mailtri.toml");
        fs::write(&file, toml.replace("/etc/mailtri", &folder.path().display().to_string())).unwrap();
        for name in ["erp.secret", "archive.secret", "erp-ca.pem", "audit.key"] {
            fs::write(folder.path().join(name), CANARY).unwrap();
        }
        Self { folder, file }
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<(Settings, Effective), ConfigError> {
        let secrets = [("ERP_WEBHOOK_SECRET", CANARY), ("ERP_PREVIOUS_SECRET", CANARY), ("REDIS_URL", CANARY)];
        let variables = variables.iter().chain(&secrets).map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::load(Some(&self.file), variables)
    }

    /// The error's text without the folder's name.
    fn error(&self, variables: &[(&str, &str)]) -> String {
        let text = self.load(variables).unwrap_err().to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The example with every key in force: "#key" is a key, "# text" is a remark.
fn example_in_force() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_as_shipped_changes_nothing() {
    let (_, shipped) = Given::new(EXAMPLE).load(&[]).unwrap();
    let (_, empty) = Given::new("").load(&[]).unwrap();
    assert_eq!(shipped, empty);
}

#[test]
fn every_key_of_the_example_loads_and_defaults_are_as_it_says() {
    let (settings, example) = Given::new(&example_in_force()).load(&[]).unwrap();
    let (_, empty) = Given::new("").load(&[]).unwrap();
    for default in empty.entries().iter().filter(|entry| entry.value.is_some() && entry.key != "processes") {
        let said = example.entries().iter().find(|e| e.section == default.section && e.key == default.key).unwrap();
        assert_eq!(said.value, default.value, "{}.{}", default.section, default.key);
    }
    let erp = &settings.destinations[&DestinationName::parse("erp").unwrap()];
    let archive = &settings.destinations[&DestinationName::parse("archive").unwrap()];
    assert_eq!(
        (erp.http.timeout, erp.concurrency, &erp.schedule),
        (archive.http.timeout, archive.concurrency, &archive.schedule)
    );
    assert_eq!((&erp.http.allow_cidrs, erp.http.allow_http), (&archive.http.allow_cidrs, archive.http.allow_http));
    assert_eq!(erp.schedule, Schedule::default());
    assert_eq!(settings.tenants.of_domain("Example.ORG"), TenantName::parse("acme").as_ref());
    assert_eq!(settings.rules.rules().len(), 2);
}

/// Sections without the names that operators choose: `destination.erp` is `destination.*`.
fn shape(entry: &Entry) -> (String, String) {
    let section = entry.section.to_string().replace("[0]", "").replace("[1]", "");
    match section.split_once('.') {
        Some(("limit", rest)) if rest.ends_with(".override") => ("limit.*.override".to_owned(), entry.key.clone()),
        Some((kind @ ("destination" | "limit" | "stage"), _)) => (format!("{kind}.*"), entry.key.clone()),
        Some((kind @ ("findings" | "senders"), _)) => (kind.to_owned(), entry.key.clone()),
        _ => (section, entry.key.clone()),
    }
}

#[test]
fn the_example_documents_every_key() {
    let (_, effective) = Given::new(&example_in_force()).load(&[]).unwrap();
    let known: BTreeSet<_> = effective.entries().iter().map(shape).collect();
    let set: BTreeSet<_> =
        effective.entries().iter().filter(|entry| entry.origin != Origin::Default).map(shape).collect();
    // Either of two keys names a secret; the other one stands in a remark.
    let remarked = |key: &str| EXAMPLE.lines().any(|line| line.starts_with(&format!("# {key} = ")));
    let missing: Vec<_> = known.difference(&set).filter(|(_, key)| !remarked(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(known.len() > 50, "{}", known.len());
}

#[test]
fn what_is_shown_loads_again_to_the_same_and_shows_no_secret() {
    let given = Given::new(&example_in_force());
    let (settings, shown) = given.load(&[("MAILTRI_LIMITS__MAX_MAIL", "25MB")]).unwrap();
    let (again, _) = Given::new(&shown.to_string()).load(&[]).unwrap();
    assert_eq!(format!("{settings:?}"), format!("{again:?}"));
    assert!(!format!("{settings:?} {settings:#?} {shown} {shown:?}").contains(CANARY));
}

#[test]
fn nothing_set_is_a_whole_configuration() {
    let (settings, _) = Settings::load(None, std::iter::empty()).unwrap();
    assert!(settings.destinations.is_empty() && settings.audit.key.is_none() && settings.data.dir.is_none());
    assert!(PIPELINE.iter().all(|row| settings.policies[&row.stage] == row.policy));
    let reason = "no rule matched".to_owned();
    assert_eq!(settings.rules.decide(&Facts::default()).outcome, Outcome::Quarantine { reason });
}

#[test]
fn the_environment_overrides_any_section() {
    let given = Given::new("[destination.my-erp]\nurl = \"https://a.example/\"\nsecret_env = \"MAILTRI_S\"");
    let (settings, _) = given
        .load(&[
            ("MAILTRI_S", CANARY),
            ("MAILTRI_CONFIG", "elsewhere.toml"),
            ("MAILTRI_STAGE__PARSE__VISIBILITY", "1min"),
            ("MAILTRI_DESTINATION__MY_ERP__RATE", "10/sec"),
            ("MAILTRI_DESTINATION__MY_ERP__ALLOW_CIDRS", "10.0.0.0/8,::1/128"),
            ("MAILTRI_ROUTE__DEFAULT", "my-erp"),
            ("MAILTRI_CLAMAV__ENDPOINT", "tcp:[::1]:3310"),
        ])
        .unwrap();
    let name = DestinationName::parse("my-erp").unwrap();
    let erp = &settings.destinations[&name];
    assert_eq!(erp.rate.unwrap().count.get(), 10);
    assert_eq!(erp.http.allow_cidrs.len(), 2);
    assert_eq!(settings.policies[&PARSE].visibility, Duration::from_secs(60));
    assert_eq!(settings.clamav.endpoints, [Endpoint::Tcp("[::1]:3310".to_owned())]);
    assert_eq!(settings.rules.decide(&Facts::default()).outcome, Outcome::Deliver(vec![name]));
}

#[test]
fn a_visibility_is_fixed_or_chosen_between_bounds() {
    let given = Given::new("[stage.parse]\nvisibility = \"auto\"\n[stage.scan]\nvisibility = \"90s\"");
    let (settings, effective) = given.load(&[("MAILTRI_STAGE__PARSE__VISIBILITY_MOST", "5min")]).unwrap();
    let [parse, scan] = [PARSE, SCAN].map(|stage| settings.policies[&stage]);
    let own = PIPELINE.iter().find(|row| row.stage == PARSE).unwrap().policy.visibility;
    let bounds = AutoVisibility { least: Duration::from_secs(10), most: Duration::from_secs(300) };
    assert_eq!((parse.visibility, parse.visibility_auto), (own, Some(bounds)));
    assert_eq!((scan.visibility, scan.visibility_auto), (Duration::from_secs(90), None));
    let shown = effective.to_string();
    assert!(shown.contains("visibility = \"auto\"") && shown.contains("visibility_least = \"10s\""), "{shown}");
    let given = Given::new(
        "[stage.parse]\nvisibility = \"automatic\"\n[stage.scan]\nvisibility_least = \"1s\"\n\
         [stage.route]\nvisibility = \"auto\"\nvisibility_least = \"41s\"",
    );
    assert_eq!(
        given.error(&[]),
        r#"3 errors in the configuration:
  mailtri.toml:2: stage.parse.visibility = "automatic": expected "auto", or a duration with its unit (ms, s, min, h, d), such as "30s", "5min" or "2h"
  mailtri.toml:4: stage.scan.visibility_least = "1s": only with visibility = "auto"
  mailtri.toml:7: stage.route.visibility_least = "41s": must be at most the visibility that holds without data"#
    );
}

#[test]
fn three_errors_are_reported_at_once() {
    let given =
        Given::new("[limits]\nmax_mail = 40\n[stage.pasre]\nvisibility = \"1min\"\n[html]\nremote_images = \"no\"");
    assert_eq!(
        given.error(&[]),
        r#"3 errors in the configuration:
  mailtri.toml:2: limits.max_mail = 40: expected a size with its unit (B, KB, MB, GB, KiB, MiB, GiB), such as "25MB" or "64KiB"
  mailtri.toml:3: stage.pasre: unknown key; did you mean "parse"?
  mailtri.toml:6: html.remote_images = "no": expected one of "block", "keep", "proxy-url""#
    );
}

#[test]
fn an_unknown_stage_is_told_the_stages() {
    let error = Given::new("[stage.fetch]\nvisibility = \"1min\"").error(&[]);
    let expected = "mailtri.toml:1: stage.fetch: unknown key; known here: deliver, parse, route, scan";
    assert_eq!(error, format!("1 error in the configuration:\n  {expected}"));
}

#[test]
fn destinations_and_limits_are_checked() {
    let given = Given::new(
        r#"
[limits]
memory = "1MB"
[tenants]
"not a domain" = "acme"
"example.org" = "Acme"
[destination.plain]
url = "http://a.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[destination.login]
url = "https://me:canary-51c7@a.example/"
secret_env = "NOWHERE"
[destination.bare]
timeout = "0s"
ca_file = "absent.pem"
allow_cidrs = ["10.0.0.0/8", "10.1"]
rate = "fast"
[destination.Wrong_Name]
url = "https://a.example/"
secret = "canary-51c7"
[destination.drop]
url = "https://a.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[clamav]
endpoint = "clamd.ctl"
"#,
    );
    assert_eq!(
        given.error(&[]),
        r#"16 errors in the configuration:
  mailtri.toml:3: limits.memory = "1MB": a mail of max_mail would never fit into memory; expected memory >= max_mail
  mailtri.toml:5: tenants."not a domain" = "acme": the key has to be a domain, such as "example.org"
  mailtri.toml:6: tenants."example.org" = "Acme": expected a name of lower-case letters, digits and "-", at most 32 long
  mailtri.toml:8: destination.plain.url = "http://a.example/": expected https; http is for development, with allow_http = true
  mailtri.toml:11: destination.login.url: expected a URL without user and password
  mailtri.toml:12: destination.login.secret_env = "NOWHERE": that environment variable is not set
  mailtri.toml:13: destination.bare.url: not set; expected an https URL, such as "https://erp.example.org/mail"
  mailtri.toml:13: destination.bare.secret_env: not set; expected the name of a variable that holds the secret (or secret_file, a path)
  mailtri.toml:14: destination.bare.timeout = "0s": expected more than nothing
  mailtri.toml:15: destination.bare.ca_file = "absent.pem": expected a file that can be read: No such file or directory (os error 2)
  mailtri.toml:16: destination.bare.allow_cidrs = ["10.0.0.0/8", "10.1"]: expected a list, each item a network, such as "10.1.0.0/16" or "127.0.0.1/32"
  mailtri.toml:17: destination.bare.rate = "fast": expected a rate, "COUNT/sec|min|hour|day", perhaps with "burst COUNT" after it, such as "100/min burst 200"
  mailtri.toml:18: destination.Wrong_Name: expected a name of lower-case letters, digits and "-", at most 40 long
  mailtri.toml:20: destination.Wrong_Name.secret: a secret does not belong in the configuration; name it with secret_env or secret_file
  mailtri.toml:21: destination.drop: this word is an action of rules; give the destination another name
  mailtri.toml:25: clamav.endpoint = "clamd.ctl": expected "unix:/absolute/path" or "tcp:HOST:PORT", or a list of them"#
    );
}

#[test]
fn authentication_is_checked() {
    let given = Given::new(
        "[authentication]\nresolver = \"10.0.0.2\"\ntimeout = \"0s\"\ndmarc = \"reject\"\nauthserv_id = \"a b\"\n\
         trusted_hosts = [\"mx one\"]\ntrusted_authserv_ids = [\"mailtri\"]\n\
         trusted_sealers = [\"list.example\", \"co.uk\"]",
    );
    assert_eq!(
        given.error(&[]),
        r#"7 errors in the configuration:
  mailtri.toml:2: authentication.resolver = "10.0.0.2": expected "system", "off", or a server's address and port, such as "10.0.0.2:53"
  mailtri.toml:3: authentication.timeout = "0s": expected more than nothing
  mailtri.toml:4: authentication.dmarc = "reject": expected one of "enforce", "tag"
  mailtri.toml:5: authentication.authserv_id = "a b": expected a name of letters, digits, "." and "-"
  mailtri.toml:6: authentication.trusted_hosts = ["mx one"]: expected a list, each item a server's name, "*" is any text
  mailtri.toml:7: authentication.trusted_authserv_ids = ["mailtri"]: this is our own authserv_id, which nobody else may use
  mailtri.toml:8: authentication.trusted_sealers = ["list.example", "co.uk"]: expected a list, each item a sealer's domain, such as "google.com"; not a public suffix"#
    );
    let off = Given::new("[authentication]\nresolver = \"off\"\ndmarc = \"enforce\"");
    assert!(off.error(&[]).contains("without DNS there is nothing to enforce"));
    let rule = "[[rule]]\nname = \"a\"\nwhen = { dmarc = \"passed\" }\naction = \"drop\"";
    assert!(Given::new(rule).error(&[]).contains("expected one of none, pass, fail, temperror, permerror"));
    let (settings, _) = Given::new("[authentication]\nresolver = \"off\"").load(&[]).unwrap();
    assert!(settings.authentication.servers.is_none() && settings.authentication.trust.hosts.is_empty());
    assert!(settings.authentication.trusted_sealers.is_empty());
    let (settings, _) = Given::new("[authentication]\ntrusted_sealers = [\"Google.com.\"]").load(&[]).unwrap();
    assert_eq!(settings.authentication.trusted_sealers[0].expose(), "google.com");
}

#[test]
fn rules_are_checked_against_everything_else() {
    let given = Given::new(
        r#"
[tenants]
"example.org" = "acme"
[destination.erp]
url = "https://erp.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[route]
default = ["erp", "nowhere"]
[[rule]]
name = "a"
deliver = ["epr"]
reason = "none needed"
[[rule]]
name = "a"
action = "drop"
stop = false
[[rule]]
when = { verdict = "cleen", tenant = "acne", finding = "odd", header = "List-Id", subject = "", subjct = "x" }
[[rule]]
name = "B"
deliver = "erp"
action = "reject"
"#,
    );
    // The codes are the parser's own list, which grows.
    let error = given.error(&[]);
    let (before, after) = error.split_once("expected one of `").unwrap();
    let (codes, after) = after.split_once('\n').unwrap();
    assert!(codes.contains("`boundary_damaged`"), "{codes}");
    assert_eq!(
        format!("{before}there is no such finding\n{after}"),
        r#"15 errors in the configuration:
  mailtri.toml:8: route.default = ["erp", "nowhere"]: no destination is called "nowhere"; there is erp
  mailtri.toml:11: rule[0].deliver = ["epr"]: no destination is called "epr"; there is erp
  mailtri.toml:12: rule[0].reason = "none needed": only an action has a reason
  mailtri.toml:14: rule[1].name = "a": another rule has this name
  mailtri.toml:16: rule[1].stop = false: an action always ends the evaluation
  mailtri.toml:17: rule[2].name: not set; expected a name of lower-case letters, digits and "-", at most 64 long
  mailtri.toml:17: rule[2]: expected deliver = ["NAME"] or action = "quarantine"
  mailtri.toml:18: rule[2].when.subject = "": expected a pattern of 1 to 256 characters
  mailtri.toml:18: rule[2].when.verdict = "cleen": expected one of clean, infected, encrypted, limits_exceeded, unscannable
  mailtri.toml:18: rule[2].when.tenant = "acne": no tenant is called "acne"; there is default, acme
  mailtri.toml:18: rule[2].when.finding = "odd": there is no such finding
  mailtri.toml:18: rule[2].when.header = "List-Id": expected a header field with a pattern, such as "List-Id: *news*"
  mailtri.toml:18: rule[2].when.subjct: unknown key; did you mean "subject"?
  mailtri.toml:20: rule[3].name = "B": expected a name of lower-case letters, digits and "-", at most 64 long
  mailtri.toml:22: rule[3].action = "reject": the rule delivers already; keep one of deliver and action"#
    );
}

#[test]
fn rules_as_written_decide() {
    let given = Given::new(
        r#"
[destination.erp]
url = "https://erp.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[destination.archive]
url = "https://archive.example/"
secret_env = "ERP_WEBHOOK_SECRET"
[[rule]]
name = "no-news"
when = { header = ["List-Id: *", "Precedence: bulk"], sender_domain = "*.example.net" }
action = "drop"
[[rule]]
name = "all"
deliver = "archive"
stop = false
[[rule]]
name = "invoices"
when = { recipient = "invoices@*", subject = ["*invoice*", "*rechnung*"] }
deliver = ["erp", "archive"]
"#,
    );
    let (settings, _) = given.load(&[]).unwrap();
    let decide = |facts: Facts<'_>| {
        let decision = settings.rules.decide(&facts);
        let names: Vec<&str> = decision.rules.iter().map(crate::names::RuleName::as_str).collect();
        (names.join(" "), decision.outcome)
    };
    let to = |names: &[&str]| Outcome::Deliver(names.iter().filter_map(|name| DestinationName::parse(name)).collect());
    let invoice =
        || Facts { recipients: vec!["Invoices@a.example"], subject: Some("Ihre Rechnung"), ..Facts::default() };
    assert_eq!(decide(invoice()), ("all invoices".to_owned(), to(&["archive", "erp"])));
    assert_eq!(decide(Facts { subject: Some("Hello"), ..invoice() }), ("all".to_owned(), to(&["archive"])));
    let news = Facts { senders: vec!["n@mail.example.net"], headers: vec![("precedence", "bulk")], ..invoice() };
    assert_eq!(decide(news), ("no-news".to_owned(), Outcome::Drop { reason: "rule no-news".to_owned() }));
}

#[test]
fn a_variable_that_is_no_key_is_an_error() {
    let error = Given::new("").error(&[("MAILTRI_LIMITS__MAXMAIL", "1MB"), ("MAILTRI_LIMITS_MAX_MAIL", "1MB")]);
    assert_eq!(
        error,
        r#"2 errors in the configuration:
  environment MAILTRI_LIMITS__MAXMAIL: limits.maxmail: unknown key; did you mean "max_mail"?
  environment MAILTRI_LIMITS_MAX_MAIL: limits_max_mail: unknown key; known here: audit, authentication, aws, clamav, data, destination, findings, html, limit, limits, plane, recipients, redis, route, rule, sandbox, scan, senders, shutdown, stage, telemetry, tenants"#
    );
}

#[test]
fn a_misplaced_secret_is_never_shown() {
    for toml in [
        "[audit]\nkey = \"canary-51c7\"",
        "[audit]\nkey_env = \"canary-51c7\"",
        "[audit]\nkey_file = \"canary-51c7\"",
        "[destination]\nsecret = \"canary-51c7\"",
        "[destination.erp]\nurl = \"https://erp.example/?token=canary-51c7#x\"",
        "[destination.erp]\nurl = \"//canary-51c7@erp.example/\"",
        "[destination.erp]\nprevious_secret = [\"canary-51c7\"]",
        "[destination.erp]\nprevious_secret_env = [\"canary-51c7\"]",
        "secret = \"canary-51c7\"",
        "[tenants]\nsecret = canary-51c7",
    ] {
        let result = Given::new(toml).load(&[]);
        let text = format!("{result:?} {}", result.as_ref().unwrap_err());
        assert!(!text.contains(CANARY), "{text}");
    }
}
