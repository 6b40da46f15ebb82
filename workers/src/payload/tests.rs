//! What a receiver gets of a mail, field by field.

use base64::{Engine, prelude::BASE64_STANDARD};
use shared::{
    blobs::ETag,
    clamav::{EngineVersion, Verdict},
    pii::Pii,
};

use super::*;
use crate::{
    jobs::{RouteJob, SmtpEnvelope, Source},
    mail::{limits::Limits, parse::parse},
    scanning::{Item, Place, ScanReport, StoredPart},
};

const GIF: &[u8] = b"GIF89a\x0a\0\x14\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const ICS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:42@a.example\r\nSEQUENCE:1\r\n\
    SUMMARY:Lunch\r\nLOCATION:Canteen\r\nDTSTART;TZID=Europe/Berlin:20261105T120000\r\nDTEND;TZID=Europe/Berlin:20261105T130000\r\n\
    RRULE:FREQ=WEEKLY\r\nORGANIZER:mailto:ada@a.example\r\nATTENDEE:mailto:b@a.example\r\nATTENDEE:mailto:c@a.example\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";

/// A mail with everything that attachments are described by.
fn raw() -> String {
    let part = |fields: &str, content: &[u8]| {
        format!("--o\r\n{fields}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", BASE64_STANDARD.encode(content))
    };
    [
        "From: Ada <\"ada l\"@a.example>\r\nTo: task+notion@b.example\r\nSubject: Lunch\r\nMessage-ID: <1@a.example>\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
         --o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain\r\n\r\nLunch?\r\n\
         --i\r\nContent-Type: text/html\r\n\r\n<p>Lunch?<img src=\"cid:logo@a\"><script>x</script></p>\r\n--i--\r\n"
            .to_owned(),
        part("Content-Type: image/gif; name=logo.gif\r\nContent-Disposition: inline\r\nContent-ID: <logo@a>", GIF),
        part("Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../bill.pdf\"", b"PK\x03\x04 locked"),
        part("Content-Type: text/calendar; method=REQUEST\r\nContent-Disposition: attachment; filename=\"in\"", ICS.as_bytes()),
        part("Content-Type: application/octet-stream\r\nContent-Disposition: attachment", b"\0\x01\x02"),
        "--o--\r\n".to_owned(),
    ]
    .concat()
}

/// The job that delivers it: the second part is encrypted and left out.
fn job(mail: &ParsedMail) -> DeliverJob {
    let engine = EngineVersion { engine: "ClamAV 1.4.3".to_owned(), database: Some("27500".to_owned()), built: None };
    let encrypted = Verdict::Encrypted { reason: "zip".to_owned() };
    let member = Place::Member { part: 3, path: Pii::new("secret.doc".to_owned()) };
    let items = [Place::Raw, Place::Part { part: 3 }, member];
    let items = items.map(|place| Item { place, verdict: encrypted.clone() });
    let mut scan = ScanReport::new(engine, items.to_vec());
    scan.stored = [2, 4, 5].map(|part| StoredPart { part, key: format!("attachments/{part}") }).to_vec();
    let route = RouteJob {
        source: Source {
            bucket: "local".to_owned(),
            key: "raw/1".to_owned(),
            etag: ETag("x".to_owned()),
            version: None,
            size: mail.raw.len,
        },
        envelope: SmtpEnvelope {
            from: Some(Pii::new("ada@a.example".to_owned())),
            to: vec![Pii::new("task+notion@b.example".to_owned())],
        },
        parsed: shared::claim::Claim::inline(&serde_json::to_vec(mail).unwrap()),
        scan,
    };
    DeliverJob {
        mail: route,
        destination: "hook".to_owned(),
        rules: vec!["all".to_owned()],
        rules_version: "1".to_owned(),
        withheld: [3].into(),
    }
}

#[test]
fn every_fact_of_an_attachment_is_told() {
    let raw = raw();
    let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
    let (work, tenant, job) = (WorkId::derive(&[b"1"]), TenantId::default_tenant(), job(&mail));
    let data = MailProcessed::of(&work, &tenant, &job, &mail);
    insta::assert_json_snapshot!(data);
}

#[test]
fn parts_have_one_number_in_attachments_scan_and_findings() {
    let raw = raw();
    let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
    let (work, tenant, job) = (WorkId::derive(&[b"1"]), TenantId::default_tenant(), job(&mail));
    let data = serde_json::to_value(MailProcessed::of(&work, &tenant, &job, &mail)).unwrap();
    let zip = &data["attachments"][1];
    assert_eq!((&zip["part"], &zip["detected_type"], &zip["key"]), (&6.into(), &"application/zip".into(), &().into()));
    assert_eq!((&data["scan"]["withheld"][0], &data["scan"]["items"][1]["part"]), (&6.into(), &6.into()));
    let findings = data["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["code"] == "type_mismatch" && finding["where"] == "part 6"),
        "{findings:?}"
    );
}

#[test]
fn nothing_of_a_withheld_part_is_handed_on() {
    let raw = raw();
    let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
    let (work, tenant) = (WorkId::derive(&[b"1"]), TenantId::default_tenant());
    let without = |withheld: &[usize]| {
        let job = DeliverJob { withheld: withheld.iter().copied().collect(), ..job(&mail) };
        serde_json::to_value(MailProcessed::of(&work, &tenant, &job, &mail)).unwrap()
    };
    let all = without(&[]);
    assert_eq!((&all["raw"]["key"], &all["attachments"][2]["key"]), (&"raw/1".into(), &"attachments/4".into()));
    assert_eq!(all["attachments"][2]["invitation"]["location"], "Canteen");
    let invited = without(&[4]);
    assert_eq!((&invited["raw"]["key"], &invited["raw"]["size"]), (&().into(), &raw.len().into()));
    assert_eq!((&invited["attachments"][2]["name"], &invited["attachments"][2]["key"]), (&"in".into(), &().into()));
    assert!(invited["attachments"][2].get("invitation").is_none() && !invited.to_string().contains("Canteen"));
    // What is not withheld is told all the same.
    assert_eq!(invited["attachments"][0]["image"], all["attachments"][0]["image"]);
}
