//! Whatever comes, it is read or refused, and a refusal shows nothing of it.

use proptest::{collection, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::{super::read, samples};

const CANARY: &str = "canary\u{e4}@7f3a%ff";

/// Names that lead into the readers.
const NAMES: [&str; 22] = [
    "Records",
    "Event",
    "Type",
    "Message",
    "TopicArn",
    "detail-type",
    "detail",
    "source",
    "notificationType",
    "receipt",
    "mail",
    "action",
    "type",
    "content",
    "s3",
    "bucket",
    "name",
    "object",
    "key",
    "eventName",
    "recipients",
    "x",
];

fn any_json() -> impl Strategy<Value = Value> {
    let word = select(vec!["aws:s3", "2.1", "ObjectCreated:Put", "Notification", "Received", "S3", "SNS", CANARY, ""]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::vec((select(NAMES.to_vec()), inner), 0..8).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
            }),
        ]
    })
}

fn any_sample() -> impl Strategy<Value = Value> {
    let plain = select(vec![
        samples::s3_event(),
        samples::event_bridge(),
        samples::ses_s3(),
        samples::ses_inline(),
        samples::s3_test(),
    ]);
    (plain, any::<bool>()).prop_map(|(sample, wrapped)| if wrapped { samples::sns(&sample) } else { sample })
}

/// Every place in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, v)| places(v, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| places(v, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

fn check(body: &str) {
    if let Err(error) = read(body) {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("7f3a"), "{shown}");
        assert!(shown.len() < 1000 && shown.is_ascii(), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(body in any::<String>()) {
        check(&body);
    }

    #[test]
    fn any_json_is_read_or_refused(body in any_json()) {
        check(&body.to_string());
        check(&samples::sns(&body).to_string());
    }

    #[test]
    fn a_sample_damaged_anywhere_is_read_or_refused(
        sample in any_sample(),
        place in any::<prop::sample::Index>(),
        value in prop_oneof![Just(json!(CANARY)), any_json()],
    ) {
        let mut found = Vec::new();
        places(&sample, "", &mut found);
        let mut damaged = sample.clone();
        *damaged.pointer_mut(&found[place.index(found.len())]).unwrap() = value;
        check(&damaged.to_string());
    }

    #[test]
    fn a_sample_cut_anywhere_is_refused(sample in any_sample(), place in any::<prop::sample::Index>()) {
        let text = sample.to_string();
        let cut = place.index(text.len());
        if text.is_char_boundary(cut) {
            prop_assert!(read(&text[..cut]).is_err());
        }
    }
}

#[test]
fn what_was_read_does_not_show_who_wrote_to_whom() {
    for sample in [samples::ses_s3(), samples::ses_inline()] {
        let shown = format!("{:?}", read(&sample.to_string()).unwrap());
        for secret in ["alice", "notion", "hidden", "orders", "Hi."] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
