//! An inspection for people: what would become of the mail and why, then what it is.

use std::fmt::Write;

use shared::pii::Pii;

use super::{Inspection, Judged, ScanResult, forecast, tree};
use crate::auth::{
    Authentication, Domain,
    results::{DkimResult, DmarcResult, SpfResult, Why},
};
use crate::{
    cli::table::Table,
    mail::{
        hex32,
        model::{IntentSource, Mailbox, ParsedMail},
    },
};

/// How much of a body is shown, in characters.
const SHOWN_TEXT: usize = 1_000;
/// How much of a header field is shown, in characters.
const SHOWN_FIELD: usize = 100;

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
    out.findings(&inspection.findings);
    out.heading("structure");
    tree::lines(mail).iter().for_each(|line| out.item(line));
    out.heading(&format!("header, {} fields", mail.headers.len()));
    for field in &mail.headers {
        out.item(&format!("{}: {}", field.name, shortened(field.value.expose(), SHOWN_FIELD)));
    }
    out.body("text", mail.text.as_ref());
    out.body("html, sanitised", mail.html.as_ref());
    out.finish()
}

#[derive(Default)]
struct Report(String);

impl Report {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{name:<12}{}", printable(value));
    }

    fn item(&mut self, value: &str) {
        let _ = writeln!(self.0, "  {}", printable(value));
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
            (ScanResult::Done(report), Some(mail)) => {
                self.line("scan", report.verdict().name());
                report.items().iter().for_each(|found| self.item(&forecast::item(mail, found)));
            }
            (ScanResult::Done(report), None) => self.line("scan", report.verdict().name()),
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
                self.line(name, &mailboxes.iter().map(mailbox).collect::<Vec<_>>().join(", "));
            }
        }
        let optional = |value: &Option<Pii<String>>| value.as_ref().map_or("-", |value| value.expose()).to_owned();
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
            self.line("command", &format!("{} {argument:?}, from {source}", intent.command));
        }
        if let Some(results) = &mail.authentication {
            self.authentication(results);
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

    fn authentication(&mut self, results: &Authentication) {
        let name = |domain: &Option<Domain>| domain.as_ref().map_or(String::new(), |d| format!(" {}", d.expose()));
        let because = |why: Option<Why>| why.map_or(String::new(), |why| format!(" ({})", why.name()));
        let Authentication { spf, dkim, dmarc, arc, .. } = results;
        self.line("sender", results.aligned_domain().map_or("not authenticated", |domain| domain.expose()));
        self.item(&format!("spf {}{}{}", spf.result.name(), name(&spf.domain), because(spf.why)));
        for dkim in dkim {
            self.item(&format!("dkim {}{}{}", dkim.result.name(), name(&dkim.domain), because(dkim.why)));
        }
        let policy = dmarc.policy.map_or(String::new(), |policy| format!(", its policy is {}", policy.name()));
        self.item(&format!("dmarc {}{}{}{policy}", dmarc.result.name(), name(&results.author), because(dmarc.why)));
        self.item(&format!("arc {}{}{}", arc.result.name(), name(&arc.sealer), because(arc.why)));
        if let Some(reported) = &results.reported {
            let word =
                |method: &str, word: Option<&str>| word.map_or(String::new(), |word| format!(" {method}={word}"));
            let results = [
                word("spf", reported.spf.map(SpfResult::name)),
                word("dkim", reported.dkim.map(DkimResult::name)),
                word("dmarc", reported.dmarc.map(DmarcResult::name)),
            ];
            self.item(&format!("reported by {}:{}", reported.by, results.concat()));
        }
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

fn mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        Some(name) => format!("{} <{}>", name.expose(), mailbox.address.expose()),
        None => mailbox.address.expose().clone(),
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// Nothing in a mail controls the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
