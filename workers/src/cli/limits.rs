//! `mailtri limits`: what is declared, what a limit would say now, and making it forget.

mod counted;

use std::{net::IpAddr, time::Duration};

use clap::{Args, Subcommand};
use jiff::{Timestamp, Unit};
use serde_json::json;
use shared::{
    clock::{Clock, later},
    config::units::parse_size,
    limit::{LimitError, OnError, Turn},
};

use super::{DataArgs, boot, error::CommandError, output, table::Table};
use crate::{
    limiting::{Bounds, Cost, Expired, Kind, Limit, Limiting, Look, Scope, spelled},
    names::{self, ClientName},
    settings::Tenants,
};
use counted::Counted;

#[derive(Debug, Subcommand)]
pub(super) enum LimitsCommand {
    /// List the declared limits, and what the process at telemetry.listen has counted
    Show(ShowArgs),
    /// Say whether one mail would pass now, charging nothing
    Test(TestArgs),
    /// Forget what limits know of a key: it is idle, and its slots are free
    Reset(KeyArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// How large the mail is, for limits of bytes
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size)]
    size: u64,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// What is counted by, and whom it is about, such as sender-domain=example.org
    #[arg(value_name = "KEY", value_parser = key)]
    key: Key,
    /// Whose mail it is; of tenant=NAME that one [default: default]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Clone)]
struct Key {
    scope: Scope,
    subject: String,
}

fn key(text: &str) -> Result<Key, String> {
    let names = Scope::NAMED.map(|(name, _)| name).join(", ");
    let (scope, subject) = text.split_once('=').ok_or_else(|| format!("expected KIND=WHOM, of the kinds {names}"))?;
    let scope = Scope::named(scope).ok_or_else(|| format!("there is no such kind; there are {names}"))?;
    // Whoever misspells one of these would be told of a limit that nobody is counted by.
    match scope {
        Scope::ClientIp if subject.trim().parse::<IpAddr>().is_err() => Err("expected an IP address".to_owned()),
        Scope::ApiClient if ClientName::parse(subject.trim()).is_none() => {
            Err(format!("expected the name of a client: {}, at most 40 long", names::EXPECTED))
        }
        _ => Ok(Key { scope, subject: spelled(scope, subject) }),
    }
}

impl KeyArgs {
    /// The limits, and whose mail it is.
    async fn open(&self) -> Result<(Limiting, String), CommandError> {
        let (settings, plane) = self.data.plane().await?;
        let tenant = self.whose(&settings.tenants)?;
        Ok((Limiting::open(&settings, &plane).map_err(CommandError::failed)?, tenant))
    }

    fn whose(&self, tenants: &Tenants) -> Result<String, CommandError> {
        let subject = (self.key.scope == Scope::Tenant).then_some(&self.key.subject);
        if let Some((named, subject)) = self.tenant.as_ref().zip(subject).filter(|(named, subject)| named != subject) {
            return Err(CommandError::usage(format!("tenant={subject} is no mail of --tenant {named}")));
        }
        let tenant = self.tenant.as_ref().or(subject).map_or_else(|| "default".to_owned(), Clone::clone);
        if tenants.is_tenant(&tenant) {
            return Ok(tenant);
        }
        Err(CommandError::usage(format!("no domain belongs to a tenant {tenant:?}: see [tenants]")))
    }
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "expected a size, such as 64KiB".to_owned())
}

pub(super) fn run(command: &LimitsCommand) -> Result<(), CommandError> {
    boot::block_on(async {
        match command {
            LimitsCommand::Show(args) => show(args).await,
            LimitsCommand::Test(args) => test(args).await,
            LimitsCommand::Reset(args) => reset(args).await,
        }
    })
}

async fn show(args: &ShowArgs) -> Result<(), CommandError> {
    let (settings, _) = args.data.config.load()?;
    let counted = Counted::read(settings.telemetry.listen).await;
    if args.json {
        for limit in &settings.declared_limits {
            output::json(&json!({
                "limit": limit.name, "by": limit.scope.name(), "bound": bound(limit), "exceptions": exceptions(limit),
                "enforce": limit.enforce, "on_error": on_error(limit), "expired": expired(limit),
                "counted": counted.of(&limit.name),
            }))?;
        }
        return Ok(());
    }
    let mut table = Table::new(["LIMIT", "BY", "BOUND", "ENFORCED", "ON ERROR", "EXPIRED", "COUNTED"]);
    for limit in &settings.declared_limits {
        let exceptions = match exceptions(limit) {
            0 => String::new(),
            n => format!(" (+{n})"),
        };
        let enforced = if limit.enforce { "yes" } else { "no" };
        let shown = counted.of(&limit.name).map_or_else(|| "?".to_owned(), |counts| counted::shown(&counts));
        let (by, bound) = (limit.scope.name().to_owned(), bound(limit) + &exceptions);
        table.row([limit.name.clone(), by, bound, enforced.to_owned(), on_error(limit), expired(limit), shown]);
    }
    if table.is_empty() { output::line("no limits are declared") } else { output::line(table) }
}

async fn test(args: &TestArgs) -> Result<(), CommandError> {
    let (key, (limiting, tenant)) = (&args.key, args.key.open().await?);
    let looks = limiting.look(key.key.scope, &tenant, &key.key.subject, args.size).await.map_err(unanswered)?;
    if looks.is_empty() {
        return Err(undeclared(key.key.scope));
    }
    let now = Clock::system().now();
    let mut table = Table::new(["LIMIT", "SAYS", "ENFORCED"]);
    for look in &looks {
        if key.json {
            output::json(&json!({
                "limit": look.limit.name, "passes": passes(look), "wait_ms": wait(look).map(|wait| wait.as_millis()),
                "enforce": look.limit.enforce,
            }))?;
        }
        let enforced = if look.limit.enforce { "yes" } else { "no" };
        table.row([look.limit.name.clone(), says(look, now), enforced.to_owned()]);
    }
    if key.json { Ok(()) } else { output::line(table) }
}

async fn reset(args: &KeyArgs) -> Result<(), CommandError> {
    let (limiting, tenant) = args.open().await?;
    let forgot = limiting.forget(args.key.scope, &tenant, &args.key.subject).await.map_err(unanswered)?;
    if forgot == 0 {
        return Err(undeclared(args.key.scope));
    }
    if args.json {
        return output::json(&json!({ "limits": forgot }));
    }
    output::line(format_args!("forgotten by {forgot} limit{}", if forgot == 1 { "" } else { "s" }))
}

fn unanswered(error: LimitError) -> CommandError {
    CommandError::failed(error)
}

fn undeclared(scope: Scope) -> CommandError {
    CommandError::usage(format!("no limit is declared by {:?}: see `mailtri limits show`", scope.name()))
}

fn passes(look: &Look<'_>) -> bool {
    look.answer.as_ref().is_none_or(|answer| answer.full != [true] && wait(look).is_none_or(|wait| wait.is_zero()))
}

/// How long until the turn; `None` where there is none to wait for.
fn wait(look: &Look<'_>) -> Option<Duration> {
    look.answer.as_ref().and_then(|answer| answer.waits.iter().max().copied())
}

fn says(look: &Look<'_>, now: Timestamp) -> String {
    match (&look.answer, wait(look)) {
        (None, _) => "no limit for it".to_owned(),
        (Some(answer), _) if answer.turn == Turn::Full || answer.full == [true] => "no slot is free".to_owned(),
        (_, Some(wait)) if !wait.is_zero() => {
            // Milliseconds are no help to people.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let at = later(now, wait).round(Unit::Second).unwrap_or(Timestamp::MAX);
            format!("passes in {}, at {at}", in_words(seconds))
        }
        _ => "passes now".to_owned(),
    }
}

/// The two largest units of a time, such as `9 h 59 min`.
fn in_words(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let words = units[first..].iter().take(2).filter_map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count > 0 || seconds == 0).then(|| format!("{count} {name}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn bound(limit: &Limit) -> String {
    match &limit.kind {
        Kind::Rate { bounds, cost: Cost::Message } => of(bounds, |rate| rate.to_string()),
        Kind::Rate { bounds, cost: Cost::Bytes } => of(bounds, |rate| rate.show_bytes()),
        Kind::Slots(bounds) => of(bounds, |slots| format!("{slots} at once")),
    }
}

/// What holds for everybody; where there is only an exception, that one.
fn of<T: Copy>(bounds: &Bounds<T>, show: impl Fn(T) -> String) -> String {
    let only = bounds.exceptions.first().filter(|_| bounds.base.is_none()).and_then(|exception| exception.bound);
    bounds.base.or(only).map_or_else(|| "unlimited".to_owned(), show)
}

const fn exceptions(limit: &Limit) -> usize {
    match &limit.kind {
        Kind::Rate { bounds: Bounds { base: Some(_), exceptions }, .. } => exceptions.len(),
        Kind::Slots(Bounds { base: Some(_), exceptions }) => exceptions.len(),
        _ => 0,
    }
}

fn on_error(limit: &Limit) -> String {
    match limit.on_error {
        OnError::Local(share) => format!("local {share}"),
        other => other.name().to_owned(),
    }
}

fn expired(limit: &Limit) -> String {
    Expired::NAMED.iter().find(|(_, end)| *end == limit.expired).map_or("", |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_spelled_as_it_is_counted() {
        for (text, subject) in [
            ("client-ip= 192.0.2.7", Some("192.0.2.7")),
            ("client-ip=2001:db8::7", Some("2001:db8::/64")),
            ("client-ip=192.0.2.0/24", None),
            ("client-ip=mx.example.org", None),
            ("api-client=erp", Some("erp")),
            ("api-client=erp live", None),
            ("api-client=", None),
        ] {
            assert_eq!(key(text).ok().map(|key| key.subject).as_deref(), subject, "{text}");
        }
    }

    #[test]
    fn times_are_written_for_people() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (35_999, "9 h 59 min"),
            (86_400 * 2 + 59, "2 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
