//! The container walk of the scan: each part that looks like a container goes to a child of the sandbox.
//!
//! A part that costs two children their life is `unscannable`. That is a verdict: the mail is not tried again for it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use shared::{
    blobs::{BlobError, ByteStream},
    clamav::Verdict,
    pii::Pii,
};

use super::walk::{Found, Inside, Walk, WalkError};
use crate::{
    containers::{Class, Obstacle, WalkLimits},
    content::RawMail,
    mail::model::Part,
    sandbox::{Body, Budget, Sandbox, SandboxError, task},
};

/// Walks in children.
#[derive(Debug)]
pub struct Containers {
    sandbox: Arc<Sandbox>,
    limits: WalkLimits,
    wall: Duration,
}

impl Containers {
    /// Walks within these limits, in at most `wall` for a part.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, limits: WalkLimits, wall: Duration) -> Self {
        Self { sandbox, limits, wall }
    }
}

#[async_trait]
impl Walk for Containers {
    async fn walk(&self, raw: &RawMail, part: &Part) -> Result<Inside, WalkError> {
        let Some(kind) = part.container else { return Ok(Inside::default()) };
        // What takes that long is at work: its time is CPU time.
        let budget = Budget { wall: self.wall, cpu: self.wall };
        let (kind, name) = (Some(kind), part.name.clone().unwrap_or_default());
        let task = task::Walk { limits: self.limits, len: part.content.len, kind, name, budget: Some(budget) };
        match self.sandbox.ask(task, &Content { raw, part }).await {
            Ok(walked) => {
                Ok(Inside { found: walked.obstacles.into_iter().map(found).collect(), noticed: walked.noticed })
            }
            Err(SandboxError::Body(error)) => Err(error.into()),
            Err(error @ (SandboxError::Poisoned { .. } | SandboxError::BodyTooLong(_))) => {
                let found = vec![Found { member: None, verdict: Verdict::Unscannable { reason: error.to_string() } }];
                Ok(Inside { found, noticed: Vec::new() })
            }
            Err(error) => Err(WalkError::Unavailable(error.to_string())),
        }
    }
}

/// A decoded part, read as often as it is asked for, and verified each time.
struct Content<'a> {
    raw: &'a RawMail,
    part: &'a Part,
}

#[async_trait]
impl Body for Content<'_> {
    fn len(&self) -> u64 {
        self.part.content.len
    }

    async fn open(&self) -> Result<ByteStream, BlobError> {
        self.raw.part(self.part).await
    }
}

fn found(obstacle: Obstacle) -> Found {
    let reason = format!("{} ({})", obstacle.code.name(), obstacle.kind.name());
    let verdict = match obstacle.code.class() {
        Class::Encrypted => Verdict::Encrypted { reason },
        Class::LimitsExceeded => Verdict::LimitsExceeded { reason },
        Class::Unscannable => Verdict::Unscannable { reason },
    };
    let member = Some(obstacle.member).filter(|path: &Pii<String>| !path.expose().is_empty());
    Found { member, verdict }
}
