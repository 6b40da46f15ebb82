//! What buckets, queues and the key say about those who come from outside: services, plain HTTP, wrong encryption.

use serde_json::Value;

use super::{
    cfn::{ACCOUNT, REGION, Stack},
    pipeline::OTHER_ROLES,
    policy::{Answer, Call, evaluate},
};

fn ask(document: &Value, principal: &str, action: &str, resource: &str, context: &[(&str, &str)]) -> Answer {
    evaluate(document, &Call { principal, action, resource, context })
}

fn mail(key: &str) -> String {
    format!("arn:aws:s3:::mailtri-mail-{ACCOUNT}-{REGION}/{key}")
}

#[test]
fn only_explicitly_wrong_encryption_is_refused() {
    let policy =
        Stack::load("mailtri.yaml").of_type("AWS::S3::BucketPolicy")["MailBucketPolicy"]["PolicyDocument"].clone();
    let rule = format!("arn:aws:ses:{REGION}:{ACCOUNT}:receipt-rule-set/mailtri:receipt-rule/store");
    let ours = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/Key");
    let (sse, key) = ("s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id");
    let from_ses = [("aws:SourceAccount", ACCOUNT), ("aws:SourceArn", rule.as_str()), ("aws:SecureTransport", "true")];
    let put = |key_name: &str, more: &[(&str, &str)]| {
        let context: Vec<(&str, &str)> = from_ses.iter().chain(more).copied().collect();
        ask(&policy, "ses.amazonaws.com", "s3:PutObject", &mail(key_name), &context)
    };
    assert_eq!(put("ses/x", &[]), Answer::Allowed);
    assert_eq!(put("ses/x", &[(sse, "aws:kms")]), Answer::Allowed);
    assert_eq!(put("ses/x", &[(sse, "aws:kms"), (key, &ours)]), Answer::Allowed);
    assert_eq!(put("ses/x", &[(sse, "AES256")]), Answer::Denied);
    assert_eq!(put("ses/x", &[(sse, "aws:kms"), (key, "arn:aws:kms:eu-west-1:9:key/other")]), Answer::Denied);
    assert_eq!(put("ends/x", &[]), Answer::NotAllowed);
    let foreign = [("aws:SourceAccount", "999999999999"), ("aws:SourceArn", rule.as_str())];
    assert_eq!(ask(&policy, "ses.amazonaws.com", "s3:PutObject", &mail("raw/x"), &foreign), Answer::NotAllowed);
}

#[test]
fn nothing_is_reached_without_tls() {
    let stack = Stack::load("mailtri.yaml");
    let (plain, tls) = ([("aws:SecureTransport", "false")], [("aws:SecureTransport", "true")]);
    let buckets = stack.of_type("AWS::S3::BucketPolicy");
    assert_eq!(buckets.len(), stack.of_type("AWS::S3::Bucket").len());
    for policy in buckets.values() {
        let (bucket, document) = (policy["Bucket"].as_str().unwrap(), &policy["PolicyDocument"]);
        let arn = format!("arn:aws:s3:::{bucket}");
        assert_eq!(ask(document, "*", "s3:ListBucket", &arn, &plain), Answer::Denied);
        assert_eq!(ask(document, "*", "s3:GetObject", &format!("{arn}/x"), &plain), Answer::Denied);
        assert_eq!(ask(document, "*", "s3:GetObject", &format!("{arn}/x"), &tls), Answer::NotAllowed);
    }
    let policies = stack.of_type("AWS::SQS::QueuePolicy");
    for (name, queue) in stack.of_type("AWS::SQS::Queue") {
        let policy = policies.values().find(|policy| policy["Queues"] == serde_json::json!([name])).unwrap();
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", queue["QueueName"].as_str().unwrap());
        for action in ["sqs:SendMessage", "sqs:ReceiveMessage"] {
            assert_eq!(ask(&policy["PolicyDocument"], "*", action, &arn, &plain), Answer::Denied, "{name}");
            assert_eq!(ask(&policy["PolicyDocument"], "*", action, &arn, &tls), Answer::NotAllowed, "{name}");
        }
    }
}

#[test]
fn s3_announces_to_the_parse_queue_alone_and_for_our_bucket_alone() {
    let stack = Stack::load("mailtri.yaml");
    let bucket = format!("arn:aws:s3:::mailtri-mail-{ACCOUNT}-{REGION}");
    let ours = [("aws:SourceAccount", ACCOUNT), ("aws:SourceArn", bucket.as_str())];
    let other = [("aws:SourceAccount", ACCOUNT), ("aws:SourceArn", "arn:aws:s3:::other")];
    for (name, policy) in stack.of_type("AWS::SQS::QueuePolicy") {
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mailtri-parse");
        let send = |context| ask(&policy["PolicyDocument"], "s3.amazonaws.com", "sqs:SendMessage", &arn, context);
        let expected = if name == "ParseQueuePolicy" { Answer::Allowed } else { Answer::NotAllowed };
        assert_eq!(send(&ours), expected, "{name}");
        assert_eq!(send(&other), Answer::NotAllowed, "{name}");
    }
    let key = &stack.of_type("AWS::KMS::Key")["Key"]["KeyPolicy"];
    let rule = format!("arn:aws:ses:{REGION}:{ACCOUNT}:receipt-rule-set/mailtri:receipt-rule/store");
    let from_rule = [("aws:SourceAccount", ACCOUNT), ("aws:SourceArn", rule.as_str())];
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        assert_eq!(ask(key, "s3.amazonaws.com", action, "*", &ours), Answer::Allowed);
        assert_eq!(ask(key, "ses.amazonaws.com", action, "*", &from_rule), Answer::Allowed);
        assert_eq!(ask(key, "s3.amazonaws.com", action, "*", &other), Answer::NotAllowed);
        assert_eq!(ask(key, "sns.amazonaws.com", action, "*", &ours), Answer::NotAllowed);
    }
}

#[test]
fn receipts_come_through_our_topic_alone_and_ses_stores_under_its_own_prefix_alone() {
    let (stack, ses) =
        (Stack::load("mailtri.yaml"), Stack::with("ses-receipt-rules.yaml", &[("Recipients", "a.example")]));
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:mailtri-mail");
    assert_eq!(ses.of_type("AWS::SNS::Topic")["Topic"]["TopicName"], "mailtri-mail");
    let (ours, other) = ([("aws:SourceArn", topic.as_str())], [("aws:SourceArn", "arn:aws:sns:eu-west-1:1:other")]);
    let queue = &stack.of_type("AWS::SQS::QueuePolicy")["ParseQueuePolicy"]["PolicyDocument"];
    let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mailtri-parse");
    assert_eq!(ask(queue, "sns.amazonaws.com", "sqs:SendMessage", &arn, &ours), Answer::Allowed);
    assert_eq!(ask(queue, "sns.amazonaws.com", "sqs:SendMessage", &arn, &other), Answer::NotAllowed);
    let key = &stack.of_type("AWS::KMS::Key")["Key"]["KeyPolicy"];
    assert_eq!(ask(key, "sns.amazonaws.com", "kms:GenerateDataKey", "*", &ours), Answer::Allowed);
    assert_eq!(ask(key, "sns.amazonaws.com", "kms:GenerateDataKey", "*", &other), Answer::NotAllowed);

    let rule = format!("arn:aws:ses:{REGION}:{ACCOUNT}:receipt-rule-set/mailtri:receipt-rule/store");
    let from_rule = [("aws:SourceAccount", ACCOUNT), ("aws:SourceArn", rule.as_str())];
    let publish = &ses.of_type("AWS::SNS::TopicPolicy")["TopicPolicy"]["PolicyDocument"];
    assert_eq!(ask(publish, "ses.amazonaws.com", "sns:Publish", "Topic", &from_rule), Answer::Allowed);
    assert_eq!(ask(publish, "ses.amazonaws.com", "sns:Publish", "Topic", &other), Answer::NotAllowed);
    let bucket = &stack.of_type("AWS::S3::BucketPolicy")["MailBucketPolicy"]["PolicyDocument"];
    for (prefix, expected) in [("ses", Answer::Allowed), ("raw", Answer::NotAllowed), ("ends", Answer::NotAllowed)] {
        let object = format!("arn:aws:s3:::mailtri-mail-{ACCOUNT}-{REGION}/{prefix}/x");
        assert_eq!(ask(bucket, "ses.amazonaws.com", "s3:PutObject", &object, &from_rule), expected, "{prefix}");
    }
}

#[test]
fn buckets_are_private_encrypted_and_kept() {
    let stack = Stack::load("mailtri.yaml");
    for (name, bucket) in stack.of_type("AWS::S3::Bucket") {
        for access in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
            assert_eq!(bucket["PublicAccessBlockConfiguration"][access], true, "{name}");
        }
        let rule = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"];
        let expected = if name == "AccessLogBucket" { "AES256" } else { "aws:kms" };
        assert_eq!(rule["SSEAlgorithm"], expected, "{name}");
        assert_eq!(bucket.get("ObjectLockEnabled").is_some(), name == "AuditBucket", "SES refuses a lock: {name}");
        assert_eq!(stack.resources()[&name]["DeletionPolicy"], "Retain", "{name}");
    }
}

/// Trust is a text within the template: it has to be JSON that names one service account.
#[test]
fn a_role_is_for_its_own_service_account() {
    let oidc = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE";
    let (pod, irsa) = (Stack::load("mailtri.yaml"), Stack::with("mailtri.yaml", &[("OidcProvider", oidc)]));
    for (stack, principal) in [(&pod, "pods.eks.amazonaws.com"), (&irsa, oidc)] {
        for role in stack.of_type("AWS::IAM::Role").values() {
            let account = role["RoleName"].as_str().unwrap();
            let trust: Value = serde_json::from_str(role["AssumeRolePolicyDocument"].as_str().unwrap()).unwrap();
            let statement = &trust["Statement"][0];
            assert!(statement["Principal"].to_string().contains(principal), "{account}");
            let equals = &statement["Condition"]["StringEquals"];
            let sub = equals.get(format!("{oidc}:sub")).or(equals.get("aws:RequestTag/kubernetes-service-account"));
            let sub = sub.unwrap().as_str().unwrap();
            assert!(sub == account || sub == format!("system:serviceaccount:mailtri:{account}"), "{account}: {sub}");
        }
    }
    assert_eq!(pod.of_type("AWS::IAM::Role").len(), 4 + OTHER_ROLES.len());
}
