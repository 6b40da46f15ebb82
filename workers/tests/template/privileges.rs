//! Least privilege: every role × every action × every resource, and only what is listed here is allowed.

use std::collections::BTreeSet;

use mailtri::{
    pipeline::PIPELINE,
    prefixes::{OWN, RAW, SES},
};
use serde_json::Value;

use super::{
    cfn::{ACCOUNT, REGION, Stack},
    pipeline::OTHER_ROLES,
    policy::{Answer, Call, evaluate, statements, texts},
};

const SQS: [&str; 8] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage",
    "sqs:GetQueueUrl",
    "sqs:PurgeQueue",
    "sqs:DeleteQueue",
];
const S3: [&str; 7] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:BypassGovernanceRetention",
];
const WORK: &[&str] =
    &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"];
const HOLD: &[&str] = &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];
const SEND: &[&str] = &["sqs:SendMessage", "sqs:GetQueueUrl"];
const DEPTH: &[&str] = &["sqs:GetQueueAttributes", "sqs:GetQueueUrl"];
const READ: &[&str] = &["s3:GetObject", "s3:GetObjectVersion"];
const WRITE: &[&str] = &["s3:PutObject"];
const DELETE: &[&str] = &["s3:DeleteObject", "s3:DeleteObjectVersion"];

/// What a role does in the store, by prefix.
struct Store {
    role: &'static str,
    reads: &'static [&'static str],
    writes: &'static [&'static str],
    deletes: &'static [&'static str],
}

const STORE: [Store; 6] = [
    Store {
        role: "parse",
        reads: &["raw", "ses", "inline", "ends", "claims"],
        writes: &["inline", "parsed", "ends", "quarantine", "undecodable", "claims"],
        deletes: &[],
    },
    Store {
        role: "scan",
        reads: &["raw", "ses", "inline", "parsed", "ends", "claims"],
        writes: &["attachments", "verdicts", "ends", "undecodable", "claims"],
        deletes: &[],
    },
    Store {
        role: "route",
        reads: &["parsed", "decisions", "ends", "claims"],
        writes: &["decisions", "ends", "quarantine", "undecodable", "claims"],
        deletes: &[],
    },
    Store {
        role: "deliver",
        reads: &["parsed", "ends", "claims"],
        writes: &["ends", "undecodable", "claims"],
        deletes: &[],
    },
    Store { role: "api", reads: &["raw", "ses", "inline", "attachments", "ends"], writes: &["raw/http"], deletes: &[] },
    Store {
        role: "operator",
        reads: &[
            "raw",
            "ses",
            "inline",
            "parsed",
            "attachments",
            "verdicts",
            "ends",
            "quarantine",
            "undecodable",
            "claims",
        ],
        writes: &["ends", "claims", "verdicts"],
        deletes: &["quarantine"],
    },
];

type Grants = BTreeSet<(String, String, String)>;

fn queue(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mailtri-{name}")
}

fn object(bucket: &str, prefix: &str) -> String {
    format!("arn:aws:s3:::mailtri-{bucket}-{ACCOUNT}-{REGION}/{}/some.key", prefix.trim_end_matches('/'))
}

fn grant(grants: &mut Grants, role: &str, actions: &[&str], resource: &str) {
    grants.extend(actions.iter().map(|action| (role.to_owned(), (*action).to_owned(), resource.to_owned())));
}

/// What the pipeline's table asks for: a stage works on its own queue, sends to itself, to its dead-letter queue and
/// to the next stages.
fn of_pipeline(grants: &mut Grants) {
    for row in &PIPELINE {
        let (stage, dlq) = (row.stage.0, format!("{}-dlq", row.stage));
        grant(grants, stage, WORK, &queue(stage));
        for to in row.next.iter().map(|next| next.0).chain([stage, &dlq]) {
            grant(grants, stage, SEND, &queue(to));
        }
        grant(grants, "operator", HOLD, &queue(&dlq));
        grant(grants, "operator", &["sqs:SendMessage"], &queue(stage));
        for role in ["exporter", "operator"] {
            grant(grants, role, DEPTH, &queue(stage));
            grant(grants, role, DEPTH, &queue(&dlq));
        }
    }
    grant(grants, "api", SEND, &queue("parse"));
}

fn expected() -> Grants {
    let mut grants = Grants::new();
    of_pipeline(&mut grants);
    for Store { role, reads, writes, deletes } in STORE {
        for (actions, prefixes) in [(READ, reads), (WRITE, writes), (DELETE, deletes)] {
            for prefix in prefixes {
                grant(&mut grants, role, actions, &object("mail", prefix));
                // What holds for raw mail holds for all kinds of it.
                if *prefix == "raw" {
                    grant(&mut grants, role, actions, &object("mail", "raw/http"));
                }
            }
        }
    }
    grants
}

fn calls() -> Vec<(&'static str, String)> {
    let stages = || PIPELINE.iter().map(|row| row.stage.0);
    let queues: Vec<String> =
        stages().map(str::to_owned).chain(stages().map(|s| format!("{s}-dlq"))).chain(["other".to_owned()]).collect();
    let prefixes = OWN.iter().map(|own| own.prefix).chain([RAW, SES, "raw/http", "elsewhere"]);
    let mut objects: Vec<String> = prefixes.map(|prefix| object("mail", prefix)).collect();
    objects.extend([object("audit", "AWSLogs"), object("access-log", "mail"), object("other", "raw")]);
    let on_queues = SQS.iter().flat_map(|action| queues.iter().map(|name| (*action, queue(name))));
    let on_objects = S3.iter().flat_map(|action| objects.iter().map(|arn| (*action, arn.clone())));
    on_queues.chain(on_objects).collect()
}

/// A role's own policy.
fn policy_of(stack: &Stack, role: &str) -> Value {
    let name = format!("mailtri-{role}");
    let all = stack.of_type("AWS::IAM::Role");
    let found = all.values().find(|properties| properties["RoleName"] == name.as_str()).unwrap();
    assert!(found.get("ManagedPolicyArns").is_none());
    assert_eq!(found["Policies"].as_array().unwrap().len(), 1);
    found["Policies"][0]["PolicyDocument"].clone()
}

fn roles() -> impl Iterator<Item = &'static str> {
    PIPELINE.iter().map(|row| row.stage.0).chain(OTHER_ROLES)
}

#[test]
fn a_role_may_do_what_is_listed_and_nothing_else() {
    let (stack, expected) = (Stack::load("mailtri.yaml"), expected());
    let mut allowed = Grants::new();
    for role in roles() {
        let policy = policy_of(&stack, role);
        for (action, resource) in calls() {
            let call = Call { principal: "*", action, resource: &resource, context: &[] };
            if evaluate(&policy, &call) == Answer::Allowed {
                grant(&mut allowed, role, &[action], &resource);
            }
        }
    }
    let missing: Vec<_> = expected.difference(&allowed).collect();
    let excess: Vec<_> = allowed.difference(&expected).collect();
    assert!(missing.is_empty() && excess.is_empty(), "missing {missing:#?}, in excess {excess:#?}");
}

#[test]
fn no_stage_reaches_for_what_is_forbidden() {
    let stack = Stack::load("mailtri.yaml");
    for row in &PIPELINE {
        let policy = policy_of(&stack, row.stage.0);
        let mut forbidden: Vec<(&str, String)> = DELETE.iter().map(|action| (*action, object("mail", "raw"))).collect();
        forbidden.push(("s3:ListBucket", format!("arn:aws:s3:::mailtri-mail-{ACCOUNT}-{REGION}")));
        forbidden.push(("s3:PutObject", object("mail", "raw")));
        forbidden.push(("sqs:ReceiveMessage", queue(&format!("{}-dlq", row.stage))));
        for other in PIPELINE.iter().filter(|other| other.stage != row.stage) {
            forbidden.extend(WORK.iter().map(|action| (*action, queue(other.stage.0))));
        }
        for (action, resource) in forbidden {
            let call = Call { principal: "*", action, resource: &resource, context: &[] };
            assert_eq!(evaluate(&policy, &call), Answer::NotAllowed, "{} {action} {resource}", row.stage);
        }
    }
}

#[test]
fn no_role_has_a_wildcard() {
    let stack = Stack::load("mailtri.yaml");
    for role in roles() {
        for statement in statements(&policy_of(&stack, role)) {
            assert_eq!(statement["Effect"], "Allow");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{role}: {action}");
            }
            for resource in texts(&statement["Resource"]) {
                let stars = resource.matches('*').count();
                assert!(stars == 0 || stars == 1 && resource.ends_with("/*"), "{role}: {resource}");
                assert!(resource.contains(":mailtri-") || resource.ends_with(":key/Key"), "{role}: {resource}");
            }
        }
    }
}

#[test]
fn the_key_is_used_through_its_services_only() {
    let stack = Stack::load("mailtri.yaml");
    let key = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/Key");
    let sqs = format!("sqs.{REGION}.amazonaws.com");
    for role in roles() {
        let policy = policy_of(&stack, role);
        let decrypt = |context: &[(&str, &str)]| {
            evaluate(&policy, &Call { principal: "*", action: "kms:Decrypt", resource: &key, context })
        };
        let through = if role == "exporter" { Answer::NotAllowed } else { Answer::Allowed };
        assert_eq!(decrypt(&[("kms:ViaService", &sqs)]), through, "{role}");
        assert_eq!(decrypt(&[]), Answer::NotAllowed, "{role}");
    }
}

/// Without the permission to list S3 answers 403 for an object that is not there.
#[test]
fn a_role_lists_what_it_reads_and_nobody_lists_everything() {
    let stack = Stack::load("mailtri.yaml");
    let bucket = format!("arn:aws:s3:::mailtri-mail-{ACCOUNT}-{REGION}");
    for role in roles() {
        let policy = policy_of(&stack, role);
        let list = |context: &[(&str, &str)]| {
            evaluate(&policy, &Call { principal: "*", action: "s3:ListBucket", resource: &bucket, context })
        };
        let reads = STORE.iter().find(|store| store.role == role).map_or(&[][..], |store| store.reads);
        for prefix in OWN.iter().map(|own| own.prefix).chain([RAW, SES]) {
            let reads = reads.contains(&prefix.trim_end_matches('/'));
            let expected = if reads { Answer::Allowed } else { Answer::NotAllowed };
            assert_eq!(list(&[("s3:prefix", &format!("{prefix}4fa0"))]), expected, "{role}: {prefix}");
        }
        assert_eq!((list(&[]), list(&[("s3:prefix", "")])), (Answer::NotAllowed, Answer::NotAllowed), "{role}");
    }
}
