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
    scanning::Item,
};

/// A processed mail.
#[derive(Debug, Serialize)]
pub struct MailProcessed<'a> {
    mail: &'a WorkId,
    tenant: &'a TenantId,
    destination: &'a str,
    envelope: Envelope<'a>,
    from: &'a [Mailbox],
    to: &'a [Mailbox],
    cc: &'a [Mailbox],
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
    scan: Scan,
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
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_name: Option<&'a str>,
    content_type: &'a str,
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
struct Scan {
    engine: String,
    database: Option<String>,
    /// Everything that is not clean.
    items: Vec<Item>,
    /// Positions of the parts whose content a policy left out, as the items have them.
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
            to: &mail.to,
            cc: &mail.cc,
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
                engine: scan.engine.engine.clone(),
                database: scan.engine.database.clone(),
                items: scan.items(),
                withheld: job.withheld.iter().copied().collect(),
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
    listed.map(|(i, part)| attachment(i, part, job)).collect()
}

fn attachment<'a>(i: usize, part: &'a Part, job: &'a DeliverJob) -> Attachment<'a> {
    let is_given = !job.withheld.contains(&i);
    let stored = job.mail.scan.stored.iter().filter(|stored| stored.part == i && is_given);
    Attachment {
        name: part.name.as_ref().map(|name| name.expose().as_str()),
        raw_name: part.raw_name.as_ref().map(|name| name.expose().as_str()),
        content_type: &part.content_type,
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
mod tests {
    use serde_json::{Value, json};
    use shared::{
        blobs::ETag,
        claim::Claim,
        clamav::{EngineVersion, Verdict},
    };

    use super::*;
    use crate::{
        jobs::{RouteJob, SmtpEnvelope, Source},
        mail::{limits::Limits, parse::parse},
        scanning::{Place, ScanReport, StoredPart},
    };

    const INVITED: &[u8] = b"From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
        --b\r\nContent-Type: text/calendar; name=a.ics\r\nContent-Disposition: attachment; filename=a.ics\r\n\r\n\
        BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:a secret\r\n\
        DTSTART:20261124T090000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n";

    /// The payload of a mail whose second part is infected, without the content of these parts.
    fn payload(withheld: &[usize]) -> Value {
        let mail = parse(INVITED, &Limits::default(), &[]).unwrap();
        let verdict = Verdict::Infected { signature: "Eicar".to_owned() };
        let engine = EngineVersion { engine: "ClamAV 1".to_owned(), database: None, built: None };
        let mut scan = ScanReport::new(engine, vec![Item { place: Place::Part { part: 1 }, verdict }]);
        scan.stored = vec![StoredPart { part: 1, key: "attachments/1/2".to_owned() }];
        let (bucket, key, etag) = ("local".to_owned(), "raw/1".to_owned(), ETag("1".to_owned()));
        let source = Source { bucket, key, etag, version: None, size: mail.raw.len };
        let envelope = SmtpEnvelope { from: None, to: Vec::new() };
        let parsed = Claim::inline(b"");
        let job = DeliverJob {
            mail: RouteJob { source, envelope, parsed, scan },
            destination: "hook".to_owned(),
            rules: Vec::new(),
            rules_version: String::new(),
            withheld: withheld.iter().copied().collect(),
        };
        let (work, tenant) = (WorkId::new("1").unwrap(), TenantId::default_tenant());
        serde_json::to_value(MailProcessed::of(&work, &tenant, &job, &mail)).unwrap()
    }

    #[test]
    fn nothing_of_a_withheld_part_is_handed_on() {
        let all = payload(&[]);
        assert_eq!(all["raw"]["key"], "raw/1");
        assert_eq!(all["attachments"][0]["key"], "attachments/1/2");
        assert_eq!(all["attachments"][0]["invitation"]["summary"], "a secret");
        let without = payload(&[1]);
        assert_eq!((&without["scan"]["withheld"], &without["text"]), (&json!([1]), &json!("hello")));
        assert_eq!((&without["raw"]["key"], &without["raw"]["size"]), (&Value::Null, &json!(INVITED.len())));
        let attached = &without["attachments"][0];
        assert_eq!((&attached["name"], &attached["verdict"]), (&json!("a.ics"), &json!("infected")));
        assert!(attached["key"].is_null() && attached.get("invitation").is_none(), "{attached:#}");
        assert!(!without.to_string().contains("secret"));
    }
}
