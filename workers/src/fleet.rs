//! Puts the fleet together: the stages with what they need, one runner each.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use shared::{
    audit::AuditKey,
    budget::Budget,
    clamav::pool::{Pool, PoolConfig, Terms},
    clock::Clock,
    health::{self, AsyncRefresh},
    policy::Policy,
    queue::Queue,
    runner::{Fleet, Runner, Suspects},
    shutdown::Shutdown,
    stage::Stage,
    telemetry::{self, metric},
};
use tokio::task::JoinSet;

use crate::{
    admission::Admission,
    auth::{Gate, dns::DnsError},
    containers::WalkLimits,
    limiting::Limiting,
    pipeline::{DELIVER, PARSE, PIPELINE, ROUTE, SCAN, StageName},
    plane::{Plane, PlaneError},
    sandbox::Sandbox,
    scanning::{Containers, Memory, Scanning},
    settings::Settings,
    stages::{
        deliver::{Deliver, Destination},
        parse::Parse,
        route::{Decisions, Route},
        scan::Scan,
    },
    webhook::BuildError,
};

/// The runners of a process.
#[derive(Debug)]
pub struct Running {
    runners: JoinSet<()>,
}

/// Why the fleet does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plane.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A destination's client.
    #[error("destination {name}: {error}")]
    Destination {
        /// Which.
        name: String,
        /// Why.
        error: BuildError,
    },
    /// DNS.
    #[error("authentication: {0}")]
    Dns(#[from] DnsError),
    /// The sandbox's own program.
    #[error("the sandbox cannot be started: {0}")]
    Sandbox(String),
    /// The operations port.
    #[error("telemetry.listen: {0} cannot be listened on: {1}")]
    Operations(std::net::SocketAddr, std::io::Error),
    /// Metrics.
    #[error("metrics cannot be collected: {0}")]
    Metrics(String),
}

impl Running {
    /// Starts the runners of some stages.
    ///
    /// # Errors
    /// When something that they need is not to be had.
    pub async fn start(
        settings: &Settings,
        plane: &Arc<Plane>,
        stages: &[StageName],
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let fleet = Fleet {
            settler: plane.settler(),
            budget: Budget::new(settings.limits.memory),
            clock: plane.clock.clone(),
            shutdown: shutdown.clone(),
            key: plane.audit_key(settings.audit.key.as_ref())?,
            suspects: Suspects::default(),
        };
        let clamds = stages.contains(&SCAN).then(|| clamds(settings));
        let gauges = Gauges {
            queues: plane.watched(stages),
            clock: plane.clock.clone(),
            budget: fleet.budget.clone(),
            clamds: clamds.clone(),
        };
        serve_operations(settings, gauges, shutdown).await?;
        let limiting = Arc::new(Limiting::open(settings, plane)?);
        let sandbox = match stages.iter().any(|stage| matches!(*stage, PARSE | SCAN)) {
            true => Some(Arc::new(start_sandbox(settings).await?)),
            false => None,
        };
        let mut running = Self { runners: JoinSet::new() };
        for row in PIPELINE.iter().filter(|row| stages.contains(&row.stage)) {
            let policy = settings.policy(row);
            match row.stage {
                PARSE => {
                    let Some(sandbox) = &sandbox else { continue };
                    running.add(parse(settings, plane, sandbox, &limiting)?, policy, plane, &fleet);
                }
                SCAN => {
                    let Some((clamds, sandbox)) = clamds.as_ref().zip(sandbox.as_ref()) else { continue };
                    let scanning = scanning(settings, clamds, sandbox);
                    running.add(scan(settings, plane, fleet.key.clone(), scanning), policy, plane, &fleet);
                }
                ROUTE => running.add(route(settings, plane, fleet.key.clone(), &limiting), policy, plane, &fleet),
                DELIVER => running.add(deliver(settings, plane, &limiting)?, policy, plane, &fleet),
                other => tracing::error!(stage = %other, "a row of the pipeline has no stage"),
            }
        }
        Ok(running)
    }

    fn add<S: Stage>(&mut self, stage: S, policy: Policy, plane: &Plane, fleet: &Fleet) {
        let Some(queues) = plane.queues.get(&stage.name()) else {
            return tracing::error!(stage = %stage.name(), "the plane has no queue for the stage");
        };
        self.runners.spawn(Runner::new(stage, policy, Arc::clone(&queues.work), fleet.clone()).run());
    }

    /// Waits until every runner has drained.
    pub async fn drained(mut self) {
        while let Some(ended) = self.runners.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a runner ended unexpectedly");
            }
        }
    }
}

fn parse(
    settings: &Settings,
    plane: &Plane,
    sandbox: &Arc<Sandbox>,
    limiting: &Arc<Limiting>,
) -> Result<Parse, StartError> {
    Ok(Parse {
        blobs: Arc::clone(&plane.blobs),
        bucket: plane.bucket.clone(),
        tenants: settings.tenants.clone(),
        admission: Arc::new(Admission::new(settings)),
        sources: plane.sources.clone(),
        sandbox: Arc::clone(sandbox),
        gate: Gate::new(&settings.authentication)?,
        max_mail: settings.limits.max_mail,
        limiting: Arc::clone(limiting),
    })
}

/// Starts the children that look at untrusted bytes: this same program.
///
/// # Errors
/// When the program cannot be found or started.
pub async fn start_sandbox(settings: &Settings) -> Result<Sandbox, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Sandbox(error.to_string());
    // The running program itself, also when its file has been replaced meanwhile.
    let this = PathBuf::from("/proc/self/exe");
    let program = if this.exists() { this } else { std::env::current_exe().map_err(|e| failed(&e))? };
    let mut config = settings.sandbox.config(program, settings.parse_limits());
    config.trust = settings.authentication.trust.clone();
    Sandbox::start(config).await.map_err(|e| failed(&e))
}

fn scan(settings: &Settings, plane: &Plane, key: AuditKey, scanning: Scanning) -> Scan {
    Scan {
        blobs: Arc::clone(&plane.blobs),
        sources: plane.sources.clone(),
        scanning: scanning.remembering(Memory::new(Arc::clone(&plane.state), key.clone(), plane.clock.clone())),
        key,
        admission: Arc::new(Admission::new(settings)),
        policies: Arc::new(settings.scan.policies.clone()),
        rules: Arc::clone(&settings.rules),
    }
}

/// What scans as configured, by these clamds; containers are looked into in this sandbox.
#[must_use]
pub fn scanning(settings: &Settings, clamds: &Arc<Pool>, sandbox: &Arc<Sandbox>) -> Scanning {
    let default = WalkLimits::default();
    // A quarter of what a child may map: beside it are the content, and what grows while it is inflated.
    let limits = WalkLimits { held: default.held.min(settings.sandbox.memory / 4), ..default };
    let walk = Containers::new(Arc::clone(sandbox), limits, settings.scan.walk_wall);
    Scanning::new(Arc::clone(clamds) as _, settings.scan.raw).walking(Arc::new(walk))
}

/// The configured clamds; their tests begin at once.
#[must_use]
pub fn clamds(settings: &Settings) -> Arc<Pool> {
    Arc::new(Pool::start(clamd_config(settings)))
}

/// Where the configured clamds are, and what they are held to.
#[must_use]
pub fn clamd_config(settings: &Settings) -> PoolConfig {
    let clamav = &settings.clamav;
    let config = PoolConfig::new(clamav.endpoints.clone(), settings.limits.max_mail);
    let terms = Terms {
        deadlines: clamav.deadlines,
        concurrency: clamav.concurrency,
        max_age: clamav.max_signature_age,
        ..config.terms
    };
    PoolConfig { terms, ..config }
}

fn route(settings: &Settings, plane: &Plane, key: AuditKey, limiting: &Arc<Limiting>) -> Route {
    Route {
        blobs: Arc::clone(&plane.blobs),
        decisions: Decisions::new(Arc::clone(&plane.state), key),
        rules: Arc::clone(&settings.rules),
        policies: Arc::new(settings.scan.policies.clone()),
        limiting: Arc::clone(limiting),
    }
}

fn deliver(settings: &Settings, plane: &Plane, limiting: &Arc<Limiting>) -> Result<Deliver, StartError> {
    let mut destinations = BTreeMap::new();
    for (name, destination) in &settings.destinations {
        let ready =
            Destination::new(destination).map_err(|error| StartError::Destination { name: name.to_string(), error })?;
        destinations.insert(name.to_string(), ready);
    }
    Ok(Deliver {
        blobs: Arc::clone(&plane.blobs),
        state: Arc::clone(&plane.state),
        limiting: Arc::clone(limiting),
        destinations,
    })
}

async fn serve_operations(settings: &Settings, gauges: Gauges, shutdown: &Shutdown) -> Result<(), StartError> {
    let Some(listen) = settings.telemetry.listen else { return Ok(()) };
    let metrics = telemetry::init_metrics().map_err(|error| StartError::Metrics(error.to_string()))?;
    health::serve(listen, metrics, gauges, shutdown.clone())
        .await
        .map_err(|error| StartError::Operations(listen, error))
}

/// What is read when metrics are asked for.
struct Gauges {
    queues: Vec<(StageName, &'static str, Arc<dyn Queue>)>,
    clock: Clock,
    budget: Budget,
    clamds: Option<Arc<Pool>>,
}

#[async_trait::async_trait]
impl AsyncRefresh for Gauges {
    async fn refresh(&self) {
        metric::bytes_in_flight(self.budget.held());
        if let Some(clamds) = &self.clamds {
            metric::scanner(&clamds.status(), self.clock.now());
        }
        for (stage, name, queue) in &self.queues {
            match queue.depth().await {
                Ok(depth) => metric::queue_depth(*stage, name, depth),
                Err(error) => tracing::warn!(%stage, %error, "a queue's depth cannot be read"),
            }
        }
    }

    /// A process that scans needs one clamd at least.
    fn readiness(&self) -> Result<String, String> {
        let Some(clamds) = &self.clamds else { return Ok(String::new()) };
        let status = clamds.status();
        let detail = status.iter().map(|status| format!("{status}\n")).collect();
        if status.iter().any(|status| status.engine.is_some()) { Ok(detail) } else { Err(detail) }
    }
}
