//! A small schema of every kind of key, and what is said about documents that break it.

use std::{fs, num::NonZeroU32, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, Document, Effective, Environment, Origin, Size, units};

const CANARY: &str = "canary-9d1f";

#[derive(Debug)]
struct Read {
    visibility: Duration,
    attempts: NonZeroU32,
    max_mail: Size,
    strict: bool,
    mode: char,
    name: Option<String>,
    waits: Vec<Duration>,
    to: Option<Vec<String>>,
    ca: Option<PathBuf>,
    secret: Option<SecretString>,
    peers: Vec<(String, Option<String>)>,
    rules: Vec<Option<String>>,
    map: Vec<(String, String)>,
}

fn read(document: Document) -> Result<(Read, Effective), ConfigError> {
    let root = document.root();
    let parse = root.section("stage").section("parse");
    let misc = root.section("misc");
    let read = Read {
        visibility: parse.get_or("visibility", Duration::from_secs(30)),
        attempts: parse.get_or("max_attempts", NonZeroU32::MIN),
        max_mail: misc.get_or("max_mail", Size(40_000_000)),
        strict: misc.get_or("strict", true),
        mode: misc.one_of_or_first("mode", [("block", 'b'), ("keep", 'k')]),
        name: misc.get("name"),
        waits: misc.list("waits", &["5s", "5min"], units::DURATION, units::parse_duration),
        to: misc.words("to"),
        ca: misc.readable_file("ca_file"),
        secret: misc.secret("secret"),
        peers: root.subsections("peer").into_iter().map(|(name, peer)| (name, peer.get("url"))).collect(),
        rules: root.tables("rule").into_iter().map(|rule| rule.get("name")).collect(),
        map: root.section("map").texts(),
    };
    document.finish().map(|effective| (read, effective))
}

struct Given {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Given {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.toml");
        fs::write(&file, toml).unwrap();
        Self { folder, file }
    }

    fn read(&self, variables: &[(&str, &str)]) -> Result<(Read, Effective), ConfigError> {
        let variables: Vec<(String, String)> = variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let environment = Environment::new("APP_", &["APP_CONFIG"], variables.into_iter());
        read(Document::load(Some(&self.file), environment)?)
    }

    /// The error's text, with the file's name in place of its path.
    fn error(&self, variables: &[(&str, &str)]) -> String {
        let text = self.read(variables).unwrap_err().to_string();
        text.replace(&self.file.display().to_string(), "app.toml")
    }
}

#[test]
fn nothing_set_means_the_defaults() {
    let environment = Environment::new("APP_", &[], std::iter::empty());
    let (read, effective) = read(Document::load(None, environment).unwrap()).unwrap();
    assert_eq!((read.visibility, read.attempts), (Duration::from_secs(30), NonZeroU32::MIN));
    assert_eq!((read.max_mail, read.strict, read.mode), (Size(40_000_000), true, 'b'));
    assert_eq!(read.waits, [Duration::from_secs(5), Duration::from_secs(300)]);
    assert!(read.name.is_none() && read.to.is_none() && read.ca.is_none() && read.secret.is_none());
    assert!(read.peers.is_empty() && read.rules.is_empty() && read.map.is_empty());
    assert_eq!(
        effective.to_string(),
        r##"[stage.parse]
visibility = "30s" # default
max_attempts = 1 # default

[misc]
max_mail = "40MB" # default
strict = true # default
mode = "block" # default
# name: not set
waits = ["5s", "5min"] # default
# to: not set
# ca_file: not set
# secret_env: not set
# secret_file: not set
"##
    );
}

#[test]
fn every_error_is_reported_at_once() {
    let given = Given::new(
        r#"
[stage.parse]
visibility = 30
max_attempts = 0
visiblity = "1min"

[stage.pasre]
visibility = "1min"

[misc]
max_mail = "40 parsecs"
mode = "sometimes"
strict = "yes"
name = 3
waits = ["5s", "soon"]
to = []
ca_file = "absent.pem"
colour = "red"

[peer]
erp = "https://erp.example"

[[rule]]
nmae = "first"
"#,
    );
    let variables = [("APP_MISC__NAME", ""), ("APP_MISC__SIZE", "3"), ("APP_STAGE", "x"), ("APP_CONFIG", "fine")];
    assert_eq!(
        given.error(&variables),
        r#"16 errors in the configuration:
  app.toml:3: stage.parse.visibility = 30: expected a duration with its unit (ms, s, min, h, d), such as "30s", "5min" or "2h"
  app.toml:4: stage.parse.max_attempts = 0: expected a whole number from 1 to 4294967295
  app.toml:5: stage.parse.visiblity: unknown key; did you mean "visibility"?
  app.toml:7: stage.pasre: unknown key; did you mean "parse"?
  app.toml:11: misc.max_mail = "40 parsecs": expected a size with its unit (B, KB, MB, GB, KiB, MiB, GiB), such as "25MB" or "64KiB"
  app.toml:12: misc.mode = "sometimes": expected one of "block", "keep"
  app.toml:13: misc.strict = "yes": expected true or false
  app.toml:15: misc.waits = ["5s", "soon"]: expected a list, each item a duration with its unit (ms, s, min, h, d), such as "30s", "5min" or "2h"
  app.toml:16: misc.to = []: expected a text in quotes, or a list of at least one
  app.toml:17: misc.ca_file = "absent.pem": expected a file that can be read: No such file or directory (os error 2)
  app.toml:18: misc.colour: unknown key; known here: ca_file, max_mail, mode, name, secret, secret_env, secret_file, strict, to, waits
  app.toml:21: peer.erp: expected a section with keys
  app.toml:24: rule[0].nmae: unknown key; did you mean "name"?
  environment APP_STAGE: stage: "stage" is a section: write its key after "__"
  environment APP_MISC__NAME: misc.name = "": expected a text that is not empty, in quotes
  environment APP_MISC__SIZE: misc.size: unknown key; known here: ca_file, max_mail, mode, name, secret, secret_env, secret_file, strict, to, waits"#
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let given = Given::new("[stage.parse]\nvisibility = \"30s\"\n[peer.my-erp]\nurl = \"a\"\n[misc]\nstrict = true");
    let (read, effective) = given
        .read(&[
            ("APP_STAGE__PARSE__VISIBILITY", "1min"),
            ("app_stage__parse__max_attempts", "7"),
            ("APP_MISC__STRICT", "FALSE"),
            ("APP_MISC__WAITS", "1s, 2s"),
            ("APP_MISC__TO", "erp,archive"),
            ("APP_PEER__MY_ERP__URL", "b"),
            ("APP_PEER__OLD_ERP__URL", "c"),
            ("APPLE", "not ours"),
            ("APP_METRICS_SERVICE_HOST", "10.0.0.1"),
            ("APP_METRICS_SERVICE_PORT_HTTP", "80"),
            ("APP_METRICS_PORT", "tcp://10.0.0.1:80"),
            ("APP_METRICS_PORT_80_TCP_ADDR", "10.0.0.1"),
        ])
        .unwrap();
    assert_eq!((read.visibility, read.attempts.get(), read.strict), (Duration::from_secs(60), 7, false));
    assert_eq!(read.waits, [Duration::from_secs(1), Duration::from_secs(2)]);
    assert_eq!(read.to, Some(vec!["erp".to_owned(), "archive".to_owned()]));
    assert_eq!(read.peers, [("my-erp".to_owned(), Some("b".to_owned())), ("old-erp".to_owned(), Some("c".to_owned()))]);
    let visibility = effective.entries().iter().find(|entry| entry.key == "visibility").unwrap();
    assert_eq!(visibility.origin, Origin::Environment { variable: "APP_STAGE__PARSE__VISIBILITY".to_owned() });
}

#[test]
fn contradicting_variables_are_errors() {
    let given = Given::new("[misc]\nname = \"a\"");
    let error =
        given.error(&[("APP_MISC__NAME", "b"), ("app_misc__name", "c"), ("APP_MISC__NAME__X", "d"), ("APP_", "e")]);
    assert_eq!(
        error,
        r#"3 errors in the configuration:
  environment APP_: "": names no key
  environment APP_MISC__NAME__X: misc.name.x: "name" is no section, so nothing can be set in it
  environment app_misc__name: misc.name: already set by APP_MISC__NAME"#
    );
}

#[test]
fn what_is_shown_loads_again_to_the_same() {
    let given = Given::new(
        "map = { \"example.org\" = \"acme\" }\nrule = [{ name = \"a\" }, { name = \"b \\\"x\\\"\" }]\n\
         [misc]\nto = [\"x\", \"y\"]\nsecret_env = \"S\"\nca_file = \"ca.pem\"\nmax_mail = \"3KiB\"\n[peer.erp]\nurl = \"u\"",
    );
    fs::write(given.folder.path().join("ca.pem"), "pem").unwrap();
    let (first, shown) = given.read(&[("S", CANARY), ("APP_MISC__NAME", "from outside")]).unwrap();
    assert_eq!(first.map, [("example.org".to_owned(), "acme".to_owned())]);
    assert_eq!(first.ca, Some(given.folder.path().join("ca.pem")));
    let again = Given::new(&shown.to_string());
    let (second, _) = again.read(&[("S", CANARY)]).unwrap();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
fn secrets_come_from_variables_and_files_and_are_never_shown() {
    let given = Given::new("[misc]\nsecret_env = \"APP_ERP_SECRET\"");
    let (read, effective) = given.read(&[("APP_ERP_SECRET", CANARY)]).unwrap();
    assert_eq!(read.secret.as_ref().map(ExposeSecret::expose_secret), Some(CANARY));
    assert!(!format!("{read:?} {effective:?} {effective}").contains(CANARY));

    let given = Given::new("[misc]\nsecret_file = \"s\"");
    fs::write(given.folder.path().join("s"), format!("{CANARY}\n")).unwrap();
    let (read, effective) = given.read(&[]).unwrap();
    assert_eq!(read.secret.as_ref().map(ExposeSecret::expose_secret), Some(CANARY));
    assert!(!format!("{read:?} {effective:?} {effective}").contains(CANARY));
}

#[test]
fn misplaced_secrets_are_errors_that_do_not_show_them() {
    let advice = "a secret does not belong in the configuration; name it with secret_env or secret_file";
    let not_a_name = "expected the name of an environment variable, in capitals, such as \"ERP_SECRET\"";
    for (toml, variables, expected) in [
        ("secret = \"canary-9d1f\"", vec![], format!("app.toml:2: misc.secret: {advice}")),
        ("", vec![("APP_MISC__SECRET", CANARY)], format!("environment APP_MISC__SECRET: misc.secret: {advice}")),
        ("secret_env = \"canary-9d1f\"", vec![], format!("app.toml:2: misc.secret_env: {not_a_name}")),
        (
            "secret_file = \"canary-9d1f\"",
            vec![],
            "app.toml:2: misc.secret_file: expected a text file that can be read: No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            "secret_env = \"GONE\"",
            vec![],
            "app.toml:2: misc.secret_env = \"GONE\": that environment variable is not set".to_owned(),
        ),
        (
            "secret_env = \"EMPTY\"",
            vec![("EMPTY", "")],
            "app.toml:2: misc.secret_env = \"EMPTY\": that environment variable is empty".to_owned(),
        ),
        (
            "sekret = \"canary-9d1f\"",
            vec![],
            "app.toml:2: misc.sekret: unknown key; did you mean \"secret\"?".to_owned(),
        ),
    ] {
        let given = Given::new(&format!("[misc]\n{toml}"));
        assert_eq!(given.error(&variables), format!("1 error in the configuration:\n  {expected}"));
        assert!(!format!("{:?}", given.read(&variables)).contains(CANARY));
    }
}

#[test]
fn two_sources_of_one_secret_are_an_error() {
    let given = Given::new("[misc]\nsecret_env = \"S\"\nsecret_file = \"s\"");
    fs::write(given.folder.path().join("s"), CANARY).unwrap();
    let expected = "app.toml:3: misc.secret_file: secret_env is set as well; keep one of them";
    assert_eq!(given.error(&[("S", CANARY)]), format!("1 error in the configuration:\n  {expected}"));
}

#[test]
fn what_is_not_toml_is_said_with_line_and_column_and_without_the_line() {
    let given = Given::new("[misc]\nname = \"a\"\nsecret = canary-9d1f\n");
    let error = given.error(&[]);
    assert!(error.starts_with("app.toml:3:10: not valid TOML: "), "{error}");
    assert!(!error.contains(CANARY), "{error}");
    assert!(!format!("{:?}", given.read(&[])).contains(CANARY));
}

#[test]
fn a_missing_file_is_said_by_name() {
    let missing = PathBuf::from("no/such/app.toml");
    let error = Document::load(Some(&missing), Environment::default()).unwrap_err().to_string();
    assert_eq!(error, "no/such/app.toml: the configuration cannot be read: No such file or directory (os error 2)");
}
