use std::collections::BTreeSet;

use serde_json::value::RawValue;
use shared::{
    envelope::{Dead, Origin, Undecodable, VERSION},
    ids::{TenantId, WorkId},
    pii::Pii,
};

use super::{summary::fingerprint, *};
use crate::pipeline::{PARSE, SCAN};

const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn envelope(n: u32, class: Option<&str>) -> Envelope {
    let job =
        r#"{"mail":{"stored":{"bucket":"b","key":"raw/1","etag":null,"size":null}},"envelope":{"from":"secret"}}"#;
    let origin =
        Origin { work: WorkId::derive(&[&n.to_be_bytes()]), tenant: TenantId::new("acme").unwrap(), first_seen: AT };
    let mut envelope = Envelope::first(origin, PARSE, RawValue::from_string(job.to_owned()).unwrap());
    envelope.attempt = 3;
    envelope.dead =
        class.map(|class| Dead { at: AT, stage: "parse".into(), class: class.into(), reason: "why".into() });
    envelope
}

fn undecodable(body: UndecodableBody, at: Timestamp) -> String {
    let dead = Dead { at, stage: "parse".into(), class: "undecodable".into(), reason: "why".into() };
    serde_json::to_string(&Undecodable { version: VERSION, dead, body }).unwrap()
}

fn inline(body: &str, at: Timestamp) -> Letter {
    Letter::new(PARSE, &undecodable(UndecodableBody::Inline(Pii::new(body.to_owned())), at))
}

#[test]
fn fingerprints_are_the_same_in_every_build_and_differ_by_stage_destination_class_and_reason() {
    assert_eq!(fingerprint("parse", "", "undecodable", "why"), "9674e07d22c5");
    let all = [
        ("parse", "", "a", "b"),
        ("scan", "", "a", "b"),
        ("parse", "", "ab", ""),
        ("parse", "", "a", "c"),
        ("parse", "", "", "ab"),
        ("deliver", "erp", "a", "b"),
        ("deliver", "archive", "a", "b"),
    ];
    let distinct: BTreeSet<_> = all.map(|(stage, branch, class, why)| fingerprint(stage, branch, class, why)).into();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn letters_of_one_stage_class_and_reason_are_a_group_and_the_largest_comes_first() {
    let letter = |n, class| Letter::new(PARSE, &envelope(n, class).encode().unwrap()).summary;
    let letters = [letter(1, Some("a")), letter(2, Some("b")), letter(3, Some("b")), letter(4, None)];
    let groups = groups::group(&letters);
    let told: Vec<_> = groups.iter().map(|g| (g.class.as_str(), g.count, g.last_seen)).collect();
    assert_eq!(told[0], ("b", 2, Some(AT)));
    assert!(told.contains(&("a", 1, Some(AT))) && told.contains(&("worker_died", 1, None)), "{told:?}");
    assert_eq!(groups[0].example, letters[1].id);
}

#[test]
fn letters_to_two_destinations_are_two_groups() {
    let to = |n, branch: &str| {
        let dead = Envelope { branch: branch.to_owned(), ..envelope(n, Some("unreachable")) };
        Letter::new(PARSE, &dead.encode().unwrap()).summary
    };
    let groups = groups::group(&[to(1, "erp"), to(2, "archive"), to(3, "erp")]);
    let told: Vec<_> = groups.iter().map(|g| (g.branch.as_str(), g.count)).collect();
    assert_eq!(told, [("erp", 2), ("archive", 1)]);
}

#[test]
fn a_body_keeps_its_id_through_another_failure_in_every_form() {
    let id = Letter::new(PARSE, "no job").summary.id;
    assert_eq!(inline("no job", AT).summary.id, id);
    assert_eq!(inline("no job", Timestamp::MAX).summary.id, id);
    let stored = undecodable(UndecodableBody::Stored(format!("undecodable/{id}")), AT);
    assert_eq!(Letter::new(PARSE, &stored).summary.id, id);
    assert_ne!(inline("another", AT).summary.id, id);
}

#[test]
fn neither_a_summary_nor_an_export_holds_the_job() {
    for body in [envelope(1, Some("a")).encode().unwrap(), envelope(1, None).encode().unwrap()] {
        let letter = Letter::new(SCAN, &body);
        let bare = letter.bare();
        assert!(!bare.to_string().contains("secret"), "{bare}");
        assert_eq!(bare["raw"]["key"], "raw/1");
        assert_eq!(bare["envelope"]["attempt"], 3);
    }
    assert!(!inline("secret", AT).bare().to_string().contains("secret"));
}

#[tokio::test]
async fn a_letter_goes_back_as_the_same_job_with_its_attempts_given_back_and_its_history_kept() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs::dir::DirBlobs::open(dir.path()).unwrap();
    let dead = envelope(1, Some("a"));
    let letter = Letter::new(PARSE, &dead.encode().unwrap());
    let job = Envelope::decode(&letter.again(&blobs, Timestamp::MAX).await.unwrap()).unwrap();
    assert_eq!((&job.id, job.generation, job.attempt, &job.dead), (&dead.id, 1, 0, &None));
    assert_eq!(job.history.last().map(|a| a.class.as_str()), Some("requeued"));
    assert_eq!(inline("as it came", AT).again(&blobs, AT).await.unwrap(), "as it came");
}
