use std::{fs, time::Duration};

use super::*;
use crate::settings::Settings;

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mailtri.toml");
    fs::write(&file, toml).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = Settings::load(Some(&file), variables).map(|(settings, _)| settings);
    loaded.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn limits_are_read_with_the_defaults_of_their_scope() {
    let toml = r#"
[tenants]
"example.org" = "acme"
[limit.senders]
by = "sender-domain"
rate = "100/min burst 200"
[[limit.senders.override]]
tenant = "acme"
match = "*.example"
rate = "5/sec"
[[limit.senders.override]]
match = "partner.example"
unlimited = true
[limit.volume]
by = "tenant"
rate = "1MiB/sec burst 2MiB"
cost = "bytes"
on_error = "allow"
enforce = false
expired = "reject"
[limit.clients]
by = "api-client"
rate = "10/sec"
[[limit.clients.override]]
match = "erp-*"
rate = "1/sec"
[limit.jobs]
by = "destination"
concurrency = 8
[[limit.jobs.override]]
tenant = "acme"
concurrency = 2
[destination.erp]
url = "https://erp.example/"
secret_env = "S"
rate = "7/sec"
"#;
    let secret = format!("whsec_{}", "A".repeat(32));
    let settings = load(toml, &[("S", &secret), ("MAILTRI_LIMIT__SENDERS__LOCAL_SHARE", "25")]).unwrap();
    let named = |name: &str| settings.declared_limits.iter().find(|limit| limit.name == name).unwrap();
    let minute = |count: &str| count.parse::<Rate>().unwrap();

    let senders = named("senders");
    let Kind::Rate { bounds, cost: Cost::Message } = &senders.kind else { panic!("{senders:?}") };
    assert_eq!(bounds.of("default", "x.example"), Some(minute("100/min burst 200")));
    assert_eq!(bounds.of("acme", "x.example"), Some(minute("5/sec")));
    assert_eq!((bounds.of("default", "partner.example"), bounds.exceptions.len()), (None, 2));
    let share = OnError::Local(Share::percent(25).unwrap());
    assert_eq!((senders.enforce, senders.on_error, senders.expired), (true, share, Expired::Quarantine));

    let volume = named("volume");
    let Kind::Rate { bounds, cost: Cost::Bytes } = &volume.kind else { panic!("{volume:?}") };
    let rate = bounds.base.unwrap();
    assert_eq!((rate.count.get(), rate.per, rate.burst.get()), (1024, Duration::from_secs(1), 2048));
    assert_eq!((volume.enforce, volume.on_error, volume.expired), (false, OnError::Allow, Expired::Reject));

    let clients = named("clients");
    let Kind::Rate { bounds, .. } = &clients.kind else { panic!("{clients:?}") };
    assert_eq!((clients.scope, bounds.of("any", "erp-2")), (Scope::ApiClient, Some(minute("1/sec"))));
    assert_eq!(bounds.of("any", "erp"), Some(minute("10/sec")));

    let jobs = named("jobs");
    let Kind::Slots(bounds) = &jobs.kind else { panic!("{jobs:?}") };
    assert_eq!((bounds.of("default", "erp"), bounds.of("acme", "erp")), (NonZeroU32::new(8), NonZeroU32::new(2)));
    assert_eq!((jobs.on_error, jobs.expired), (OnError::Defer, Expired::DeadLetter));

    let own = named("destination.erp");
    let Kind::Rate { bounds, .. } = &own.kind else { panic!("{own:?}") };
    assert_eq!((bounds.of("any", "erp"), bounds.of("any", "erp-2")), (Some(minute("7/sec")), None));
}

#[test]
fn limits_are_checked() {
    let toml = r#"
[limit.Wrong]
by = "sender"
rate = "1/min"
[limit.empty]
[limit.api]
by = "api-client"
concurrency = 2
[limit.both]
by = "tenant"
rate = "1/min"
concurrency = 2
[limit.slots]
by = "sender"
concurrency = 2
cost = "message"
on_error = "defer"
local_share = 10
[limit.bytes]
by = "recipient"
rate = "10/min"
cost = "bytes"
local_share = 101
expired = "never"
[[limit.bytes.override]]
tenant = "nobody"
rate = "1MB/min"
unlimited = true
[[limit.bytes.override]]
concurrency = 1
[limit.clients]
by = "client-ip"
rate = "1/min"
[limit.doors]
by = "ingress"
rate = "1/min"
expired = "drop"
"#;
    let scopes = r#""sender", "sender-domain", "client-ip", "recipient", "tenant", "route", "destination", "ingress", "api-client""#;
    let rate = r#"a rate, "COUNT/sec|min|hour|day", perhaps with "burst COUNT" after it, such as "100/min burst 200""#;
    let expected = format!(
        r#"17 errors in the configuration:
  mailtri.toml:2: limit.Wrong: expected a name of lower-case letters, digits and "-", at most 40 long
  mailtri.toml:5: limit.empty.by: not set; expected one of {scopes}
  mailtri.toml:5: limit.empty.rate: not set; expected {rate}; or concurrency, a whole number of jobs at once, such as 4
  mailtri.toml:8: limit.api.concurrency = 2: only by "tenant" or "destination"
  mailtri.toml:12: limit.both.concurrency = 2: not beside rate: declare two limits
"#
    );
    let told = load(toml, &[]).unwrap_err();
    assert!(told.starts_with(&expected), "{told}");
    for line in [
        r#"limit.slots.concurrency = 2: only by "tenant" or "destination""#,
        r#"limit.slots.cost = "message": only with rate"#,
        r#"limit.slots.local_share = 10: only with on_error = "local""#,
        r#"limit.bytes.rate = "10/min": expected a rate of bytes"#,
        "limit.bytes.local_share = 101: expected a share of 1 to 100 percent",
        r#"limit.bytes.expired = "never": expected one of "quarantine", "reject", "drop", "dead-letter""#,
        r#"limit.bytes.override[0].tenant = "nobody": no domain belongs to this tenant"#,
        "limit.bytes.override[0]: expected what holds instead, or unlimited = true, and not both",
        "limit.bytes.override[1]: expected a tenant, a match, or both",
        r#"limit.clients.by = "client-ip": nobody tells which client it was: name our servers in authentication.trusted_hosts"#,
        r#"limit.doors.expired = "drop": a mail that finds no turn at the way in is not taken in"#,
        "limit.bytes.override[1].concurrency = 1: the limit itself is of the other kind",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
}

#[test]
fn clients_are_counted_where_a_trusted_server_tells_of_them() {
    let limit = "[limit.clients]\nby = \"client-ip\"\nrate = \"1/min\"\n";
    load(limit, &[]).unwrap_err();
    load(&format!("{limit}[authentication]\ntrusted_hosts = [\"mx.example.org\"]\n"), &[]).unwrap();
}
