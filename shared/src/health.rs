//! The operations port: `/live`, `/ready` and `/metrics`, over plain HTTP on an address of the operator's choice.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// Serves until the process has drained. Ready means: not draining, and nothing that the process needs is missing.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    metrics: PrometheusHandle,
    refresh: impl AsyncRefresh,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let (refresh, draining) = (Arc::new(refresh), shutdown.draining.clone());
    let upkeep = metrics.clone();
    let readiness = Arc::clone(&refresh);
    let app = Router::new()
        .route("/live", get(async || "alive\n"))
        .route(
            "/ready",
            get(async move || {
                if draining.is_cancelled() {
                    return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
                }
                match readiness.readiness() {
                    Ok(detail) => (StatusCode::OK, format!("ready\n{detail}")),
                    Err(detail) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{detail}")),
                }
            }),
        )
        .route(
            "/metrics",
            get(async move || {
                refresh.refresh().await;
                metrics.render()
            }),
        );
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let cancelled = shutdown.cancelled.clone();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(cancelled.cancelled_owned()).await {
            tracing::error!(%error, "the operations port failed");
        }
    });
    Ok(())
}

/// Brings gauges up to date when metrics are asked for.
#[async_trait::async_trait]
pub trait AsyncRefresh: Send + Sync + 'static {
    /// Sets the gauges.
    async fn refresh(&self);

    /// Whether what the process needs is there; a line on each such thing, for people.
    ///
    /// # Errors
    /// The same lines, when something is missing.
    fn readiness(&self) -> Result<String, String> {
        Ok(String::new())
    }
}
