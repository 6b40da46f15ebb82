//! The `webhook-signature` header (Standard Webhooks 1.0).
//!
//! Each secret gives one signature, named by its scheme. Only `v1` (HMAC-SHA256) exists here; an ed25519 key (`v1a`) would
//! be another kind of secret that signs the same bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{SigningSecret, SigningSecrets, WebhookId};

/// The value of `webhook-signature`: one `v1,<base64>` a secret, joined by spaces, over `{id}.{timestamp}.{body}`.
///
/// `timestamp` is in seconds since 1970, the same number as in `webhook-timestamp`.
pub fn signature(secrets: &SigningSecrets, id: &WebhookId, timestamp: i64, body: &[u8]) -> String {
    secrets.iter().map(|secret| v1(secret, id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

fn v1(secret: &SigningSecret, id: &WebhookId, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new(secret.block().into());
    mac.update(id.as_str().as_bytes());
    mac.update(format!(".{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use reqwest::header::{HeaderMap, HeaderValue};
    use standardwebhooks::Webhook;

    use super::*;

    /// The example secret of the specification and its reference libraries.
    const SPEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn secrets(texts: &[&str]) -> SigningSecrets {
        SigningSecrets::new(texts.iter().map(|t| t.parse().unwrap()).collect()).unwrap()
    }

    fn foreign_verdict(secret: &str, id: &WebhookId, timestamp: i64, body: &[u8], signature: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_str(id.as_str()).unwrap());
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        headers.insert("webhook-signature", HeaderValue::from_str(signature).unwrap());
        Webhook::new(secret).unwrap().verify(body, &headers).is_ok()
    }

    #[test]
    fn the_specifications_vectors_come_out() {
        let reference = WebhookId::new("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signature(&secrets(&[SPEC]), &reference, 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        let svix = WebhookId::new("msg_p5jXN8AQM9LWM0D4loKWxJek").unwrap();
        assert_eq!(
            signature(&secrets(&[OTHER]), &svix, 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_foreign_verifier_agrees_for_every_length_of_secret_and_body() {
        let id = WebhookId::new("mail_01-A").unwrap();
        let now = Timestamp::now().as_second();
        for key_len in [24, 31, 32, 48, 63, 64] {
            let text = format!("whsec_{}", STANDARD.encode((0..key_len).collect::<Vec<u8>>()));
            for body in ["", "{}", "{\"name\":\"Zoë\u{1f4e7}\"}", &"x".repeat(200_000)] {
                let signed = signature(&secrets(&[&text]), &id, now, body.as_bytes());
                assert!(foreign_verdict(&text, &id, now, body.as_bytes(), &signed), "{key_len} {}", body.len());
                assert!(!foreign_verdict(&text, &id, now, format!("{body} ").as_bytes(), &signed));
                assert!(!foreign_verdict(&text, &id, now - 1, body.as_bytes(), &signed));
                assert!(!foreign_verdict(OTHER, &id, now, body.as_bytes(), &signed));
            }
        }
    }

    #[test]
    fn during_rotation_the_old_and_the_new_secret_both_verify() {
        let id = WebhookId::new("mail_1").unwrap();
        let now = Timestamp::now().as_second();
        let signed = signature(&secrets(&[SPEC, OTHER]), &id, now, b"{}");
        assert_eq!(signed.split(' ').count(), 2);
        assert!(foreign_verdict(SPEC, &id, now, b"{}", &signed));
        assert!(foreign_verdict(OTHER, &id, now, b"{}", &signed));
        let old_only = signature(&secrets(&[OTHER]), &id, now, b"{}");
        assert!(!foreign_verdict(SPEC, &id, now, b"{}", &old_only));
    }
}
