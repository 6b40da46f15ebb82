//! An inspection for people.

use std::fmt::Write;

use shared::pii::Pii;

use super::{Inspection, ScanResult};
use crate::{
    mail::{
        hex32,
        model::{Mailbox, ParsedMail, Part},
    },
    scanning::{Item, Place},
};

/// How much of the text is shown, in characters.
const SHOWN_TEXT: usize = 1000;

pub(super) fn text(inspection: &Inspection) -> String {
    let mut out = Report::default();
    out.line("end", &format!("{}: {}", inspection.end.end, inspection.end.why));
    out.line("tenant", inspection.tenant.as_str());
    match &inspection.scan {
        ScanResult::Done(report) => {
            out.line("scan", report.verdict().name());
            report.items().iter().for_each(|found| out.item(&item(found)));
        }
        ScanResult::NotDone(why) => out.line("scan", &format!("not scanned: {why}")),
    }
    if let Some(decision) = &inspection.decision {
        let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.as_str()).collect();
        out.line("rules", if rules.is_empty() { "none matched" } else { "" });
        rules.iter().for_each(|rule| out.item(rule));
    }
    if let Some(mail) = &inspection.mail {
        out.mail(mail);
    }
    out.0.trim_end().to_owned()
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

    fn mail(&mut self, mail: &ParsedMail) {
        self.line("size", &format!("{} bytes, sha256 {}", mail.raw.len, hex32::encode(&mail.raw.sha256)));
        let optional = |value: &Option<Pii<String>>| value.as_ref().map_or("-", |value| value.expose()).to_owned();
        self.line("message-id", &optional(&mail.message_id));
        self.line("date", &mail.date.map_or_else(|| "-".to_owned(), |date| date.to_string()));
        for (name, mailboxes) in
            [("from", &mail.from), ("reply-to", &mail.reply_to), ("to", &mail.to), ("cc", &mail.cc)]
        {
            if !mailboxes.is_empty() {
                self.line(name, &mailboxes.iter().map(mailbox).collect::<Vec<_>>().join(", "));
            }
        }
        self.line("subject", &optional(&mail.subject));
        if let Some(intent) = &mail.intent {
            let argument = intent.argument.as_ref().map_or("", |argument| argument.expose());
            self.line("command", &format!("{} {argument}", intent.command));
        }
        self.line("findings", if mail.findings.is_empty() { "none" } else { "" });
        for finding in &mail.findings {
            self.item(&format!("{:?}: {} in {}", finding.severity, finding.code.name(), finding.place).to_lowercase());
        }
        self.line("parts", "");
        mail.parts.iter().enumerate().for_each(|(i, p)| self.item(&format!("{i}  {}", part(p))));
        self.body("text", mail.text.as_ref());
        self.body("html", mail.html.as_ref());
    }

    fn body(&mut self, name: &str, body: Option<&Pii<String>>) {
        let Some(body) = body.map(Pii::expose) else { return self.line(name, "-") };
        self.line(name, &format!("{} bytes", body.len()));
        let shown: String = body.chars().take(SHOWN_TEXT).collect();
        shown.lines().for_each(|line| self.item(line));
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

fn item(item: &Item) -> String {
    match &item.place {
        Place::Member { path, .. } => format!("{item}: {}", path.expose()),
        _ => item.to_string(),
    }
}

fn part(part: &Part) -> String {
    let name = part.name.as_ref().map(|name| format!(" {:?}", name.expose())).unwrap_or_default();
    let role = format!("{:?}", part.role).to_lowercase();
    format!(
        "{role} {}{name}, {} bytes, sha256 {}",
        part.content_type,
        part.content.len,
        hex32::encode(&part.content.sha256)
    )
}

/// Nothing in a mail controls the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
