//! `route`: evaluates the rules and makes one job a destination. Nothing that is not clean goes on from here but by a
//! policy that says so.

mod decisions;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use shared::{
    audit::Note,
    blobs::{self, Blobs, Condition, Put},
    outcome::{End, Event, Failure, Outcome},
    stage::{Context, Stage},
};

pub use decisions::Decisions;

use super::{from_json, parse::quarantine, parsed, store_failure};
use crate::{
    jobs::{DeliverJob, NextJob, RouteJob},
    limiting::{Limiting, Pass, Place, Subjects},
    mail::model::{ParsedMail, PartRole},
    names::DestinationName,
    pipeline,
    rules::{Decision, Facts, Outcome as Decided, RuleSet},
    scanning::{Handling, Item, Policies, ScanReport},
};

/// The stage.
#[derive(Debug)]
pub struct Route {
    /// Where decisions about several destinations are kept.
    pub blobs: Arc<dyn Blobs>,
    /// Remembers every decision, as far as it remembers.
    pub decisions: Decisions,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// What becomes of what is not clean.
    pub policies: Arc<Policies>,
    /// The limits by route.
    pub limiting: Arc<Limiting>,
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
        let mail = parsed(&job.parsed, &*self.blobs, ctx).await?;
        let facts = Facts::of(&mail, &job.envelope, job.scan.verdict().name(), ctx.tenant.as_str());
        let decided = Dated { version: self.rules.version().to_owned(), decision: self.rules.decide(&facts) };
        let Dated { version, decision } = self.settled(decided, ctx).await?;
        let rules: Vec<String> = decision.rules.iter().map(ToString::to_string).collect();
        let note = Note::new("routed").with("rules_version", &version).with("rules", rules.join(" "));
        let outcome = match decision.outcome {
            Decided::Reject { reason } => ended("mail.rejected", End::Rejected { reason: reason.into() }),
            Decided::Drop { reason } => ended("mail.dropped", End::Dropped { reason: reason.into() }),
            Decided::Quarantine { reason } => quarantine("rule", reason),
            Decided::Deliver(destinations) => {
                let policy = self.policies.of(&ctx.tenant, &decision.policies);
                match Handling::of(&job.scan, &policy) {
                    Handling::Deliver { withheld } if all_stored(&job.scan, &mail, &withheld) => {
                        let mut pass = Pass::of(Subjects::of_route(&rules));
                        if let Some(stopped) = self.limiting.stop(Place::Route, &mut pass, ctx).await {
                            return stopped.map(|outcome| outcome.with_note(note));
                        }
                        let to = Fan { destinations: &destinations, rules: &rules, version: &version };
                        return to.out(&job, &mail, &withheld, note);
                    }
                    Handling::Deliver { .. } => {
                        quarantine("not_stored", "the policy changed since the scan".to_owned())
                    }
                    // The scan waited for as long as a mail may wait.
                    Handling::Defer(item) | Handling::Quarantine(item) => unclean(&item, &mail),
                    Handling::Reject(item) => ended("mail.rejected", End::Rejected { reason: item.told(&mail).into() }),
                }
            }
        };
        Ok(outcome.with_note(note))
    }
}

impl Route {
    /// The decision that stands: the first one, also when the rules have changed since. A fan-out can be sent in part,
    /// so its decision is an object; that of a single destination is as soft as the state.
    async fn settled(&self, decided: Dated, ctx: &Context) -> Result<Dated, Failure> {
        let json = serde_json::to_vec(&decided)
            .map_err(|_| Failure::permanent("encoding", "the decision has no JSON form"))?;
        if let Some(earlier) = self.decisions.before(&ctx.work, &json).await {
            return from_json(&earlier);
        }
        let several = matches!(&decided.decision.outcome, Decided::Deliver(destinations) if destinations.len() > 1);
        if !several && !ctx.repeated {
            return Ok(decided);
        }
        let key = format!("decisions/{}", ctx.work);
        match self.blobs.put(&key, json.into(), Condition::IfAbsent).await.map_err(|e| store_failure(&e, ctx))? {
            Put::Stored(_) => Ok(decided),
            Put::Exists => {
                let read = blobs::read(&*self.blobs, &key, None, 1 << 20).await;
                from_json(&read.map_err(|e| store_failure(&e, ctx))?.1)
            }
        }
    }
}

/// Where a mail goes, and by which rules.
struct Fan<'a> {
    destinations: &'a [DestinationName],
    rules: &'a [String],
    version: &'a str,
}

impl Fan<'_> {
    /// One job a destination.
    fn out(
        &self,
        job: &RouteJob,
        mail: &ParsedMail,
        withheld: &BTreeSet<usize>,
        note: Note,
    ) -> Result<Outcome, Failure> {
        let names: Vec<&str> = self.destinations.iter().map(DestinationName::as_str).collect();
        let mut note = note.with("destinations", names.join(" "));
        if !withheld.is_empty() {
            let parts: Vec<String> = withheld.iter().map(|part| mail.number(*part).to_string()).collect();
            note = note.with("withheld", parts.join(" "));
        }
        let mut hops = self.destinations.iter().map(|destination| {
            DeliverJob {
                mail: job.clone(),
                destination: destination.to_string(),
                rules: self.rules.to_vec(),
                rules_version: self.version.to_owned(),
                withheld: withheld.clone(),
            }
            .hop(destination.as_str())
        });
        let Some(first) = hops.next() else {
            return Ok(quarantine("rule", "no destination was named".to_owned()).with_note(note));
        };
        let outcome = Outcome::hop(first?).with_note(note);
        hops.try_fold(outcome, |outcome, hop| Ok(outcome.and_hop(hop?)))
    }
}

/// Whether the scan stored every part that is to be delivered: it goes by the configuration of its own process.
fn all_stored(scan: &ScanReport, mail: &ParsedMail, withheld: &BTreeSet<usize>) -> bool {
    let stored: BTreeSet<usize> = scan.stored.iter().map(|stored| stored.part).collect();
    let mut wanted = mail.parts.iter().enumerate().filter(|(_, part)| part.role != PartRole::Body);
    wanted.all(|(i, _)| withheld.contains(&i) || stored.contains(&i))
}

fn unclean(item: &Item, mail: &ParsedMail) -> Outcome {
    quarantine(item.verdict.name(), item.told_of_verdict(mail))
}

fn ended(name: &'static str, end: End) -> Outcome {
    Outcome::end(end).with_event(Event { name, detail: [].into() })
}
