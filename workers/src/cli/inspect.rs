//! `mailtri inspect`: what would become of one mail, sending nothing and storing nothing.

mod facts;
mod forecast;
mod numbered;
mod report;
mod senders;
mod tree;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use shared::{clamav::EngineVersion, ids::TenantId, pii::Pii};

use super::{ConfigArg, boot, error::CommandError, output};
use crate::{
    admission::{Admission, Entry, Stop},
    auth::{Gate, evidence::TrustedHop},
    content::RawMail,
    findings::Action,
    fleet, intake,
    jobs::SmtpEnvelope,
    mail::model::{Finding, ParsedMail},
    rules::{Decision, Facts},
    sandbox::Sandbox,
    scanning::{Handling, Noted, ScanReport, Try},
    settings::Settings,
};
use forecast::Forecast;

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
    envelope: SmtpEnvelope,
    end: Forecast,
    /// What was noticed, and what each does to the mail.
    findings: Vec<Judged>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "numbered::mail")]
    mail: Option<Box<ParsedMail>>,
    /// The session with the outside, as a trusted server wrote it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    hop: Option<TrustedHop>,
    scan: ScanResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
}

/// A finding with its consequence.
#[derive(Debug, Serialize)]
struct Judged {
    #[serde(flatten)]
    finding: Finding,
    action: Action,
}

/// What the scanner said, or why it said nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ScanResult {
    Done(Box<Scanned>),
    NotDone(String),
}

/// What a scanner said.
#[derive(Debug, Serialize)]
struct Scanned {
    verdict: &'static str,
    engine: EngineVersion,
    /// Everything that is not clean, as a payload has it.
    items: Vec<Noted>,
    #[serde(skip)]
    report: ScanReport,
}

impl Scanned {
    fn of(report: ScanReport, mail: &ParsedMail) -> Self {
        let items = report.items().into_iter().map(|item| item.noted(mail)).collect();
        Self { verdict: report.verdict().name(), engine: report.engine.clone(), items, report }
    }
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
    intake::check(&raw, max).map_err(|error| CommandError::data(format!("{name}: {error}")))?;
    Ok(raw.into())
}

async fn inspect(args: &InspectArgs, settings: &Settings, raw: Bytes) -> Result<Inspection, CommandError> {
    let bare = |address: &String| Pii::new(address.trim_matches(['<', '>', ' ']).to_owned());
    let envelope = SmtpEnvelope { from: args.from.as_ref().map(bare), to: args.to.iter().map(bare).collect() };
    let tenant = settings.tenants.of(&envelope);
    let admission = Admission::new(settings);
    let arrival = admission.arrive(tenant.as_str(), envelope, None);
    let sandbox = Arc::new(fleet::start_sandbox(settings).await.map_err(CommandError::failed)?);
    let mut inspection = Inspection::new(tenant, arrival.envelope.clone());
    let mut mail = match sandbox.parse(raw.clone(), arrival.envelope.to.clone()).await {
        Ok(Ok(mail)) => Box::new(mail),
        Ok(Err(refusal)) => return Ok(inspection.stopped(&Stop::refused(&refusal))),
        Err(error) => {
            let stop = Stop::poisoned(&error).ok_or_else(|| CommandError::failed(error))?;
            return Ok(inspection.stopped(&stop));
        }
    };
    inspection.hop = mail.evidence.as_ref().and_then(|evidence| evidence.hop.clone());
    let gate = Gate::new(&settings.authentication).map_err(CommandError::failed)?;
    let tenant = inspection.tenant.as_str();
    let entry = admission.enter(tenant, &arrival, (&raw, &mut mail), &gate, &sandbox).await;
    let entry = entry.map_err(CommandError::failed)?;
    if mail.authentication.is_none() {
        // The fleet does not ask about the sender of a mail that it stops; whoever looks at it may want to know.
        let _ = gate.pass(&mut mail, &raw, &arrival.envelope, None, &sandbox).await.map_err(CommandError::failed)?;
    }
    let judged = |finding: Finding| Judged { action: admission.action(inspection.tenant.as_str(), &finding), finding };
    inspection.findings = mail.findings.iter().cloned().map(judged).collect();
    // A mail that the envelope refuses is not read in the fleet; here it is shown all the same.
    match arrival.refused.map_or(entry, Entry::Stopped) {
        Entry::Stopped(stop) => Ok(Inspection { mail: Some(mail), ..inspection.stopped(&stop) }),
        Entry::Deferred => Ok(Inspection { mail: Some(mail), end: Forecast::deferred(), ..inspection }),
        Entry::Admitted => Ok(inspection.scanned_and_routed(settings, &sandbox, raw, mail).await),
    }
}

impl Inspection {
    fn new(tenant: TenantId, envelope: SmtpEnvelope) -> Self {
        let scan = ScanResult::NotDone("the mail goes no further".to_owned());
        let (end, findings) = (Forecast::default(), Vec::new());
        Self { tenant, envelope, end, findings, mail: None, hop: None, scan, decision: None }
    }

    fn stopped(self, stop: &Stop) -> Self {
        Self { end: Forecast::stopped(stop), ..self }
    }

    async fn scanned_and_routed(
        mut self,
        settings: &Settings,
        sandbox: &Arc<Sandbox>,
        raw: Bytes,
        mail: Box<ParsedMail>,
    ) -> Self {
        let scanning = fleet::scanning(settings, &fleet::clamds(settings), sandbox);
        self.scan = match scanning.scan(&RawMail::Inline(raw), &mail, Try::First).await {
            Ok(report) => ScanResult::Done(Box::new(Scanned::of(report, &mail))),
            Err(error) => ScanResult::NotDone(error.to_string()),
        };
        let report = match &self.scan {
            ScanResult::Done(scanned) => Some(&scanned.report),
            ScanResult::NotDone(_) => None,
        };
        let verdict = report.map_or("error", |report| report.verdict().name());
        let decision = settings.rules.decide(&Facts::of(&mail, &self.envelope, verdict, self.tenant.as_str()));
        let policy = settings.scan.policies.of(&self.tenant, &decision.policies);
        let handling = report.map(|report| Handling::of(report, &policy));
        self.end = Forecast::routed(&decision.outcome, handling.as_ref(), &mail);
        Self { mail: Some(mail), decision: Some(decision), ..self }
    }
}
