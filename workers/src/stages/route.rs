//! `route`: evaluates the rules and makes one job a destination. Nothing that is not clean goes on from here.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use shared::{
    audit::Note,
    blobs::{self, Blobs, Condition, Put},
    clamav::Verdict,
    outcome::{End, Event, Failure, Outcome},
    stage::{Context, Stage},
};

use super::{from_json, parse::quarantine, parsed, store_failure};
use crate::{
    jobs::{DeliverJob, NextJob, RouteJob, ScanReport},
    names::DestinationName,
    pipeline,
    rules::{Decision, Facts, Outcome as Decided, RuleSet},
};

/// The stage.
#[derive(Debug)]
pub struct Route {
    /// Where decisions about several destinations are kept.
    pub blobs: Arc<dyn Blobs>,
    /// The rules.
    pub rules: Arc<RuleSet>,
}

/// A decision and the rules that it was made by.
#[derive(Debug, Serialize, Deserialize)]
struct Dated {
    version: String,
    decision: Decision,
}

#[async_trait]
impl Stage for Route {
    type Job = RouteJob;

    fn name(&self) -> pipeline::StageName {
        pipeline::ROUTE
    }

    fn bytes(&self, job: &RouteJob) -> u64 {
        job.parsed.len() * 3
    }

    async fn run(&self, job: RouteJob, ctx: &Context) -> Result<Outcome, Failure> {
        let mail = parsed(&job.parsed, &*self.blobs).await?;
        let facts = Facts::of(&mail, &job.envelope, job.scan.verdict.name(), ctx.tenant.as_str());
        let decided = Dated { version: self.rules.version().to_owned(), decision: self.rules.decide(&facts) };
        let Dated { version, decision } = self.settled(decided, ctx).await?;
        let rules: Vec<String> = decision.rules.iter().map(ToString::to_string).collect();
        let note = Note::new("routed").with("rules_version", &version).with("rules", rules.join(" "));
        let outcome = match decision.outcome {
            Decided::Reject { reason } => ended("mail.rejected", End::Rejected { reason: reason.into() }),
            Decided::Drop { reason } => ended("mail.dropped", End::Dropped { reason: reason.into() }),
            Decided::Quarantine { reason } => quarantine("rule", reason),
            Decided::Deliver(_) if job.scan.verdict != Verdict::Clean => quarantine_unclean(&job.scan),
            Decided::Deliver(destinations) => {
                return fan_out(&job, &destinations, &rules, &version, note);
            }
        };
        Ok(outcome.with_note(note))
    }
}

impl Route {
    /// The decision that stands. Only a fan-out can be sent in part, so only there is the first decision kept: a
    /// repeat goes by it even if the rules have changed since.
    async fn settled(&self, decided: Dated, ctx: &Context) -> Result<Dated, Failure> {
        let several = matches!(&decided.decision.outcome, Decided::Deliver(destinations) if destinations.len() > 1);
        if !several && !ctx.repeated {
            return Ok(decided);
        }
        let key = format!("decisions/{}", ctx.work);
        let json = serde_json::to_vec(&decided)
            .map_err(|_| Failure::permanent("encoding", "the decision has no JSON form"))?;
        match self.blobs.put(&key, json.into(), Condition::IfAbsent).await.map_err(|e| store_failure(&e))? {
            Put::Stored(_) => Ok(decided),
            Put::Exists => {
                let (_, bytes) = blobs::read(&*self.blobs, &key, None, 1 << 20).await.map_err(|e| store_failure(&e))?;
                from_json(&bytes)
            }
        }
    }
}

fn fan_out(
    job: &RouteJob,
    destinations: &[DestinationName],
    rules: &[String],
    version: &str,
    note: Note,
) -> Result<Outcome, Failure> {
    let names: Vec<&str> = destinations.iter().map(DestinationName::as_str).collect();
    let note = note.with("destinations", names.join(" "));
    let mut hops = destinations.iter().map(|destination| {
        DeliverJob {
            mail: job.clone(),
            destination: destination.to_string(),
            rules: rules.to_vec(),
            rules_version: version.to_owned(),
        }
        .hop(destination.as_str())
    });
    let Some(first) = hops.next() else {
        return Ok(quarantine("rule", "no destination was named".to_owned()).with_note(note));
    };
    let outcome = Outcome::hop(first?).with_note(note);
    hops.try_fold(outcome, |outcome, hop| Ok(outcome.and_hop(hop?)))
}

fn quarantine_unclean(scan: &ScanReport) -> Outcome {
    let detail = match &scan.verdict {
        Verdict::Clean => String::new(),
        Verdict::Infected { signature } | Verdict::Encrypted { signature } | Verdict::LimitsExceeded { signature } => {
            signature.clone()
        }
        Verdict::Unscannable { reason } => reason.clone(),
    };
    quarantine(scan.verdict.name(), format!("{detail} in {}", scan.place))
}

fn ended(name: &'static str, end: End) -> Outcome {
    Outcome::end(end).with_event(Event { name, detail: [].into() })
}
