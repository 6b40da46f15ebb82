//! The template has what the pipeline's table asks for, and nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use mailtri::{
    pipeline::PIPELINE,
    prefixes::{OWN, RAW, SES},
};
use shared::policy::MAX_RECEIVES;

use super::cfn::{self, Stack};

const DAY: u64 = 86_400;
/// What has a role but is no stage.
pub(crate) const OTHER_ROLES: [&str; 3] = ["exporter", "api", "operator"];

fn logical(stage: &str, suffix: &str) -> String {
    format!("{}{}{suffix}", stage[..1].to_uppercase(), &stage[1..])
}

fn names(suffixes: &[&str]) -> BTreeSet<String> {
    PIPELINE.iter().flat_map(|row| suffixes.iter().map(|suffix| logical(row.stage.0, suffix))).collect()
}

#[test]
fn every_stage_has_its_queues_and_there_are_no_others() {
    let stack = Stack::load("mailtri.yaml");
    let queues = stack.of_type("AWS::SQS::Queue");
    assert_eq!(queues.keys().cloned().collect::<BTreeSet<_>>(), names(&["Queue", "Dlq"]));
    for row in &PIPELINE {
        let (stage, policy) = (row.stage.0, &row.policy);
        let (work, dead) = (&queues[&logical(stage, "Queue")], &queues[&logical(stage, "Dlq")]);
        assert_eq!(work["QueueName"], format!("mailtri-{stage}"));
        assert_eq!(dead["QueueName"], format!("mailtri-{stage}-dlq"));
        assert_eq!(work["VisibilityTimeout"], policy.visibility.as_secs(), "{stage}");
        assert_eq!(work["RedrivePolicy"]["maxReceiveCount"], MAX_RECEIVES, "{stage}");
        let arn = |queue: &str| format!("arn:aws:sqs:{}:{}:{queue}", cfn::REGION, cfn::ACCOUNT);
        assert_eq!(work["RedrivePolicy"]["deadLetterTargetArn"], arn(&format!("mailtri-{stage}-dlq")));
        assert_eq!(dead["RedriveAllowPolicy"]["sourceQueueArns"][0], arn(&format!("mailtri-{stage}")));
        let kept = |queue: &serde_json::Value| queue["MessageRetentionPeriod"].as_u64().unwrap();
        assert!(kept(work) >= policy.max_age.as_secs() + DAY, "{stage}: a job must not vanish before it expires");
        assert!(kept(dead) == 14 * DAY && kept(dead) > kept(work), "{stage}: dead letters are kept longest");
        for queue in [work, dead] {
            assert_eq!(queue["MaximumMessageSize"], shared::queue::MAX_BODY);
            assert_eq!(queue["KmsMasterKeyId"], format!("arn:aws:kms:{}:{}:key/Key", cfn::REGION, cfn::ACCOUNT));
        }
    }
}

#[test]
fn every_stage_has_its_role_and_its_service_account() {
    let others = OTHER_ROLES.map(|role| logical(role, "Role"));
    let expected: BTreeSet<String> = names(&["Role"]).into_iter().chain(others).collect();
    let stack = Stack::load("mailtri.yaml");
    assert_eq!(stack.of_type("AWS::IAM::Role").into_keys().collect::<BTreeSet<_>>(), expected);
    assert!(stack.of_type("AWS::EKS::PodIdentityAssociation").is_empty());
    let associated = Stack::with("mailtri.yaml", &[("ClusterName", "c")]).of_type("AWS::EKS::PodIdentityAssociation");
    let roles: BTreeSet<String> = associated.into_values().map(|a| a["RoleArn"].to_string()).collect();
    assert_eq!(roles.len(), expected.len());
}

#[test]
fn every_stage_is_watched() {
    let alarms = Stack::load("watch.yaml").of_type("AWS::CloudWatch::Alarm");
    let expected = names(&["AgeAlarm", "DlqAlarm", "ErrorAlarm"]);
    assert_eq!(alarms.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for row in &PIPELINE {
        let queue = |suffix: &str| alarms[&logical(row.stage.0, suffix)]["Dimensions"][0]["Value"].clone();
        assert_eq!(queue("AgeAlarm"), format!("mailtri-{}", row.stage));
        assert_eq!(queue("DlqAlarm"), format!("mailtri-{}-dlq", row.stage));
    }
}

#[test]
fn every_queue_and_role_is_an_output() {
    let stack = Stack::load("mailtri.yaml");
    let outputs: BTreeSet<&str> = stack.outputs().keys().map(String::as_str).collect();
    for expected in names(&["QueueUrl", "DlqUrl", "RoleArn"]) {
        assert!(outputs.contains(expected.as_str()), "{expected}");
    }
}

#[test]
fn every_prefix_has_its_lifetime() {
    let bucket = &Stack::load("mailtri.yaml").of_type("AWS::S3::Bucket")["MailBucket"];
    let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap().clone();
    let ruled: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.get("Prefix")?.as_str()).collect();
    let known: BTreeSet<&str> = OWN.iter().map(|own| own.prefix).chain([RAW, SES]).collect();
    assert_eq!(ruled, known);
    let announced = &bucket["NotificationConfiguration"]["QueueConfigurations"];
    assert_eq!(announced.as_array().unwrap().len(), 1);
    assert_eq!(announced[0]["Filter"]["S3Key"]["Rules"][0]["Value"], RAW);
}

/// Else it would be a race which of a mail's announcements comes first, and the bucket's knows no SMTP envelope.
#[test]
fn what_ses_stores_is_announced_by_its_receipt_alone() {
    let ses = Stack::with("ses-receipt-rules.yaml", &[("Recipients", "mail.example")]);
    let rules = ses.of_type("AWS::SES::ReceiptRule");
    assert_eq!(rules.len(), 1);
    let action = &rules["Store"]["Rule"]["Actions"][0]["S3Action"];
    assert_eq!((&action["ObjectKeyPrefix"], &action["TopicArn"]), (&SES.into(), &"Topic".into()));
    assert!(action.get("KmsKeyArn").is_none(), "SES would encrypt on its side");
    let subscription = &ses.of_type("AWS::SNS::Subscription")["Subscription"];
    let queue = format!("arn:aws:sqs:{}:{}:mailtri-parse", cfn::REGION, cfn::ACCOUNT);
    assert_eq!((&subscription["Endpoint"], &subscription["TopicArn"]), (&queue.into(), &"Topic".into()));
    assert!(!SES.starts_with(RAW));
}

/// The keys that the code makes: texts such as `"parsed/{}"` in a `format!`.
#[test]
fn the_code_writes_under_known_prefixes_only() {
    let mut found = BTreeSet::new();
    for dir in
        ["workers/src/stages", "workers/src/scanning", "workers/src/announce", "workers/src/cli", "shared/src/settle"]
    {
        prefixes_in(&cfn::root().join(dir), &mut found);
    }
    let known: BTreeSet<String> = OWN.iter().map(|own| own.prefix).chain([RAW]).map(str::to_owned).collect();
    assert!(found.is_subset(&known), "{found:?} has more than {known:?}");
    assert!(found.len() >= 6, "only {found:?} was found: does the search still fit the code?");
}

fn prefixes_in(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            prefixes_in(&path, found);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            for made in text.split("format!(\"").skip(1) {
                let literal = made.split(['"', '{']).next().unwrap();
                if let Some((prefix, _)) = literal.split_once('/')
                    && !prefix.is_empty()
                    && prefix.bytes().all(|b| b.is_ascii_lowercase())
                {
                    found.insert(format!("{prefix}/"));
                }
            }
        }
    }
}
