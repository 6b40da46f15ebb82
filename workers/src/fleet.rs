//! Puts the fleet together: the stages with what they need, one runner each.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use shared::{
    budget::Budget,
    clamav::clamd::Clamd,
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
    pipeline::{DELIVER, PARSE, PIPELINE, ROUTE, SCAN, StageName},
    plane::{Plane, PlaneError},
    sandbox::{Sandbox, SandboxConfig},
    scanning::Scanning,
    settings::Settings,
    stages::{
        deliver::{Deliver, Destination},
        parse::Parse,
        route::Route,
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
    /// The sandbox's own program.
    #[error("the sandbox cannot be started: {0}")]
    Sandbox(String),
    /// The operations port.
    #[error("the operations port {0} cannot be served: {1}")]
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
        serve_operations(settings, plane, stages, &fleet).await?;
        let mut running = Self { runners: JoinSet::new() };
        for row in PIPELINE.iter().filter(|row| stages.contains(&row.stage)) {
            let policy = settings.policy(row);
            match row.stage {
                PARSE => running.add(parse(settings, plane)?, policy, plane, &fleet),
                SCAN => running.add(scan(settings, plane), policy, plane, &fleet),
                ROUTE => running.add(route(settings, plane), policy, plane, &fleet),
                DELIVER => running.add(deliver(settings, plane)?, policy, plane, &fleet),
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

fn parse(settings: &Settings, plane: &Plane) -> Result<Parse, StartError> {
    Ok(Parse {
        blobs: Arc::clone(&plane.blobs),
        bucket: plane.bucket.clone(),
        tenants: settings.tenants.clone(),
        sources: plane.sources.clone(),
        sandbox: Arc::new(start_sandbox(settings)?),
        max_mail: settings.limits.max_mail,
    })
}

/// Starts the children that look at untrusted bytes: this same program.
///
/// # Errors
/// When the program cannot be found or started.
pub fn start_sandbox(settings: &Settings) -> Result<Sandbox, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Sandbox(error.to_string());
    // The running program itself, also when its file has been replaced meanwhile.
    let this = PathBuf::from("/proc/self/exe");
    let program = if this.exists() { this } else { std::env::current_exe().map_err(|e| failed(&e))? };
    let config = SandboxConfig {
        processes: settings.limits.sandbox_processes,
        wall_limit: settings.limits.sandbox_wall,
        limits: settings.parse_limits(),
        ..SandboxConfig::new(program)
    };
    Sandbox::start(config).map_err(|e| failed(&e))
}

fn scan(settings: &Settings, plane: &Plane) -> Scan {
    Scan { blobs: Arc::clone(&plane.blobs), sources: plane.sources.clone(), scanning: scanning(settings) }
}

/// The configured scanner.
#[must_use]
pub fn scanning(settings: &Settings) -> Scanning {
    let clamd = Clamd::new(settings.clamav.endpoint.clone());
    Scanning::new(Arc::new(clamd), settings.clamav.deadline, settings.clamav.concurrency.get())
}

fn route(settings: &Settings, plane: &Plane) -> Route {
    Route { blobs: Arc::clone(&plane.blobs), state: Arc::clone(&plane.state), rules: Arc::clone(&settings.rules) }
}

fn deliver(settings: &Settings, plane: &Plane) -> Result<Deliver, StartError> {
    let mut destinations = BTreeMap::new();
    for (name, destination) in &settings.destinations {
        let ready =
            Destination::new(destination).map_err(|error| StartError::Destination { name: name.to_string(), error })?;
        destinations.insert(name.to_string(), ready);
    }
    Ok(Deliver {
        blobs: Arc::clone(&plane.blobs),
        state: Arc::clone(&plane.state),
        limiter: Arc::clone(&plane.limiter),
        destinations,
    })
}

async fn serve_operations(
    settings: &Settings,
    plane: &Plane,
    stages: &[StageName],
    fleet: &Fleet,
) -> Result<(), StartError> {
    let Some(listen) = settings.telemetry.listen else { return Ok(()) };
    let metrics = telemetry::init_metrics().map_err(|error| StartError::Metrics(error.to_string()))?;
    let gauges = Gauges { queues: plane.watched(stages), budget: fleet.budget.clone() };
    health::serve(listen, metrics, gauges, fleet.shutdown.clone())
        .await
        .map_err(|error| StartError::Operations(listen, error))
}

/// What is read when metrics are asked for.
struct Gauges {
    queues: Vec<(StageName, &'static str, Arc<dyn Queue>)>,
    budget: Budget,
}

#[async_trait::async_trait]
impl AsyncRefresh for Gauges {
    async fn refresh(&self) {
        metric::bytes_in_flight(self.budget.held());
        for (stage, name, queue) in &self.queues {
            match queue.depth().await {
                Ok(depth) => metric::queue_depth(*stage, name, depth),
                Err(error) => tracing::warn!(%stage, %error, "a queue's depth cannot be read"),
            }
        }
    }
}
