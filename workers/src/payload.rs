//! What a destination gets to see of a mail: the `data` of `mail.processed`.
//!
//! Made from what was parsed, sanitised and scanned only; raw HTML never leaves.

use jiff::Timestamp;
use serde::Serialize;
use shared::ids::{TenantId, WorkId, hex};

use crate::{
    auth::{Authentication, header},
    jobs::DeliverJob,
    mail::{
        facts::Facts,
        model::{Digest, Disposition, Finding, FindingCode, Intent, IntentSource, Mailbox, ParsedMail, Part, PartRole},
        sanitise::Removed,
    },
    scanning::Noted,
};

/// A processed mail.
#[derive(Debug, Serialize)]
pub struct MailProcessed<'a> {
    mail: &'a WorkId,
    tenant: &'a TenantId,
    destination: &'a str,
    envelope: Envelope<'a>,
    from: &'a [Mailbox],
    sender: &'a [Mailbox],
    to: &'a [Mailbox],
    cc: &'a [Mailbox],
    bcc: &'a [Mailbox],
    reply_to: &'a [Mailbox],
    subject: Option<&'a str>,
    date: Option<Timestamp>,
    message_id: Option<&'a str>,
    text: Option<&'a str>,
    reply: Option<&'a str>,
    html: Option<&'a str>,
    html_removed: Removed,
    attachments: Vec<Attachment<'a>>,
    raw: Raw<'a>,
    verdict: &'static str,
    scan: Scan<'a>,
    findings: &'a [Finding],
    tags: &'a [FindingCode],
    intent: Option<&'a Intent>,
    authentication: Option<Authenticated<'a>>,
    rules: &'a [String],
}

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    from: Option<&'a str>,
    to: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct Attachment<'a> {
    /// Its number among all parts, from 1: what `scan` and `findings` call it.
    part: usize,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_name: Option<&'a str>,
    content_type: &'a str,
    /// The type that its first bytes are of, where they are known.
    detected_type: Option<&'a str>,
    content_id: Option<&'a str>,
    disposition: Option<Disposition>,
    /// The HTML shows it, as `cid:` and its `content_id`.
    shown_in_html: bool,
    /// What was read in its content; nothing where that is left out.
    #[serde(flatten)]
    facts: Option<&'a Facts>,
    size: u64,
    sha256: String,
    /// Where its content is; without one where a policy left it out.
    key: Option<&'a str>,
    /// The worst verdict on it and its members.
    verdict: &'static str,
}

/// What the scan said, place by place.
#[derive(Debug, Serialize)]
struct Scan<'a> {
    engine: &'a str,
    database: Option<&'a str>,
    /// Everything that is not clean.
    items: Vec<Noted>,
    /// The numbers of the parts whose content a policy left out.
    withheld: Vec<usize>,
}

/// The results about the sender, and the same as the value of a header field.
#[derive(Debug, Serialize)]
struct Authenticated<'a> {
    #[serde(flatten)]
    results: &'a Authentication,
    header: String,
}

impl<'a> Authenticated<'a> {
    fn of(results: &'a Authentication) -> Self {
        Self { results, header: header::value(results) }
    }
}

#[derive(Debug, Serialize)]
struct Raw<'a> {
    /// Where it is; without one where a policy left out a part: it has that, too.
    key: Option<&'a str>,
    size: u64,
    sha256: String,
}

impl<'a> MailProcessed<'a> {
    /// The data of one mail for one destination.
    #[must_use]
    pub fn of(work: &'a WorkId, tenant: &'a TenantId, job: &'a DeliverJob, mail: &'a ParsedMail) -> Self {
        let envelope = &job.mail.envelope;
        let scan = &job.mail.scan;
        // Text and HTML are made of the body's parts.
        let bodied = !job.withheld.iter().any(|i| mail.parts.get(*i).is_none_or(|part| part.role == PartRole::Body));
        Self {
            mail: work,
            tenant,
            destination: &job.destination,
            envelope: Envelope {
                from: envelope.from.as_ref().map(|from| from.expose().as_str()),
                to: envelope.to.iter().map(|to| to.expose().as_str()).collect(),
            },
            from: &mail.from,
            sender: &mail.sender,
            to: &mail.to,
            cc: &mail.cc,
            bcc: &mail.bcc,
            reply_to: &mail.reply_to,
            subject: mail.subject.as_ref().map(|subject| subject.expose().as_str()),
            date: mail.date,
            message_id: mail.message_id.as_ref().map(|id| id.expose().as_str()),
            text: mail.text.as_ref().filter(|_| bodied).map(|text| text.expose().as_str()),
            reply: mail.reply.as_ref().filter(|_| bodied).map(|reply| reply.expose().as_str()),
            html: mail.html.as_ref().filter(|_| bodied).map(|html| html.expose().as_str()),
            html_removed: mail.html_removed,
            attachments: attachments(job, mail),
            raw: raw(job, mail.raw),
            verdict: scan.verdict().name(),
            scan: Scan {
                engine: &scan.engine.engine,
                database: scan.engine.database.as_deref(),
                items: scan.items().into_iter().map(|item| item.noted(mail)).collect(),
                withheld: job.withheld.iter().map(|part| mail.number(*part)).collect(),
            },
            findings: &mail.findings,
            tags: &mail.tags,
            intent: mail.intent.as_ref().filter(|intent| bodied || intent.source != IntentSource::Body),
            authentication: mail.authentication.as_deref().map(Authenticated::of),
            rules: &job.rules,
        }
    }
}

/// Every attachment and inline part, those too whose content is left out.
fn attachments<'a>(job: &'a DeliverJob, mail: &'a ParsedMail) -> Vec<Attachment<'a>> {
    let listed = mail.parts.iter().enumerate().filter(|(_, part)| part.role != PartRole::Body);
    listed.map(|(i, part)| attachment(mail.number(i), i, part, job)).collect()
}

fn attachment<'a>(number: usize, i: usize, part: &'a Part, job: &'a DeliverJob) -> Attachment<'a> {
    let is_given = !job.withheld.contains(&i);
    let stored = job.mail.scan.stored.iter().filter(|stored| stored.part == i && is_given);
    Attachment {
        part: number,
        name: part.name.as_ref().map(|name| name.expose().as_str()),
        raw_name: part.raw_name.as_ref().map(|name| name.expose().as_str()),
        content_type: &part.content_type,
        detected_type: part.detected_type.as_deref(),
        content_id: part.content_id.as_ref().map(|id| id.expose().as_str()),
        disposition: part.disposition,
        shown_in_html: part.is_shown,
        facts: is_given.then_some(&part.facts),
        size: part.content.len,
        sha256: hex(&part.content.sha256),
        key: stored.map(|stored| stored.key.as_str()).next(),
        verdict: job.mail.scan.verdict_on(i).map_or("clean", |verdict| verdict.name()),
    }
}

fn raw(job: &DeliverJob, digest: Digest) -> Raw<'_> {
    let key = job.withheld.is_empty().then_some(job.mail.source.key.as_str());
    Raw { key, size: digest.len, sha256: hex(&digest.sha256) }
}

#[cfg(test)]
mod tests;
