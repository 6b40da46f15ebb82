//! `mailtri inspect`: what would become of one mail, sending nothing and storing nothing.

mod report;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use shared::{ids::TenantId, pii::Pii};

use super::{ConfigArg, boot, error::CommandError, output};
use crate::{
    content::RawMail,
    fleet,
    intake::begins_like_a_mail,
    jobs::SmtpEnvelope,
    mail::{
        model::{ParsedMail, Severity},
        parse::Refusal,
    },
    rules::{Decision, Facts, Outcome},
    sandbox::{Sandbox, SandboxError},
    scanning::{Handling, ScanReport, Try},
    settings::Settings,
};

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A file with one mail, or - for standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The envelope's sender (MAIL FROM)
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// An envelope recipient (RCPT TO); may be repeated
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Everything that is found out about a mail.
#[derive(Debug, Serialize)]
struct Inspection {
    tenant: TenantId,
    end: Forecast,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<Box<ParsedMail>>,
    scan: ScanResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
}

/// What would become of it.
#[derive(Debug, Serialize)]
struct Forecast {
    end: &'static str,
    why: String,
}

/// What the scanner said, or why it said nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ScanResult {
    Done(ScanReport),
    NotDone(String),
}

pub(super) fn run(args: &InspectArgs) -> Result<(), CommandError> {
    let (settings, _) = args.config.load()?;
    let raw = read(&args.path, settings.limits.max_mail)?;
    let inspection = boot::block_on(inspect(args, &settings, raw))?;
    if args.json { output::json(&inspection) } else { output::line(report::text(&inspection)) }
}

fn read(path: &Path, max: u64) -> Result<Bytes, CommandError> {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let mut raw = Vec::new();
    let limit = max.saturating_add(1);
    let read = if path.as_os_str() == "-" {
        io::stdin().take(limit).read_to_end(&mut raw)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut raw))
    };
    read.map_err(|error| CommandError::no_input(format!("{name}: {error}")))?;
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(CommandError::data(format!("{name}: the mail is empty")));
    }
    if raw.len() as u64 > max {
        return Err(CommandError::data(format!("{name}: more than the {max} bytes that limits.max_mail allows")));
    }
    if !begins_like_a_mail(&raw) {
        return Err(CommandError::data(format!("{name}: this is not a mail: it does not begin with a header field")));
    }
    Ok(raw.into())
}

async fn inspect(args: &InspectArgs, settings: &Settings, raw: Bytes) -> Result<Inspection, CommandError> {
    let to = args.to.iter().cloned().map(Pii::new).collect();
    let envelope = SmtpEnvelope { from: args.from.clone().map(Pii::new), to };
    let tenant = settings.tenants.of(&envelope);
    let sandbox = Arc::new(fleet::start_sandbox(settings).await.map_err(CommandError::failed)?);
    let not_scanned = ScanResult::NotDone("the mail goes no further".to_owned());
    let quarantined = |why: String| Forecast { end: "quarantined", why };
    let mail = match sandbox.parse(raw.clone(), envelope.to.clone()).await {
        Ok(Ok(mail)) => Box::new(mail),
        Ok(Err(Refusal { code, .. })) => {
            let end = quarantined(format!("not a mail that can be read: {code}"));
            return Ok(Inspection { tenant, end, mail: None, scan: not_scanned, decision: None });
        }
        Err(error @ SandboxError::Poisoned { .. }) => {
            let end = quarantined(error.to_string());
            return Ok(Inspection { tenant, end, mail: None, scan: not_scanned, decision: None });
        }
        Err(error) => return Err(CommandError::failed(error)),
    };
    if let Some(finding) = mail.findings.iter().find(|finding| finding.severity == Severity::Ambiguous) {
        let end = quarantined(format!("ambiguous: {} in {}", finding.code.name(), finding.place));
        return Ok(Inspection { tenant, end, mail: Some(mail), scan: not_scanned, decision: None });
    }
    let scan = scan(settings, &sandbox, raw, &mail).await;
    let verdict = match &scan {
        ScanResult::Done(report) => report.verdict().name(),
        ScanResult::NotDone(_) => "error",
    };
    let decision = settings.rules.decide(&Facts::of(&mail, &envelope, verdict, tenant.as_str()));
    let policy = settings.scan.policies.of(&tenant, decision.scan);
    let end = match &scan {
        ScanResult::Done(report) => forecast(&decision.outcome, Some(&Handling::of(report, &policy))),
        ScanResult::NotDone(_) => forecast(&decision.outcome, None),
    };
    Ok(Inspection { tenant, end, mail: Some(mail), scan, decision: Some(decision) })
}

fn forecast(outcome: &Outcome, handling: Option<&Handling>) -> Forecast {
    let (end, why) = match (outcome, handling) {
        (Outcome::Reject { reason }, _) => ("rejected", reason.clone()),
        (Outcome::Drop { reason }, _) => ("dropped", reason.clone()),
        (Outcome::Quarantine { reason }, _) => ("quarantined", reason.clone()),
        (Outcome::Deliver(_), Some(Handling::Deliver { withheld })) if withheld.is_empty() => {
            ("delivered", destinations(outcome))
        }
        (Outcome::Deliver(_), Some(Handling::Deliver { withheld })) => {
            let parts: Vec<String> = withheld.iter().map(ToString::to_string).collect();
            ("delivered", format!("{}, without part {}", destinations(outcome), parts.join(", ")))
        }
        (Outcome::Deliver(_), Some(Handling::Defer(item))) => ("quarantined", format!("{item}, after some hours")),
        (Outcome::Deliver(_), Some(Handling::Quarantine(item))) => ("quarantined", item.to_string()),
        (Outcome::Deliver(_), Some(Handling::Reject(item))) => ("rejected", item.to_string()),
        (Outcome::Deliver(_), None) => ("delivered", format!("{}, if the scan finds it clean", destinations(outcome))),
    };
    Forecast { end, why }
}

fn destinations(outcome: &Outcome) -> String {
    let Outcome::Deliver(destinations) = outcome else { return String::new() };
    let names: Vec<&str> = destinations.iter().map(|name| name.as_str()).collect();
    format!("to {}", names.join(", "))
}

async fn scan(settings: &Settings, sandbox: &Arc<Sandbox>, raw: Bytes, mail: &ParsedMail) -> ScanResult {
    match fleet::scanning(settings, &fleet::clamds(settings), sandbox)
        .scan(&RawMail::Inline(raw), mail, Try::default())
        .await
    {
        Ok(report) => ScanResult::Done(report),
        Err(error) => ScanResult::NotDone(error.to_string()),
    }
}
