//! What an operator mistypes in the sections beside mail: each mistake is one error that says what would be right.

use super::Given;

const AWS: &str = "[plane]\nkind = \"aws\"\n[aws]\nregion = \"eu-central-1\"\nbucket = \"mails\"\n\
                   queue_prefix = \"https://sqs.example/mailtri-\"\n[redis]\nurl_env = \"REDIS\"\n";
const REDIS: (&str, &str) = ("REDIS", "redis://127.0.0.1:6379");

fn told(toml: &str, variables: &[(&str, &str)]) -> String {
    Given::new(toml).error(variables)
}

#[test]
fn an_audit_key_that_is_not_set_is_one_error_and_a_short_one_is_refused_unshown() {
    let none = told(AWS, &[REDIS]);
    assert!(none.starts_with("1 error") && none.contains("audit.key_env: not set"), "{none}");
    let unset = told(&format!("{AWS}[audit]\nkey_env = \"NOWHERE\""), &[REDIS]);
    assert!(unset.starts_with("1 error") && unset.contains("audit.key_env = \"NOWHERE\""), "{unset}");
    let with_key = |key: &str| Given::new("[audit]\nkey_env = \"KEY\"").load(&[("KEY", key)]);
    assert!(with_key("a key, 16 bytes.").is_ok());
    let short = with_key("a key, 15 bytes").unwrap_err().to_string();
    assert!(short.contains("audit.key_env: the key has to be 16 bytes or more"), "{short}");
    assert!(!short.contains("15 bytes"), "{short}");
}

#[test]
fn a_word_that_is_no_level_does_not_silence_the_log() {
    let error = told("[telemetry]\nlog = \"inf\"", &[]);
    assert!(error.contains("telemetry.log = \"inf\": expected a level"), "{error}");
    assert!(Given::new("[telemetry]\nlog = \"warn,mailtri=debug\"").load(&[]).is_ok());
}
