//! Evaluates IAM policies, as far as our templates use them. Anything else panics, so that nothing passes unseen.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::Value;

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// `*` for a role's own policy, else a service, such as `ses.amazonaws.com`.
    pub(crate) principal: &'a str,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) context: &'a [(&'a str, &'a str)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// Nothing allows it.
    NotAllowed,
    /// Something forbids it, whatever else allows it.
    Denied,
}

pub(crate) fn evaluate(document: &Value, call: &Call<'_>) -> Answer {
    assert_eq!(document["Version"], "2012-10-17");
    let applying: Vec<&Value> = statements(document).iter().filter(|s| applies(s, call)).collect();
    if applying.iter().any(|s| s["Effect"] == "Deny") {
        Answer::Denied
    } else if applying.is_empty() {
        Answer::NotAllowed
    } else {
        Answer::Allowed
    }
}

pub(crate) fn statements(document: &Value) -> &Vec<Value> {
    document["Statement"].as_array().unwrap()
}

/// A text or a list of texts.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    }
}

fn applies(statement: &Value, call: &Call<'_>) -> bool {
    let known = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
    for name in statement.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "{name} is not implemented here");
    }
    let action = |pattern: &str| matches(&pattern.to_lowercase(), &call.action.to_lowercase());
    principal_is(statement.get("Principal"), call.principal)
        && texts(&statement["Action"]).into_iter().any(action)
        && texts(&statement["Resource"]).into_iter().any(|pattern| matches(pattern, call.resource))
        && statement.get("Condition").is_none_or(|condition| holds(condition, call.context))
}

fn principal_is(principal: Option<&Value>, caller: &str) -> bool {
    match principal {
        None => true,
        Some(Value::String(all)) => all == "*",
        Some(by_kind) => by_kind.as_object().unwrap().values().any(|value| texts(value).contains(&caller)),
    }
}

/// Every operator, and every key of it, has to hold; of a key's values one.
fn holds(condition: &Value, context: &[(&str, &str)]) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, values)| {
            let actual = context.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
            let any = |test: fn(&str, &str) -> bool| actual.is_some_and(|a| texts(values).iter().any(|v| test(v, a)));
            match operator.as_str() {
                "StringEquals" => any(|value, actual| value == actual),
                "StringNotEquals" => !any(|value, actual| value == actual),
                "StringLike" | "ArnLike" | "ArnEquals" => any(matches),
                "Bool" => any(|value, actual| value.eq_ignore_ascii_case(actual)),
                "Null" => texts(values) == [if actual.is_none() { "true" } else { "false" }],
                other => panic!("{other} is not implemented here"),
            }
        })
    })
}

/// Whether `text` is like `pattern`, in which `*` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            let mut ends = text.char_indices().map(|(i, _)| i).chain([text.len()]);
            ends.any(|i| matches(rest, &text[i..]))
        }),
    }
}

#[test]
fn the_evaluator_tells_allowed_from_denied() {
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:a/*/z"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"tls": "false"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition":
            {"Null": {"sse": "false"}, "StringNotEquals": {"sse": ["kms"]}}},
    ]});
    let ask = |action, resource, context: &[(&str, &str)]| {
        evaluate(&document, &Call { principal: "*", action, resource, context })
    };
    assert_eq!(ask("s3:GetObject", "arn:a/b/z", &[]), Answer::Allowed);
    assert_eq!(ask("s3:getobject", "arn:a/b/c/z", &[("sse", "kms"), ("tls", "true")]), Answer::Allowed);
    assert_eq!(ask("s3:GetObject", "arn:a/b/y", &[]), Answer::NotAllowed);
    assert_eq!(ask("s3:PutObject", "arn:a/b/z", &[]), Answer::NotAllowed);
    assert_eq!(ask("s3:GetObject", "arn:a/b/z", &[("tls", "false")]), Answer::Denied);
    assert_eq!(ask("s3:GetObject", "arn:a/b/z", &[("sse", "AES256")]), Answer::Denied);
}
