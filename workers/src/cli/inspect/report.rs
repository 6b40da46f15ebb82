//! An inspection for people: what would become of the mail and why, then what it is.

use std::fmt::Write;

use shared::pii::Pii;

use super::{Inspection, Judged, ScanResult, facts, forecast, senders, tree};
use crate::{
    auth::{Domain, evidence::TrustedHop},
    cli::{
        table::Table,
        terminal::{printable, quoted},
    },
    mail::{
        hex32,
        model::{IntentSource, Mailbox, ParsedMail},
    },
};

/// How much of a body is shown, in characters.
const SHOWN_TEXT: usize = 1_000;
/// How much of a header field is shown, in characters.
const SHOWN_FIELD: usize = 100;
/// How many mailboxes of a field are shown.
const SHOWN_MAILBOXES: usize = 10;

pub(super) fn text(inspection: &Inspection) -> String {
    let mut out = Report::default();
    out.line("end", &format!("{}: {}", inspection.end.end, inspection.end.why));
    out.line("tenant", inspection.tenant.as_str());
    out.envelope(inspection);
    out.scan(inspection);
    if let Some(decision) = &inspection.decision {
        let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.as_str()).collect();
        out.line("rules", &if rules.is_empty() { "none matched".to_owned() } else { rules.join(", ") });
    }
    let Some(mail) = &inspection.mail else { return out.finish() };
    out.mail(mail);
    if let Some(results) = &mail.authentication {
        out.heading(&format!("sender: {}", results.aligned_domain().map_or("not authenticated", Domain::expose)));
        out.item(&client(inspection.hop.as_ref()));
        senders::lines(results).iter().for_each(|line| out.item(line));
    }
    out.findings(&inspection.findings);
    out.heading("structure");
    tree::lines(mail).iter().for_each(|line| out.item(line));
    let attachments = facts::attachments(mail);
    if !attachments.is_empty() {
        out.heading("attachments and inline parts");
        attachments.iter().for_each(|line| out.item(line));
    }
    out.heading(&format!("header fields, {}", mail.headers.len()));
    for field in &mail.headers {
        out.item(&format!("{}: {}", field.name, shortened(field.value.expose(), SHOWN_FIELD)));
    }
    out.body("text", mail.text.as_ref());
    if let Some(reply) = &mail.reply {
        out.body("reply, without quotes and signature", Some(reply));
    }
    out.body("html, sanitised", mail.html.as_ref());
    if let Some(removed) = facts::removed(&mail.html_removed) {
        out.heading(&format!("removed from the html: {removed}"));
    }
    out.finish()
}

#[derive(Default)]
struct Report(String);

impl Report {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{}", format!("{name:<12}{}", printable(value)).trim_end());
    }

    fn item(&mut self, value: &str) {
        let _ = writeln!(self.0, "{}", format!("  {}", printable(value)).trim_end());
    }

    fn heading(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n{name}");
    }

    fn finish(self) -> String {
        self.0.trim_end().to_owned()
    }

    fn envelope(&mut self, inspection: &Inspection) {
        let envelope = &inspection.envelope;
        if let Some(from) = &envelope.from {
            self.line("mail from", &format!("<{}>", from.expose()));
        }
        for to in &envelope.to {
            self.line("rcpt to", &format!("<{}>", to.expose()));
        }
    }

    fn scan(&mut self, inspection: &Inspection) {
        match (&inspection.scan, &inspection.mail) {
            (ScanResult::Done(scanned), Some(mail)) => {
                let engine = &scanned.report.engine;
                let database = engine.database.as_deref().unwrap_or("without a version");
                let by = format!("by {}, signatures {database}", engine.engine);
                self.line("scan", &format!("{}, {by}", scanned.report.verdict().name()));
                scanned.report.items().iter().for_each(|found| self.item(&forecast::item(mail, found)));
            }
            (ScanResult::Done(scanned), None) => self.line("scan", scanned.report.verdict().name()),
            (ScanResult::NotDone(why), _) => self.line("scan", &format!("not scanned: {why}")),
        }
    }

    fn mail(&mut self, mail: &ParsedMail) {
        self.0.push('\n');
        for (name, mailboxes) in [
            ("from", &mail.from),
            ("sender", &mail.sender),
            ("reply-to", &mail.reply_to),
            ("to", &mail.to),
            ("cc", &mail.cc),
            ("bcc", &mail.bcc),
        ] {
            if !mailboxes.is_empty() {
                self.line(name, &several(mailboxes));
            }
        }
        let optional = |value: &Option<Pii<String>>| value.as_ref().map_or("", |value| value.expose()).to_owned();
        let optional =
            |value: &Option<Pii<String>>| Some(optional(value)).filter(|v| !v.is_empty()).unwrap_or("-".into());
        self.line("subject", &optional(&mail.subject));
        self.line("date", &mail.date.map_or_else(|| "-".to_owned(), |date| date.to_string()));
        self.line("message-id", &optional(&mail.message_id));
        if let Some(intent) = &mail.intent {
            let argument = intent.argument.as_ref().map_or("", |argument| argument.expose());
            let source = match intent.source {
                IntentSource::Recipient => "the recipient",
                IntentSource::Subject => "the subject",
                IntentSource::Body => "the body",
            };
            let argument = if argument.is_empty() { String::new() } else { format!(" {}", quoted(argument)) };
            self.line("command", &format!("{}{argument}, from {source}", intent.command));
        }
        self.line("size", &tree::size(mail.raw.len));
        self.line("sha256", &hex32::encode(&mail.raw.sha256));
    }

    /// The strictest first, as they decide.
    fn findings(&mut self, findings: &[Judged]) {
        if findings.is_empty() {
            return self.heading("findings: none");
        }
        self.heading(&format!("findings, {}", findings.len()));
        let mut sorted: Vec<&Judged> = findings.iter().collect();
        sorted.sort_by_key(|judged| std::cmp::Reverse(judged.action));
        let mut table = Table::new(["ACTION", "SEVERITY", "WHERE", "FINDING", "WHAT"]);
        for Judged { finding, action } in sorted {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let what = finding.code.what().to_owned();
            table.row([action.name().to_owned(), severity, finding.place.clone(), finding.code.name(), what]);
        }
        table.to_string().lines().for_each(|line| self.item(line));
    }

    fn body(&mut self, name: &str, body: Option<&Pii<String>>) {
        let Some(body) = body.map(Pii::expose) else { return self.heading(&format!("{name}: none")) };
        self.heading(&format!("{name}, {}", tree::size(body.len() as u64)));
        let shown: String = body.chars().take(SHOWN_TEXT).collect();
        shown.trim_end().lines().for_each(|line| self.item(line));
        if shown.len() < body.len() {
            self.item("…");
        }
    }
}

/// The client that handed the mail over, as far as a trusted server tells.
fn client(hop: Option<&TrustedHop>) -> String {
    let Some(hop) = hop else {
        return "client unknown: no trusted server wrote it down on top".to_owned();
    };
    let from = hop.mail_from.as_ref().map_or(String::new(), |from| format!(", MAIL FROM <{}>", from.expose()));
    match &hop.client {
        Some(client) => format!("client {}, HELO {}{from}", client.ip.expose(), client.helo.expose()),
        None => format!("client unknown: the trusted server's line cannot be read{from}"),
    }
}

fn several(mailboxes: &[Mailbox]) -> String {
    let mut shown: Vec<String> = mailboxes.iter().take(SHOWN_MAILBOXES).map(mailbox).collect();
    let left = mailboxes.len() - shown.len();
    shown.extend((left > 0).then(|| format!("and {left} more")));
    shown.join(", ")
}

fn mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        Some(name) if name.expose().contains([',', '<', '>', '@', ';', '"']) => {
            format!("{} <{}>", quoted(name.expose()), mailbox.address.expose())
        }
        Some(name) => format!("{} <{}>", name.expose(), mailbox.address.expose()),
        None => mailbox.address.expose().clone(),
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}
