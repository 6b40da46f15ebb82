//! Walks of containers: a content that costs its children their life is unscannable, and its neighbours never notice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailtri::containers::{Kind, WalkLimits};
use mailtri::content::RawMail;
use mailtri::mail::limits::Limits;
use mailtri::mail::model::Part;
use mailtri::mail::parse::parse;
use mailtri::scanning::{Containers, Found, Inside, Walk, WalkError};
use shared::clamav::Verdict;

use super::given::sandbox;

/// A mail with one attachment in 8 bit, marked as a container.
fn attached(content: &[u8]) -> (RawMail, Part) {
    let head =
        b"From: a@a.example\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let raw = [&head[..], content].concat();
    let mut part = parse(&raw, &Limits::default(), &[]).unwrap().parts.remove(0);
    part.container = Some(Kind::Zip);
    (RawMail::Inline(Bytes::from(raw)), part)
}

async fn walked(containers: &Containers, content: &[u8]) -> Result<Vec<Found>, WalkError> {
    let (raw, part) = attached(content);
    containers.walk(&raw, &part).await.map(|inside| inside.found)
}

const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(crate) async fn deaths() {
    let wall = Duration::from_secs(2);
    let containers = Containers::new(Arc::new(sandbox().await), WalkLimits::default(), wall);
    for order in ["hang", "spin", "panic", "abort", "recurse", "allocate 2048", "say garbage", "tcp"] {
        let content = format!("X-Do: {order}\n");
        let found = walked(&containers, content.as_bytes()).await.unwrap();
        assert!(
            matches!(&found[..], [Found { member: None, verdict: Verdict::Unscannable { .. } }]),
            "{order}: {found:?}"
        );
        assert_eq!(walked(&containers, EMPTY_ZIP).await.unwrap(), [], "after {order}");
    }
}

pub(crate) async fn honest() {
    let containers = Containers::new(Arc::new(sandbox().await), WalkLimits::default(), Duration::from_secs(60));
    let cut = walked(&containers, &EMPTY_ZIP[..20]).await.unwrap();
    let reason = "damaged (zip)".to_owned();
    assert_eq!(cut, [Found { member: None, verdict: Verdict::Unscannable { reason } }]);
    // What the parse saw is what is walked.
    let (raw, mut part) = attached(EMPTY_ZIP);
    part.content.sha256[0] ^= 1;
    assert!(matches!(containers.walk(&raw, &part).await, Err(WalkError::Source(_))));
    // What looks like no container is not sent at all.
    part.container = None;
    assert_eq!(containers.walk(&raw, &part).await.unwrap(), Inside::default());
}
